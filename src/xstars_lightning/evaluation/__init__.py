"""Frozen features judged by pure functions: kNN, linear probes, retrieval, health, label splits."""

from xstars_lightning.evaluation.health import effective_rank, feature_std
from xstars_lightning.evaluation.knn import knn_classify
from xstars_lightning.evaluation.linear_probe import linear_probe
from xstars_lightning.evaluation.neighbours import neighbour_overlap
from xstars_lightning.evaluation.protocol import EmbeddedSplit, score_knn, score_probes
from xstars_lightning.evaluation.report import plot_confusion, save_report, score_table
from xstars_lightning.evaluation.retrieval import recall_at_1
from xstars_lightning.evaluation.shared_pca import shared_pca
from xstars_lightning.evaluation.splits import (
    label_subset,
    labels_per_class,
    split_hash,
    stratified_split,
)

__all__ = [
    "EmbeddedSplit",
    "effective_rank",
    "feature_std",
    "knn_classify",
    "label_subset",
    "labels_per_class",
    "linear_probe",
    "neighbour_overlap",
    "plot_confusion",
    "recall_at_1",
    "save_report",
    "score_knn",
    "score_probes",
    "score_table",
    "shared_pca",
    "split_hash",
    "stratified_split",
]
