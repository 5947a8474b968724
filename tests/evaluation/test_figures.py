"""Pictures hold what was handed to them, in its place."""

import torch

from xstars_lightning.evaluation.figures import plot_neighbours, plot_tokens, stretch


def test_stretch_is_by_image_and_survives_constants():
    images = torch.stack([torch.linspace(0, 1, 48), torch.linspace(10, 30, 48)]).view(2, 3, 4, 4)
    shown = stretch(images)
    assert shown.shape == (2, 4, 4, 3)
    torch.testing.assert_close(shown[0], shown[1])
    assert bool(stretch(torch.ones(1, 3, 4, 4)).isfinite().all())


def test_query_is_left_and_what_was_retrieved_right():
    images = torch.rand(5, 3, 4, 4)
    figure = plot_neighbours(
        images[:2], [images[2:4], images[4:5]], ["x/q0.jpg", "q1"], [["x/a.jpg", "b"], ["c"]]
    )
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["q0", "a", "b", "q1", "c", ""]
    shown = torch.from_numpy(figure.axes[1].images[0].get_array())
    torch.testing.assert_close(shown, stretch(images[2:3])[0])


def test_tokens_share_a_basis_and_attention_is_the_mean_of_heads():
    patches, attention = torch.rand(2, 3, 3, 8), torch.rand(2, 4, 3, 3)
    figure = plot_tokens(torch.rand(2, 3, 8, 8), {"a": patches, "b": patches}, attention)
    assert [axis.get_ylabel() for axis in figure.axes[::2]] == [
        "image",
        "tokens, a",
        "tokens, b",
        "attention",
    ]
    first, second, heat = (torch.as_tensor(figure.axes[i].images[0].get_array()) for i in (2, 4, 6))
    assert torch.equal(first, second)
    torch.testing.assert_close(heat, attention[0].mean(0))
