"""The parts of the simulated landscape: shapes on the ground, spectra, seasons, optics, radiometry."""
