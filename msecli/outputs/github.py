"""Annotations of a GitHub workflow: lines of standard output that the page of a run shows."""

from __future__ import annotations

from typing import BinaryIO

from msecli.errors import visible
from msecli.outputs.base import Style
from msecli.results.base import Report, number_text

ESCAPED = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
ESCAPED_IN_TITLES = {**ESCAPED, **str.maketrans({":": "%3A", ",": "%2C"})}
"""The characters with a meaning, as GitHub's own toolkit escapes them."""


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write an error for each case that has none, or whose gate failed, and a notice of the numbers of the others."""
    for case in report.cases():
        if case.error is not None:
            _write(stream, "error", case.name, case.error)
        for gate in case.gates:
            if not gate.passed:
                _write(stream, "error", "gate failed", f"{case.name}: {gate.finding}")
        if case.passed:
            numbers = ", ".join(f"{name} {number_text(value)}" for name, value in case.numbers.items())
            _write(stream, "notice", case.name, numbers)


def _write(stream: BinaryIO, level: str, title: str, message: str) -> None:
    head = visible(title).translate(ESCAPED_IN_TITLES)
    text = visible(message, kept="\n").translate(ESCAPED)
    stream.write(f"::{level} title={head}::{text}\n".encode())
