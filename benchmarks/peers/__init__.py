"""Plain baselines against which training is timed, written from the published formulas."""
