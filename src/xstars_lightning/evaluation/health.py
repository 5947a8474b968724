"""Signs of collapse in features."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["effective_rank", "feature_std"]


def effective_rank(features: Tensor) -> Tensor:
    """Number of directions that the features use: exp of the entropy of their singular values [0].

    The features are not centred, so that features which are all the same have rank 1.

    Args:
        features: Features (N, D).

    Returns:
        Scalar float32 in [1, min(N, D)].

    References:
        [0] RankMe, https://arxiv.org/abs/2210.02885
    """
    values = torch.linalg.svdvals(features.float())
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(shares).sum().exp()


def feature_std(features: Tensor) -> Tensor:
    """Spread of L2-normalised features, relative to that of random directions.

    The mean over dimensions of the standard deviation over samples, times sqrt(D) [0].

    Args:
        features: Features (N, D), N at least 2.

    Returns:
        Scalar float32: about 1 for features in all directions, 0 for features that are the same.

    References:
        [0] SimSiam, https://arxiv.org/abs/2011.10566
    """
    unit = functional.normalize(features.float(), dim=1)
    return unit.std(dim=0, correction=0).mean() * features.shape[1] ** 0.5
