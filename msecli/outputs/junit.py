"""JUnit XML, which CI servers show as tests: one for each score, and one for each of its gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO

from msecli.errors import visible
from msecli.outputs.base import Style
from msecli.results.base import Case, Report, number_text

NO_CHARACTERS = "\ufffe\uffff"
"""What XML cannot hold besides control characters."""


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write a suite for each case."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>"]
    for case in report.cases():
        lines += _suite(case)
    lines.append("</testsuites>")
    stream.write(("\n".join(lines) + "\n").encode())


def _suite(case: Case) -> Iterable[str]:
    failed = sum(not gate.passed for gate in case.gates)
    counts = {"tests": 1 + len(case.gates), "failures": failed, "errors": int(case.error is not None)}
    yield _tag("  <testsuite", {"name": case.name, **counts}, ">")
    if case.numbers:
        yield "    <properties>"
        for name, value in case.numbers.items():
            yield _tag("      <property", {"name": name, "value": number_text(value)}, "/>")
        yield "    </properties>"
    yield from _test(case.name, "score", "error", case.error)
    for gate in case.gates:
        yield from _test(case.name, gate.condition, "failure", None if gate.passed else gate.finding)
    yield "  </testsuite>"


def _test(suite: str, name: str, kind: str, message: str | None) -> Iterable[str]:
    attributes = {"classname": suite, "name": name, "time": "0"}
    if message is None:
        yield _tag("    <testcase", attributes, "/>")
        return
    yield _tag("    <testcase", attributes, ">")
    yield _tag(f"      <{kind}", {"type": "gate" if kind == "failure" else "error", "message": message}, "/>")
    yield "    </testcase>"


def _tag(start: str, attributes: Mapping[str, object], end: str) -> str:
    from xml.sax.saxutils import quoteattr

    texts = {name: visible(str(value)) for name, value in attributes.items()}
    for character in NO_CHARACTERS:
        texts = {name: text.replace(character, "\ufffd") for name, text in texts.items()}
    return f"{start} {' '.join(f'{name}={quoteattr(text)}' for name, text in texts.items())}{end}"
