"""X-STARS: cross-sensor self-supervised pretraining for Earth observation."""

from importlib.metadata import version

__version__ = version("xstars-lightning")
