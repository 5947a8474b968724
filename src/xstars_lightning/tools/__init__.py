"""The tools of the command line that prepare and examine data."""
