"""Arrays in, numbers out: NumPy only, no files, no printing."""
