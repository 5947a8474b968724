"""MSAD, the multi-sensor alignment dense loss of X-STARS."""

import torch
import torch.nn.functional as F
from lightly.utils import dist
from torch import Tensor, nn

__all__ = ["MSADLoss"]

# Finite, so that a row with no valid key has finite gradients; its exponential is exactly 0.
_MASKED = -1e9


class MSADLoss(nn.Module):
    """Contrastive alignment of the patch embeddings of two sensors over the same ground.

    From X-STARS [0]: a patch of one sensor must recognise, among the patches that stand at the
    same place of all windows in the batch, the one of its own window as the other sensor sees it.
    With embeddings e of shape (B, N, P), for every place n and both directions:

        l[i, n] = CE( <e_a[i, n], e_b[., n]> / temperature, target[i] )

    and the loss is the mean over the valid (i, n) and the two directions. With image negatives,
    the keys of a query are also the other places of its own window as the other sensor sees them:
    it must then tell where in the window it is, not only in which window.

    The release of the authors [1] computes something else, which cannot align sensors;
    :meth:`published` has it for comparison.

    Args:
        temperature: Divides the similarities; positive.
        label_smoothing: Share of the target that is spread over all valid keys, in [0, 1).
        normalize: Bring embeddings to unit length, so that similarities are cosines.
        detach_targets: Let no gradient flow through soft targets.
        soft_targets: Take as target the softmax of the mean within-sensor similarities (windows
            that look alike may be confused) instead of the identity.
        gather_distributed: Take the windows of all processes as negatives. Needs the same batch
            size in all of them.
        image_negatives: Take the other valid places of the same window and view as negatives.

    Raises:
        ValueError: If an option is out of its domain, or image negatives are combined with soft
            targets, which say nothing about places.

    References:
        [0]: X-STARS, 2024, https://arxiv.org/abs/2405.09922
        [1]: https://github.com/VMarsocci/X-STARS
    """

    def __init__(
        self,
        temperature: float = 0.1,
        label_smoothing: float = 0.0,
        normalize: bool = True,
        detach_targets: bool = True,
        soft_targets: bool = False,
        gather_distributed: bool = True,
        image_negatives: bool = False,
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {label_smoothing}.")
        if image_negatives and soft_targets:
            raise ValueError("image_negatives cannot be combined with soft_targets; leave one of them False.")
        self.temperature = temperature
        self.label_smoothing = label_smoothing
        self.normalize = normalize
        self.detach_targets = detach_targets
        self.soft_targets = soft_targets
        self.gather_distributed = gather_distributed
        self.image_negatives = image_negatives

    @classmethod
    def published(cls, temperature: float = 1.0, label_smoothing: float = 0.3) -> "MSADLoss":
        """The formula of the authors' release with its gradient restored.

        Embeddings are not normalised, soft targets carry gradient and are transposed for the
        second direction (so they are not distributions there). Its optimum is near-collapse.
        """
        return _PublishedMSADLoss(
            temperature,
            label_smoothing,
            normalize=False,
            detach_targets=False,
            soft_targets=True,
            gather_distributed=False,
        )

    def forward(self, a: Tensor, b: Tensor, valid: Tensor | None = None, views: int = 1) -> Tensor:
        """Loss of one pair of sensors, computed in float32 under any autocast.

        Args:
            a: Patch embeddings of one sensor, (B, N, P).
            b: Those of the other at the same places, (B, N, P).
            valid: Where both sensors saw the ground, bool (B, N); default everywhere. Other
                patches are neither query nor negative.
            views: Number of views whose places, as many in each, are the N one after the other.
                Image negatives are of the same view.

        Returns:
            Scalar; a differentiable 0 where nothing is valid.

        Raises:
            ValueError: If the shapes disagree, or N is not a multiple of ``views``.
        """
        if a.ndim != 3 or a.shape != b.shape or (valid is not None and valid.shape != a.shape[:2]):
            mask = None if valid is None else tuple(valid.shape)
            raise ValueError(
                f"Expected a and b of one shape (B, N, P) and valid (B, N), got {tuple(a.shape)}, "
                f"{tuple(b.shape)} and {mask}."
            )
        if views < 1 or a.shape[1] % views:
            raise ValueError(f"{a.shape[1]} places do not make {views} views of equal length.")
        with torch.autocast(a.device.type, enabled=False):
            if valid is None:
                valid = torch.ones(a.shape[:2], dtype=torch.bool, device=a.device)
            return self._loss(self._prepare(a, valid), self._prepare(b, valid), valid.T, views)

    def _prepare(self, x: Tensor, valid: Tensor) -> Tensor:
        """(B, N, P) -> (N, B, P), float32; zeros where invalid, whatever stood there."""
        x = torch.where(valid[..., None], x.float(), 0).transpose(0, 1)
        return F.normalize(x, dim=-1) if self.normalize else x

    def _loss(self, a: Tensor, b: Tensor, valid: Tensor, views: int) -> Tensor:
        world = dist.world_size() if self.gather_distributed else 1
        keys_a, keys_b, keys_valid = (_gather(x) if world > 1 else x for x in (a, b, valid))
        # n = places, i = own windows, j = windows of all processes
        logits_a = torch.einsum("nip,njp->nij", a, keys_b) / self.temperature
        logits_b = torch.einsum("nip,njp->nij", b, keys_a) / self.temperature
        target_a, target_b = self._targets(a, b, keys_a, keys_b, keys_valid)
        keys = keys_valid[:, None]
        if self.image_negatives:
            image_a, image_b, others = _within_images(a, b, valid, views)
            logits_a = torch.cat([logits_a, image_a / self.temperature], dim=-1)
            logits_b = torch.cat([logits_b, image_b / self.temperature], dim=-1)
            keys = torch.cat([keys.expand(-1, a.shape[1], -1), others], dim=-1)
            target_a = target_b = F.pad(target_a, (0, others.shape[-1]))
        rows = self._cross_entropy(logits_a, target_a, keys)
        rows = (rows + self._cross_entropy(logits_b, target_b, keys)) / 2
        # The mean over processes of these is the mean over all valid patches of all processes.
        return (rows * valid).sum() * world / keys_valid.sum().clamp(min=1)

    def _targets(
        self, a: Tensor, b: Tensor, keys_a: Tensor, keys_b: Tensor, keys_valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Row-stochastic targets (N, B, B of all processes) of the two directions."""
        if self.soft_targets:
            target = _similarity(a, b, keys_a, keys_b, keys_valid, 1 / self.temperature)
            target = target.detach() if self.detach_targets else target
        else:
            windows, gathered = a.shape[1], keys_a.shape[1] > a.shape[1]
            start = dist.rank() * windows if gathered else 0
            identity = torch.eye(keys_a.shape[1], device=a.device)[start : start + windows]
            target = identity.expand(len(a), -1, -1)
        return target, target

    def _cross_entropy(self, logits: Tensor, target: Tensor, keys: Tensor) -> Tensor:
        """Cross-entropy (N, B) over the valid keys (N, 1 or B, K); logits and target (N, B, K)."""
        log_probability = logits.masked_fill(~keys, _MASKED).log_softmax(-1)
        uniform = keys / keys.sum(-1, keepdim=True).clamp(min=1)
        target = torch.lerp(target, uniform.expand_as(target), self.label_smoothing)
        # A masked key has no share in any target; an invalid query is left out by the caller.
        return -(target * log_probability.masked_fill(~keys, 0)).sum(-1)


class _PublishedMSADLoss(MSADLoss):
    """The targets of the authors' release: similarities scaled by the temperature, transposed."""

    def _targets(
        self, a: Tensor, b: Tensor, keys_a: Tensor, keys_b: Tensor, keys_valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        target = _similarity(a, b, keys_a, keys_b, keys_valid, self.temperature)
        return target.transpose(1, 2), target


def _similarity(
    a: Tensor, b: Tensor, keys_a: Tensor, keys_b: Tensor, keys_valid: Tensor, scale: float
) -> Tensor:
    """Softmax over keys of the mean similarity within each sensor, (N, B, J)."""
    within = torch.einsum("nip,njp->nij", a, keys_a) + torch.einsum("nip,njp->nij", b, keys_b)
    return (within * (scale / 2)).masked_fill(~keys_valid[:, None], _MASKED).softmax(-1)


def _within_images(a: Tensor, b: Tensor, valid: Tensor, views: int) -> tuple[Tensor, Tensor, Tensor]:
    """Similarities (N, B, n) of places of ``a``, and of ``b``, to the n of the same window and view.

    Third, which of those are valid and not the place itself; a and b (N, B, P), valid (N, B).
    """
    a, b, valid = (x.unflatten(0, (views, -1)) for x in (a, b, valid))
    similarity = torch.einsum("vqip,vkip->vqik", a, b)
    elsewhere = ~torch.eye(a.shape[1], dtype=torch.bool, device=a.device)
    others = valid.transpose(1, 2)[:, None] & elsewhere[:, None]
    return similarity.flatten(0, 1), similarity.transpose(1, 3).flatten(0, 1), others.flatten(0, 1)


def _gather(x: Tensor) -> Tensor:
    """(N, B, ...) of every process, joined along B in rank order; gradients flow back."""
    gathered = torch.cat(dist.gather(x.float().contiguous()), dim=1)
    return gathered.to(x.dtype)
