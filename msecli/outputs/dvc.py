"""Metrics as DVC reads them: JSON of numbers by name, and of such numbers by case and group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import Case, Number, Report, finite, marked


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write the numbers of a single case, or those of each by its name."""
    import json

    cases = report.cases()
    document = _numbers(cases[0]) if len(cases) == 1 else {case.name: _numbers(case) for case in cases}
    stream.write((json.dumps(document, indent=2, allow_nan=False) + "\n").encode())


def _numbers(case: Case) -> dict[str, Any]:
    """Return the numbers over all rows, and those of every group, column or batch."""
    found: dict[str, Any] = _written(case.numbers)
    for labels, numbers in case.entries:
        name = ",".join(f"{name}={marked(label)}" for name, label in labels.items())
        while name in found:
            name += "_"
        found[name] = _written(numbers)
    return found


def _written(numbers: Mapping[str, Number]) -> dict[str, Any]:
    """Return numbers for JSON; DVC shows texts, but leaves out null."""
    return {
        name: value if finite(value) is not None else repr(value)
        for name, value in numbers.items()
        if value is not None
    }
