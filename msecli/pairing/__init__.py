"""Which columns play which part, and which rows belong together."""
