"""Where the work is done. An engine knows nothing of what it runs."""
