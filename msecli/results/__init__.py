"""Results: frozen values that share one protocol."""
