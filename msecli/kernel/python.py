"""The pure-Python kernel."""

from __future__ import annotations

from msecli.kernel.python_records import border
from msecli.kernel.python_sums import exact_sum, gradient, squared_error, squared_error_by_slot, sums_by_slot
from msecli.kernel.python_table import codes
from msecli.kernel.python_text import scan

__all__ = ["border", "codes", "exact_sum", "gradient", "scan", "squared_error", "squared_error_by_slot", "sums_by_slot"]
