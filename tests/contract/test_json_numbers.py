"""Numbers that JSON cannot say: null, or words in the settings; every document is strict JSON, whatever is in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import msecli

Run = Callable[..., Any]


def strictly(text: str) -> Any:
    def refuse(word: str) -> NoReturn:
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def heavy(tmp_path: Path) -> Path:
    """Return a file of errors 1 and 1 whose weights add up to more than a float64 can hold."""
    path = tmp_path / "heavy.csv"
    path.write_text("pred,target,w,g\n1,2,1.7e308,a\n3,2,1.7e308,a\n")
    return path


def test_a_denominator_beyond_the_largest_number_is_null(run: Run, heavy: Path) -> None:
    ran = run("compute", heavy, "-w", "w", "--format", "json")
    document = strictly(ran.out)
    assert (ran.code, document["loss"], document["status"], document["denominator"]) == (0, 1.0, "ok", None)


@pytest.mark.parametrize("options", [["--by", "g"], ["--batch-size", "2"]], ids=" ".join)
def test_so_it_is_in_entries(run: Run, heavy: Path, options: list[str]) -> None:
    words = ["-p", "pred", "-t", "target", "-w", "w", *options]
    document = strictly(run("compute", heavy, *words, "--format", "json").out)
    entries = [entry for name in ("groups", "batches", "columns") for entry in document.get(name, ())]
    assert [(entry["loss"], entry["denominator"]) for entry in entries] == [(1.0, None)]


def test_so_it_is_in_files_and_in_python(run: Run, heavy: Path, tmp_path: Path) -> None:
    assert run("compute", heavy, "-w", "w", "-o", tmp_path / "o.json").code == 0
    document = strictly((tmp_path / "o.json").read_text())
    assert document == msecli.score(heavy, weight="w").to_dict()
    assert document["denominator"] is None
    assert msecli.score(heavy, weight="w").denominator == math.inf


@pytest.mark.parametrize(
    ("value", "said"), [("inf", "inf"), ("-inf", "-inf"), ("nan", "nan"), ("1e400", "inf"), ("7", 7.0)]
)
def test_settings_are_said_in_words(run: Run, heavy: Path, value: str, said: float | str) -> None:
    document = strictly(run("compute", heavy, "--ignore-index", value, "--format", "json").out)
    assert document["settings"]["ignore_index"] == [said]
    assert document["loss"] == 1.0


def test_a_gradient_check_with_any_tolerance_is_strict_json(run: Run, heavy: Path) -> None:
    ran = run("gradcheck", heavy, "-p", "pred", "-t", "target", "--tolerance", "inf", "--format", "json")
    document = strictly(ran.out)
    assert (ran.code, document["tolerance"], document["passed"]) == (0, None, True)


@pytest.mark.parametrize("prediction", ["inf", "1e300", "nan"])
@pytest.mark.parametrize(
    "words",
    [
        ["compute", "-m", "rmse,mae,bias,max_error,r2,l1,lp:3"],
        ["compute", "-m", "rmse,r2", "--by", "g"],
        ["compute", "--batch-size", "1"],
        ["compute", "-r", "none"],
        ["gradcheck", "-r", "sum"],
        ["norm", "--ord", "1,2,inf"],
    ],
    ids=" ".join,
)
def test_no_document_holds_a_bare_token(run: Run, tmp_path: Path, words: list[str], prediction: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"pred,target,g\n{prediction},2,a\n3,2,b\n")
    command, *options = words
    columns = ["-c", "pred"] if command == "norm" else ["-p", "pred", "-t", "target", "--nan-pred", "propagate"]
    ran = run(command, path, *columns, *options, "--format", "json")
    if command == "norm" and prediction == "nan":
        assert ran.code == 3
        return
    document = strictly(ran.out)
    assert document["schema"] == "msecli/1"
    if "loss" in document and "none" not in words:
        assert (document["loss"], document["status"]) == (None, "nan" if prediction == "nan" else "inf")
