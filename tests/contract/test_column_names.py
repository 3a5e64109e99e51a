"""A column's name means the same wherever it is given: exactly, else the only one that differs in case or blanks.

Expected losses are hand arithmetic, written beside the cases.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def csv(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


SCORED = ["-p", "pred", "-t", "target"]


@pytest.mark.parametrize(
    "words",
    [
        ["-w", "W"],
        ["--by", "W"],
        ["-p", "W", "-t", "target"],
        ["-p", "pred", "-t", "W"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("header", [" w,w ", "w,w ", " w, w "])
def test_of_several_names_alike_none_is_taken(run: Run, tmp_path: Path, header: str, words: list[str]) -> None:
    path = csv(tmp_path / "a.csv", f"{header},pred,target", "1,100,2,3", "100,1,5,3")
    ran = run("compute", path, *(words if "-p" in words else [*SCORED, *words]))
    assert (ran.code, ran.out) == (3, "")
    for name in header.split(","):
        assert repr(name) in ran.err


def test_of_several_keys_alike_none_is_taken(run: Run, tmp_path: Path) -> None:
    paths = [csv(tmp_path / f"{name}.csv", " id,id ,pred,target", "1,2,2,3", "2,1,5,3") for name in "ab"]
    ran = run("compute", *paths, *SCORED, "--on", "id")
    assert (ran.code, ran.out) == (3, "")
    assert f"{paths[0]}: no column is named exactly 'id'" in ran.err
    assert "' id' (number), 'id ' (number)" in ran.err


def test_a_weight_column_that_differs_in_case_is_taken_with_a_warning(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Weight ,pred,target", "1,2,3", "3,5,3")
    ran = run("compute", path, "-w", "weight")
    # (1·1 + 3·4) / 4
    assert (ran.code, ran.out) == (0, "3.25\n")
    assert "column 'Weight ' was taken for 'weight'" in ran.err


def test_keys_may_differ_in_case_between_the_files(run: Run, tmp_path: Path) -> None:
    first = csv(tmp_path / "a.csv", "ID,pred", "1,2", "2,5")
    second = csv(tmp_path / "b.csv", " id,target", "2,3", "1,3")
    ran = run("compute", first, second, "--on", "id")
    # Rows 1: 2 against 3, and 2: 5 against 3.
    assert (ran.code, ran.out) == (0, "2.5\n")
    assert ran.err.count("was taken for 'id'") == 2


def test_groups_of_another_case_are_taken_with_a_warning(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Region,pred,target", "n,2,3", "s,5,3")
    ran = run("compute", path, "--by", "region")
    assert (ran.code, ran.out.splitlines()[:2]) == (0, ["n\t1.0", "s\t4.0"])
    assert "column 'Region' was taken for 'region'" in ran.err


def test_the_exact_name_in_one_file_goes_before_one_alike_in_the_other(run: Run, tmp_path: Path) -> None:
    first = csv(tmp_path / "a.csv", "W,pred", "1,2", "1,5")
    second = csv(tmp_path / "b.csv", "w,target", "1,3", "3,3")
    ran = run("compute", first, second, "-w", "w")
    # (1·1 + 3·4) / 4
    assert (ran.code, ran.out, ran.err) == (0, "3.25\n", "")


def test_a_norm_warns_of_a_name_that_differs(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "Pred,other", "3,1", "4,1")
    ran = run("norm", path, "-c", "pred")
    assert (ran.code, ran.out) == (0, "5.0\n")
    assert "column 'Pred' was taken for 'pred'" in ran.err


def test_weights_may_be_in_a_column_without_a_name(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ",pred,target", "1,2,3", "3,5,3")
    ran = run("compute", path, "--weight", "")
    # (1·1 + 3·4) / 4
    assert (ran.code, ran.out, ran.err) == (0, "3.25\n", "")


def test_the_only_column_of_a_weight_file_may_be_without_a_name(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "pred,target", "2,3", "5,3")
    weights = csv(tmp_path / "w.csv", '""', "1", "3")
    ran = run("compute", path, "--weight-file", weights)
    assert (ran.code, ran.out, ran.err) == (0, "3.25\n", "")


def test_an_unnamed_column_is_a_key_a_group_a_prediction_and_a_vector(run: Run, tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", ",pred,target", "1,2,3", "3,5,3")
    assert run("compute", path, path, *SCORED, "--on", "").out == "2.5\n"
    assert run("compute", path, "--by", "").out.splitlines()[:2] == ["1\t1.0", "3\t4.0"]
    assert run("compute", path, "-p", "", "-t", "target").out == "2.0\n"
    assert run("norm", path, "-c", "").out == "3.1622776601683795\n"
