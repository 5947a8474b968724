"""Networks of others, and baselines, as frozen extractors of features."""
