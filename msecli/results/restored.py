"""Results read back from their JSON documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msecli.errors import Warned
from msecli.results.base import Number
from msecli.results.details import Interval, WorstElement
from msecli.results.gates import RELATIONS, GateResult
from msecli.results.score import Elements, Entry, Input, Macro, Result, Rows, Score


def restored(document: Mapping[str, Any]) -> Result:
    """Return the result whose `to_dict` is this document.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is none.
    """
    settings = dict(document["settings"])
    macro = document.get("macro")
    numbers = _not_finite(document)
    return Result(
        score=_score(document),
        reduction=document["reduction"],
        denominator_name=document["denominator_name"],
        inputs=tuple(Input(**{**each, "columns": tuple(each["columns"])}) for each in document["inputs"]),
        settings=settings,
        signature=document["signature"],
        version=document["version"],
        warnings=tuple(Warned(**each) for each in document["warnings"]),
        groups=_entries(document, "group"),
        columns=_entries(document, "column"),
        batches=_entries(document, "batch"),
        macro=None if macro is None else _macro(macro),
        penalties=_numbers(document.get("penalties", {}), numbers, "_penalty"),
        objective=_number(document.get("objective"), numbers, "objective"),
        gradient_norm=_number(document.get("gradient_norm"), numbers, "gradient_norm"),
        interval=_interval(document),
        worst=None if "worst" not in document else tuple(_worst(each) for each in document["worst"]),
        not_listed=document.get("groups_not_listed", 0),
        gates=tuple(_gate(each) for each in document.get("gates", ())),
        values=_values(document),
    )


PLURALS = {"group": "groups", "column": "columns", "batch": "batches"}


def _score(document: Mapping[str, Any]) -> Score:
    numbers = _not_finite(document)
    rows = {**document["rows"], "checked_by": tuple(document["rows"].get("checked_by", ()))}
    metrics = _numbers(document["metrics"], numbers)
    if document["status"] == "empty":
        metrics = {name: float("nan") if value is None else value for name, value in metrics.items()}
    return Score(
        _number(document["loss"], numbers, "loss"),
        document["status"],
        metrics,
        document["denominator"],
        Rows(**rows),
        Elements(**document["elements"]),
    )


def _entries(document: Mapping[str, Any], kind: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            kind,
            each[kind],
            _score(each),
            _number(each.get("running_mean"), _not_finite(each), "running_mean"),
            _number(each.get("gradient_norm"), _not_finite(each), "gradient_norm"),
            _interval(each),
        )
        for each in document.get(PLURALS[kind], ())
    )


def _macro(document: Mapping[str, Any]) -> Macro:
    numbers = _not_finite(document)
    return Macro(
        _number(document["loss"], numbers, "loss"),
        document["status"],
        _numbers(document["metrics"], numbers),
        document["entries"],
        document["left_out"],
    )


def _interval(document: Mapping[str, Any]) -> Interval | None:
    return Interval(**document["interval"]) if "interval" in document else None


def _worst(document: Mapping[str, Any]) -> WorstElement:
    numbers = _not_finite(document)
    return WorstElement(**{name: _number(document[name], numbers, name) for name in WorstElement._fields})


def _gate(document: Mapping[str, Any]) -> GateResult:
    known = {name: document[name] for name in GateResult._fields if name in document}
    relation = re.search(f" ({'|'.join(map(re.escape, RELATIONS))}) ", document["gate"])
    value = _number(document["value"], _not_finite(document), "value")
    return GateResult(**{**known, "value": value, "relation": relation[1] if relation else ">"})


def _not_finite(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers that JSON cannot hold."""
    return {name: float(word) for name, word in document.get("not_finite", {}).items()}


def _number(value: Number, not_finite: Mapping[str, float], name: str) -> Any:
    return not_finite.get(name, value) if value is None else value


def _numbers(values: Mapping[str, Number], not_finite: Mapping[str, float], suffix: str = "") -> dict[str, Any]:
    return {name: _number(value, not_finite, name + suffix) for name, value in values.items()}


def _values(document: Mapping[str, Any]) -> Any:
    if "values" not in document:
        return None
    import numpy as np

    return np.array(document["values"], dtype=np.float64).reshape(document["shape"])
