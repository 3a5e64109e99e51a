"""Arrow arrays to float64 and to labels, and the few Arrow functions that msecli needs."""
