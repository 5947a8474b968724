"""Archives: a million scenes as plain arrays, joined by space and time, read without mosaics."""
