"""All scores of one network on one dataset."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from xstars_lightning.evaluation.label_draws import draw_labels
from xstars_lightning.evaluation.protocol import score_knn, score_probes
from xstars_lightning.evaluation.scores import EmbeddedSplit, FewLabelScore, RankedScore, Score

__all__ = ["Protocol", "Scores", "drawn_names", "evaluate"]


@dataclass(frozen=True)
class Protocol:
    """What is asked of features.

    Args:
        k: Neighbours that vote.
        temperature: Of their votes.
        fractions: Shares of the training labels for the probes, in (0, 1].
        shots: Labels of every class for further probes.
        draws: Draws of each amount of labels but all.
        seed: Of the first draw.
    """

    k: int = 20
    temperature: float = 0.07
    fractions: Sequence[float] = (0.01, 0.1, 1.0)
    shots: Sequence[int] = ()
    draws: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Scores:
    """Scores at one resolution."""

    knn: Score | RankedScore
    probes: Sequence[FewLabelScore]

    def to_dict(self, protocol: Protocol) -> dict[str, Any]:
        """Plain values."""
        knn = {"k": protocol.k, "temperature": protocol.temperature, **asdict(self.knn)}
        return {"knn": knn, "linear_probe": [asdict(probe) for probe in self.probes]}


def evaluate(
    splits: Mapping[float, Mapping[str, EmbeddedSplit]],
    protocol: Protocol,
    track: Callable[[Iterable[Any], int], Iterable[Any]] = lambda steps, count: steps,
) -> dict[float, Scores]:
    """Score features at every share of the resolution.

    Args:
        splits: ``train``, ``test`` and, if there is one, ``val``, by share of the resolution.
        protocol: What is asked.
        track: Shows the progress of so many steps.
    """
    p = protocol
    knn = {
        share: score_knn(parts["train"], parts["test"], p.k, p.temperature) for share, parts in splits.items()
    }
    steps = (
        (share, probe)
        for share, parts in splits.items()
        for probe in score_probes(parts, p.fractions, p.draws, p.seed, p.shots)
    )
    probes: dict[float, list[FewLabelScore]] = {share: [] for share in splits}
    for share, probe in track(steps, len(splits) * (len(p.fractions) + len(p.shots))):
        probes[share].append(probe)
    return {share: Scores(knn[share], probes[share]) for share in splits}


def drawn_names(train: EmbeddedSplit, protocol: Protocol) -> dict[str, dict[str, list[str]]]:
    """Names of the images that were labelled, by amount and by seed of the draw; all of them is left out."""
    amounts: list[tuple[str, float | None, int | None]]
    amounts = [(f"{100 * share:g} %", share, None) for share in protocol.fractions if share < 1]
    amounts += [(f"{count} per class", None, count) for count in protocol.shots]
    seeds = range(protocol.seed, protocol.seed + protocol.draws)
    return {
        key: {
            str(seed): [
                train.names[index]
                for index in draw_labels(train.labels, seed, train.class_names, share, count).tolist()
            ]
            for seed in seeds
        }
        for key, share, count in amounts
    }
