"""Labels of text files are integers only where each is written as Python writes one; else they are text, as written.

Expected keys and groups are what was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

ODD = [" 7", "7 ", "+7", "-0", "007", "0x7", "7.0", "7e0", "1_0", "99999999999999999999", "-07", "\t7"]


def write(path: Path, name: str, labels: list[str]) -> Path:
    path.write_text(f"id,{name},other\n" + "".join(f"{label},{row},007\n" for row, label in enumerate(labels)))
    return path


@pytest.mark.parametrize(("odd", "before"), [*((odd, 2) for odd in ODD), (" 7", 400_000), ("007", 400_000)])
def test_a_label_in_an_odd_spelling_stays_text(odd: str, before: int, tmp_path: Path, run: Run) -> None:
    # Two groups beside the odd one; the long file has the odd label in another part than the first.
    path = tmp_path / "x.csv"
    path.write_text("pred,target,g\n" + "1,2,7\n" * before + "1,2,10\n" + f"1,2,{odd}\n")
    groups = json.loads(run("compute", path, "--by", "g", "--format", "json").out)["groups"]
    assert {entry["group"]["g"]: entry["rows"]["used"] for entry in groups} == {"7": before, "10": 1, odd: 1}


def test_an_odd_integer_elsewhere_leaves_labels_integers(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target,g,other\n1,2,10,007\n1,2,9,+7\n1,2,-3, 7\n")
    groups = json.loads(run("compute", path, "--by", "g", "--format", "json").out)["groups"]
    assert [entry["group"]["g"] for entry in groups] == [-3, 9, 10]


@pytest.mark.parametrize("odd", ODD)
def test_keys_are_paired_as_they_are_written(odd: str, tmp_path: Path, run: Run) -> None:
    one = write(tmp_path / "p.csv", "pred", ["1", odd, "7", "10"])
    two = write(tmp_path / "t.csv", "target", ["10", "7", odd, "1"])
    document = json.loads(run("compute", one, two, "--on", "id", "--format", "json").out)
    # Rows 0, 1, 2, 3 against 3, 2, 1, 0: residuals 3, 1, 1, 3.
    assert (document["rows"]["matched"], document["loss"]) == (4, 5.0)
    plain = write(tmp_path / "u.csv", "target", ["10", "7", "8", "1"])
    ran = run("compute", one, plain, "--on", "id", "--unmatched", "skip", "--format", "json")
    if odd == "7.0":  # where spellings differ, keys are compared by value, and this one is there twice
        assert (ran.code, "1 duplicate key in 'id'" in ran.err) == (3, True)
        return
    assert json.loads(ran.out)["rows"]["matched"] == 3
