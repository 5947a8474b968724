"""The probe on shares of classes, against scikit-learn's on hard labels."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import one_hot

from xstars_lightning.evaluation.dense_probe import fit_dense_probe


def blobs(count=300, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.eye(3, 5)
    labels = torch.arange(count) % 3
    return centres[labels] + spread * torch.randn(count, 5, generator=generator), labels


@pytest.mark.parametrize("strength", [1e-2, 1.0])
def test_on_pure_tokens_it_is_the_logistic_regression_of_scikit_learn(strength):
    features, labels = blobs()
    probe = fit_dense_probe(
        features,
        one_hot(labels, 3).float(),
        strengths=[strength],
        validation=(features, one_hot(labels, 3).float()),
    )
    inputs = (features - features.mean(0)) / features.std(0, correction=0)
    peer = LogisticRegression(C=strength, tol=1e-8, max_iter=5000).fit(inputs.numpy(), labels.numpy())
    expected = torch.from_numpy(peer.predict_proba(inputs.numpy())).float()
    torch.testing.assert_close(probe(features).softmax(1), expected, atol=2e-3, rtol=0)


def test_a_shared_token_counts_as_its_pixels():
    """A token that is a quarter field is worth one pixel of field and three of lake."""
    features, labels = blobs(90)
    shares = torch.full((90, 2), 0.25)
    shares[:, 1] = 0.75
    shares[labels == 0] = torch.tensor([1.0, 0.0])
    shared = fit_dense_probe(features, shares)
    pixels = torch.cat([one_hot((torch.full((90,), k) >= 4 * shares[:, 0]).long(), 2) for k in range(4)])
    repeated = fit_dense_probe(features.repeat(4, 1), pixels.float() / 4)
    torch.testing.assert_close(shared(features), repeated(features), atol=2e-3, rtol=0)


def test_unlabelled_ground_has_no_say():
    features, labels = blobs(90)
    shares = one_hot(labels, 3).float()
    shares[60:] = 0
    noisy = features.clone()
    mean, std = features.mean(0), features.std(0, correction=0)
    noisy[60:] = features[60:].flip(0)  # same statistics, other places
    assert torch.equal(noisy.sort(0).values, features.sort(0).values)
    torch.testing.assert_close(
        fit_dense_probe(features, shares)(mean + std), fit_dense_probe(noisy, shares)(mean + std)
    )


def test_validation_chooses_the_penalty():
    features, labels = blobs(40, spread=6.0)
    held_out, truth = blobs(4000, seed=1, spread=6.0)
    targets = one_hot(labels, 3).float()
    chosen = fit_dense_probe(features, targets, validation=(held_out, one_hot(truth, 3).float()))
    accuracies = {}
    for strength in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        probe = fit_dense_probe(features, targets, strengths=[strength], validation=(features, targets))
        accuracies[strength] = (probe(held_out).argmax(1) == truth).float().mean().item()
    assert chosen.strength != 10.0
    assert accuracies[chosen.strength] >= max(accuracies.values()) - 0.005
    assert fit_dense_probe(features, targets).strength == 1.0


def test_it_fits_in_inference_mode():
    with torch.inference_mode():
        features, labels = blobs(60)
        probe = fit_dense_probe(features + 0, one_hot(labels, 3).float())
        assert (probe(features).argmax(1) == labels).float().mean() > 0.6


def test_a_feature_that_never_varies_does_no_harm():
    features, labels = blobs(60)
    features[:, 2] = 7.0
    assert fit_dense_probe(features, one_hot(labels, 3).float()).weight.isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, s: (x, s * torch.tensor([0.0, 1.0, 0.0])), r"all of class \[1\]"),
        (lambda x, s: (x / 0 * 0, s), "not finite"),
    ],
)
def test_what_cannot_be_fitted(change, message):
    features, labels = blobs(30)
    with pytest.raises(ValueError, match=message):
        fit_dense_probe(*change(features, one_hot(labels, 3).float()))
