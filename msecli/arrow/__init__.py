"""Arrow arrays to float64 and to labels, and the few Arrow functions that msecli needs."""

UUID = "extension<arrow.uuid>"
"""The name of the type of UUIDs."""
