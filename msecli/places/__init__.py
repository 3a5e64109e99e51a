"""Places to read bytes from: files, pipes and standard input."""
