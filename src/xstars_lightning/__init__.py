"""X-STARS: cross-sensor self-supervised pretraining for Earth observation."""
