"""What to watch while a cross-sensor encoder trains, and what to write of what it says."""

from xstars_lightning.callbacks.collapse import CollapseWatch
from xstars_lightning.callbacks.embedding_writer import EmbeddingWriter
from xstars_lightning.callbacks.pictures import Pictures
from xstars_lightning.callbacks.preemption import Preemption
from xstars_lightning.callbacks.retention import AnchorRetention
from xstars_lightning.callbacks.retrieval import CrossSensorRetrieval
from xstars_lightning.callbacks.summary import RunSummary

__all__ = [
    "AnchorRetention",
    "CollapseWatch",
    "CrossSensorRetrieval",
    "EmbeddingWriter",
    "Pictures",
    "Preemption",
    "RunSummary",
]
