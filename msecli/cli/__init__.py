"""The command line: one caller of the Python API."""
