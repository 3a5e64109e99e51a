"""Random rows, in any format and in tiny blocks, have the scores that pandas and fractions say, to the bit."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from msecli.cli.main import main
from tests.fuzz.cases import Fuzz, Mismatch, compare
from tests.fuzz.rows import RowsCase, rows_case, write
from tests.fuzz.rows_reference import RefusedError, reference
from tests.fuzz.sizes import reading_in


@pytest.mark.slow
def test_rows_have_the_scores_that_pandas_and_fractions_say(fuzz: Fuzz, tmp_path: Path) -> None:
    def describe(random: Random) -> str:
        case = rows_case(random)
        tables = "\n".join(f"  {name}: {table!r}" for name, table in case.tables.items())
        words = " ".join(word.replace(str(tmp_path) + "/", "") for word in write(case, tmp_path))
        written = f"{case.weights}, row groups of {case.row_group}, {dict(case.sizes)}"
        return f"{tables}\n  {written}\n  msecli compute {words}"

    fuzz.run(lambda random: check(rows_case(random), tmp_path), describe)


def check(case: RowsCase, folder: Path) -> None:
    code, message = scored(case, folder)
    try:
        expected = reference(case)
    except RefusedError as error:
        if code != 3:
            raise Mismatch(f"exit {code}, though {error}: {last_line(message)}", message) from error
        return
    if code != 0:
        raise Mismatch(f"exit {code}: {last_line(message)}", message)
    document = json.loads((folder / "o.json").read_text())
    if case.by:
        document["groups"] = by_labels(document["groups"])
        compare(len(document["groups"]), len(expected["groups"]), " number of groups")
    gradient = expected.pop("gradient")
    compare(document, expected)
    found = np.load(folder / "g.npy").reshape(gradient.shape) if case.gradient else gradient
    if not np.array_equal(found, gradient, equal_nan=True):
        raise Mismatch("other gradient", f"expected {gradient.tolist()}, found {found.tolist()}")


def last_line(message: str) -> str:
    """Return what is said last, or the exception of which it is said that it is a bug."""
    return ([line for line in message.splitlines() if "this is a bug" not in line] or [""])[-1]


def scored(case: RowsCase, folder: Path) -> tuple[int, str]:
    """Run the command, and return its exit code and what it says on standard error."""
    words = [*write(case, folder), "-o", str(folder / "o.json"), "--overwrite"]
    words += ["--grad", str(folder / "g.npy")] if case.gradient else []
    stderr = io.StringIO()
    with reading_in(case.sizes), contextlib.redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
        main(["compute", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code, stderr.getvalue()


def by_labels(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the entries of groups by their labels, as text whether or not these are numbers."""
    return {repr([v if v is None else str(v) for v in entry["group"].values()]): entry for entry in entries}
