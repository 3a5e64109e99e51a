"""Random rows, in any format and in tiny blocks, have the scores that pandas and fractions say, to the bit."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from msecli.cli.main import main
from tests.fuzz.cases import Fuzz, Mismatch
from tests.fuzz.exact import rounded, same, total
from tests.fuzz.rows import RowsCase, rows_case, write
from tests.fuzz.rows_reference import Expected, RefusedError, Score, reference
from tests.fuzz.sizes import reading_in

CLOSE = {"l2": 1e-15}
"""Metrics whose last bit is not promised: the relative error that they may have."""


def test_rows_have_the_scores_that_pandas_and_fractions_say(fuzz: Fuzz, tmp_path: Path) -> None:
    def describe(random: Random) -> str:
        case = rows_case(random)
        tables = "\n".join(f"  {name}: {table!r}" for name, table in case.tables.items())
        words = " ".join(word.replace(str(tmp_path) + "/", "") for word in write(case, tmp_path))
        written = f"{case.weights}, row groups of {case.row_group}, {dict(case.sizes)}"
        return f"{tables}\n  {written}\n  msecli compute {words}"

    fuzz.run(lambda random: check(rows_case(random), tmp_path), describe)


def check(case: RowsCase, folder: Path) -> None:
    code, message, document, gradient = scored(case, folder)
    try:
        expected = reference(case)
    except RefusedError as error:
        if code != 3:
            raise Mismatch(f"exit {code}, though {error}: {last_line(message)}", message) from error
        return
    if code != 0:
        raise Mismatch(f"exit {code}: {last_line(message)}", message)
    check_document(case, document, expected)
    if case.gradient:
        check_array("gradient", gradient, expected.gradient)


def last_line(message: str) -> str:
    return (message.strip().splitlines() or [""])[-1]


def scored(case: RowsCase, folder: Path) -> tuple[int, str, dict[str, Any], Any]:
    """Return the exit code of the command, what it says on standard error, its document, and the gradient."""
    words = [*write(case, folder), "-o", str(folder / "o.json"), "--overwrite"]
    if case.gradient:
        words += ["--grad", str(folder / "g.npy")]
    with (
        reading_in(case.sizes),
        contextlib.redirect_stderr(io.StringIO()) as stderr,
        pytest.raises(SystemExit) as ended,
    ):
        main(["compute", *words])
    code = ended.value.code
    assert isinstance(code, int)
    if code != 0:
        return code, stderr.getvalue(), {}, None
    gradient = np.load(folder / "g.npy") if case.gradient else None
    return code, stderr.getvalue(), json.loads((folder / "o.json").read_text()), gradient


def check_document(case: RowsCase, document: dict[str, Any], expected: Expected) -> None:
    rows = dict(document["rows"])
    expect("rows", rows, expected.rows)
    check_score("total", document, expected.score)
    groups = {
        tuple(None if label is None else str(label) for label in entry["group"].values()): entry
        for entry in document.get("groups", [])
    }
    expect("groups", sorted(map(repr, groups)), sorted(map(repr, expected.groups)))
    for labels, score in expected.groups.items():
        check_score("group", groups[labels], score, part=True)
    batches = document.get("batches", [])
    expect("batches", [entry["batch"] for entry in batches], [number for number, _, _ in expected.batches])
    for entry, (_, score, running) in zip(batches, expected.batches, strict=True):
        check_score("batch", entry, score, part=True)
        expect_number("running mean", entry["running_mean"], running)
    columns = document.get("columns", [])
    for entry, score in zip(columns, expected.columns, strict=True):
        check_score("column", entry, score)
    parts = [*expected.groups.values()] or expected.columns or [score for _, score, _ in expected.batches]
    losses = [score.loss for score in parts if score.loss is not None]
    if losses:
        expect_number("mean of the parts", document["macro"]["loss"], rounded(total(losses)) / len(losses))
    if expected.values is not None:
        check_array("values", document["values"], expected.values)


def check_score(what: str, found: Mapping[str, Any], expected: Score, *, part: bool = False) -> None:
    expect_number(f"loss of a {what}", found["loss"], expected.loss)
    if expected.loss is not None:
        word = "nan" if math.isnan(expected.loss) else "ok" if math.isfinite(expected.loss) else "inf"
        expect(f"status of a {what}", found["status"], word)
    expect_number(f"denominator of a {what}", found["denominator"], expected.denominator)
    expect(f"elements of a {what}", found["elements"], expected.elements)
    if part:
        expect(f"rows of a {what}", (found["rows"]["matched"], found["rows"]["used"]), expected.rows)
    # An entry without a loss has no metrics, not even those that no weight of 0 takes away.
    for name, value in expected.metrics.items() if found["status"] != "empty" else ():
        expect_number(f"{name} of a {what}", found["metrics"][name], value, CLOSE.get(name, 0.0))


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Mismatch(f"other {what}", f"expected {expected}, found {found}")


def expect_number(what: str, found: float | None, expected: float | None, close: float = 0.0) -> None:
    """Compare numbers of JSON, which has null for nan and infinities."""
    finite = expected if expected is not None and math.isfinite(expected) else None
    if not same(found, finite) and not (found and finite and math.isclose(found, finite, rel_tol=close)):
        raise Mismatch(f"other {what}", f"expected {expected}, found {found}")


def check_array(what: str, found: Any, expected: np.ndarray) -> None:
    values = np.array(found, dtype=np.float64).reshape(-1)
    # JSON has null for infinities, too; an array of the gradient does not.
    wanted = (expected if isinstance(found, np.ndarray) else np.where(np.isfinite(expected), expected, np.nan)).reshape(
        -1
    )
    if not np.array_equal(values, wanted, equal_nan=True):
        raise Mismatch(f"other {what}", f"expected {wanted.tolist()}, found {values.tolist()}")
