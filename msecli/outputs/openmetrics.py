"""The OpenMetrics text format, for Prometheus and what reads its files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from msecli.outputs.base import Style
from msecli.results.base import Case, Number, Report, marked, number_text

FAMILIES = {
    "msecli_loss": "Loss of predictions against targets.",
    "msecli_metric": "Metric of predictions against targets.",
    "msecli_gate_passed": "Whether a gate passed.",
    "msecli_passed": "Whether there is a score and all of its gates passed.",
}
"""The names of the families, and what they hold; all are gauges."""

Labels = Mapping[str, Any]
Sample = tuple[Labels, Number]


def write_result(stream: BinaryIO, report: Report, style: Style) -> None:
    """Write a sample for each number of each case, and of its groups, columns or batches."""
    cases = report.cases()
    samples: dict[str, list[Sample]] = {
        "msecli_loss": [each for each in _numbers(cases) if "metric" not in each[0]],
        "msecli_metric": [each for each in _numbers(cases) if "metric" in each[0]],
        "msecli_gate_passed": [
            ({"case": case.name, "gate": gate.condition}, int(gate.passed)) for case in cases for gate in case.gates
        ],
        "msecli_passed": [({"case": case.name}, int(case.passed)) for case in cases],
    }
    lines: list[str] = []
    for family, found in samples.items():
        # Two gates may be the same condition; a sample stands once.
        written = dict.fromkeys(
            f"{family}{{{_labels(labels)}}} {_number(value)}" for labels, value in found if value is not None
        )
        if written:
            lines += [f"# TYPE {family} gauge", f"# HELP {family} {FAMILIES[family]}", *written]
    stream.write(("\n".join([*lines, "# EOF"]) + "\n").encode())


def _numbers(cases: Iterable[Case]) -> Iterator[Sample]:
    for case in cases:
        for scope, numbers in (({}, case.numbers), *case.entries):
            for name, value in numbers.items():
                own = {"case": case.name} if name == "loss" else {"case": case.name, "metric": name}
                yield {**own, **_scope(scope)}, value


def _scope(labels: Labels) -> dict[str, str]:
    """Return the labels of a group under names that OpenMetrics allows, and that are not taken."""
    found: dict[str, str] = {}
    for name, label in labels.items():
        allowed = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        if not re.match(r"[a-zA-Z]", allowed) or allowed in ("case", "metric", "gate"):
            allowed = f"by_{allowed}"
        while allowed in found:
            allowed += "_"
        found[allowed] = str(marked(label))
    return found


def _labels(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    whole = text.encode(errors="replace").decode()  # names of files may hold bytes that are no UTF-8
    return whole.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return number_text(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
