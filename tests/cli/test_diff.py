"""What changed between two results: numbers, groups by label, the ledger, the signature.

The residuals of OLD are 1, 2 and 3: the loss is 14 / 3, in group "a" 2.5 and in "b" 9. Those of NEW are 1, 0 and 3, and
-1 in the new group "c": 11 / 4 = 2.75, in "a" 0.5.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli
from msecli.outputs import RENDERERS

Run = Callable[..., Any]
OLD = "yhat,y,g\n1,0,a\n2,0,a\n4,1,b\n"
NEW = "yhat,y,g\n1,0,a\n0,0,a\n4,1,b\n1,2,c\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """Go to a folder that holds old.json and new.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o.csv").write_text(OLD)
    (tmp_path / "n.csv").write_text(NEW)
    assert run("compute", "o.csv", "--by", "g", "-m", "max_error", "-o", "old.json").code == 0
    assert run("compute", "n.csv", "--by", "g", "-m", "max_error,bias", "-o", "new.json").code == 0
    return tmp_path


def document(run: Run, *arguments: str) -> Any:
    ran = run("diff", *arguments, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def test_numbers_are_shown_with_their_change(run: Run) -> None:
    found = document(run, "old.json", "new.json")
    numbers = {(each.get("kind"), each.get("label"), each["name"]): each for each in found["numbers"]}
    loss = numbers[None, None, "loss"]
    assert (loss["old"], loss["new"], loss["change"]) == (14 / 3, 2.75, 2.75 - 14 / 3)
    assert loss["relative"] == pytest.approx(2.75 / (14 / 3) - 1, rel=1e-15)
    assert [numbers[None, None, "bias"][name] for name in ("old", "new", "change")] == [None, 0.75, None]
    assert [numbers["group", "a", "loss"][name] for name in ("old", "new", "change")] == [2.5, 0.5, -2.0]
    assert [numbers["group", "c", "loss"][name] for name in ("old", "new")] == [None, 1.0]
    assert [numbers["macro", "macro", "loss"]["new"]] == [3.5]  # (0.5 + 9 + 1) / 3
    ledger = {each["name"]: (each["old"], each["new"]) for each in found["ledger"]}
    assert ledger["rows.used"] == (3, 4)
    assert (found["comparable"], found["changed"]) == (True, True)
    assert found["signature"] == [{"field": "used", "old": "3/3", "new": "4/4"}]


def test_the_table_has_what_changed(run: Run) -> None:
    ran = run("diff", "old.json", "new.json")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ran.code == 0
    assert lines[0] == ["old.json", "to", "new.json"]
    for line in (
        ["loss", "4.66667", "2.75", "-1.91667", "-41.07%"],
        ["bias", "0.75"],
        ["a", "loss", "2.5", "0.5", "-2", "-80.00%"],
        ["b", "loss", "9", "9", "0", "+0.00%"],
        ["c", "loss", "1"],
        ["rows.used", "3", "4", "1"],
        ["used", "3/3", "4/4"],
    ):
        assert line in lines


def test_equal_results_have_no_changes(run: Run) -> None:
    found = document(run, "old.json", "old.json")
    assert (found["changed"], found["comparable"], found["signature"]) == (False, True, [])
    assert "nothing changed" in run("diff", "old.json", "old.json").out


def test_other_signatures_are_shown_and_make_results_incomparable(run: Run) -> None:
    assert run("compute", "n.csv", "-r", "sum", "-o", "sum.json").code == 0
    found = document(run, "old.json", "sum.json")
    assert found["comparable"] is False
    assert found["signature"] == [
        {"field": "reduction", "old": "mean", "new": "sum"},
        {"field": "by", "old": "g", "new": None},
        {"field": "used", "old": "3/3", "new": "4/4"},
    ]
    ran = run("diff", "old.json", "sum.json")
    assert "not comparable: the signatures differ" in ran.out
    assert ["by", "g", "none"] in [line.split() for line in ran.out.splitlines()]


@pytest.mark.parametrize("format", [name for name, renderer in RENDERERS.items() if not renderer.binary])
def test_every_format_can_hold_it(run: Run, folder: Path, format: str) -> None:
    ran = run("diff", "old.json", "new.json", "-o", f"{format}=out.txt", "--format", format)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (folder / "out.txt").read_text() != ""


def test_rows_of_text_hold_every_digit(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("diff", "old.json", "new.json", "--format", "csv").out)))
    loss = next(row for row in rows if (row["part"], row["kind"], row["name"]) == ("number", "", "loss"))
    assert (float(loss["old"]), float(loss["change"])) == (14 / 3, 2.75 - 14 / 3)
    assert (rows[-1]["part"], rows[-1]["old_text"]) == ("signature", "3/3")


def test_columns_batches_norms_and_numbers_that_are_not_finite(run: Run) -> None:
    found = msecli.diff(msecli.norm([3.0, 4.0]), msecli.norm([3.0, math.inf]))
    assert [pair[3:] for pair in found.pairs] == [("2", 5.0, math.inf)]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["numbers"][0]["not_finite"] == {
        "new": "inf",
        "change": "inf",
        "relative": "inf",
    }
    old = msecli.score([1.0, 2.0, 3.0], [0.0] * 3, batch_size=2)
    new = msecli.score([1.0, 2.0, math.nan], [0.0] * 3, batch_size=2, nan_pred="propagate")
    pairs = {(pair.kind, pair.label, pair.name): pair for pair in msecli.diff(old, new).pairs}
    assert not pairs["batch", "0", "running_mean"].changed
    assert pairs["batch", "1", "loss"].changed
    assert not {each for each in msecli.diff(new, new).pairs if each.changed}


def test_files_that_are_no_results_are_refused_together(run: Run, folder: Path) -> None:
    (folder / "no.json").write_text('{"loss": 3}')
    ran = run("diff", "o.csv", "no.json")
    assert (ran.code, ran.out) == (3, "")
    assert "o.csv: this is no result of msecli in JSON" in ran.err
    assert "no.json: this is no result of msecli in JSON: it has no schema" in ran.err
    assert run("diff", "old.json", "nowhere.json").code == 4
    assert run("diff", "old.json").code == 2


def test_inputs_are_not_replaced(run: Run) -> None:
    ran = run("diff", "old.json", "new.json", "-o", "old.json", "--overwrite")
    assert (ran.code, "this is also the input old.json" in ran.err) == (2, True)
