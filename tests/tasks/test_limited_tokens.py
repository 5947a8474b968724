"""Of splits with many tiles, fewer tokens of every tile are kept."""

import warnings

import pytest
import torch
from safetensors.torch import load_file

from xstars_lightning.tasks.dense_features import draw_tokens
from xstars_lightning.tasks.limited_tokens import LimitedTokens, tokens_per_tile

pytestmark = pytest.mark.filterwarnings(
    "ignore:No weights given", "ignore:.*num_workers", "ignore:.*TreeSpec:FutureWarning"
)


def batches(count, tiles=24, side=4):
    """Three tiles each, with a third of the tokens labelled; tokens are numbers of their own."""
    generator, seeded = torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)
    tokens = torch.arange(tiles * side**2).float().view(tiles, side, side, 1)
    labelled = torch.rand(tiles, side, side, 1, generator=seeded) < 0.33
    for part in torch.arange(tiles).split(3):
        drawn = draw_tokens(tokens[part], labelled[part].float(), part, count, generator)
        ranks = torch.cat([torch.arange(int((drawn[2] == tile).sum())) for tile in part])
        yield *drawn, ranks, part, part[:, None]


@pytest.mark.parametrize("limit", [1000, 70, 24, 5])
def test_what_is_left_is_a_draw_of_fewer_tokens(limit):
    limited, most = LimitedTokens(9, limit), []
    for batch in batches(9):
        most.append(limited.add(batch))
    expected = batches(tokens_per_tile(24, 9, limit))
    for found, wanted in zip(limited.joined(), zip(*expected, strict=True), strict=True):
        assert torch.equal(found, torch.cat(wanted))
    assert max(most) <= max(limit, 24)  # not only in the end


def test_at_least_one_token_of_a_tile_is_kept():
    assert [tokens_per_tile(tiles, 256, 1000) for tiles in (0, 3, 4, 10, 1000, 5000)] == [
        *(256, 256, 250, 100, 1, 1)
    ]


def test_a_probe_is_fitted_on_no_more_tokens_and_says_so(probe, tmp_path):
    cache = str(tmp_path / "cache")
    _, report = probe(max_tokens=20, cache_dir=cache)
    assert report["protocol"]["tokens_per_tile_used"] == {"train": 2, "val": 10}
    assert report["protocol"]["max_tokens"] == 20
    assert [len(load_file(file)["0"]) for file in (tmp_path / "cache").iterdir()] == [20, 20]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Cached features")
        assert probe(max_tokens=20, cache_dir=cache)[1]["resolutions"] == report["resolutions"]


def test_the_limit_gives_what_so_many_tokens_per_tile_give(probe):
    few = probe({"held_out": {}}, max_tokens=25)[1]
    assert few["resolutions"] == probe({"held_out": {}}, tokens_per_tile=2)[1]["resolutions"]
    assert few["resolutions"] != probe({"held_out": {}})[1]["resolutions"]


def test_without_a_token_nothing_can_be_fitted(probe):
    with pytest.raises(ValueError, match="max_tokens 0"):
        probe(max_tokens=0)
