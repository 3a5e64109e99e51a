"""The words that mean missing in text, in numbers, keys and groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli

Run = Callable[..., Any]

WORDS = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT"]


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("word", [*WORDS, "NAN", "-nan", "+NaN"])
def test_a_word_is_a_missing_number(word: str, *, long: bool, tmp_path: Path, run: Run) -> None:
    # Longer than 1 MiB, text is read another way.
    count = 300_000 if long else 3
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n" + "1,2\n" * count + f"{word},2\n1,{word}\n")
    document = json.loads(run("compute", path, "--nan-policy", "omit", "--nan-pred", "omit", "--format", "json").out)
    elements = document["elements"]
    assert (document["loss"], elements["nan_prediction"], elements["nan_target"]) == (1.0, 1, 1)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_a_missing_label(word: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"pred,target,id\n1,2,a\n1,2,{word}\n")
    groups = json.loads(run("compute", path, "--by", "id", "--format", "json").out)["groups"]
    assert [entry["group"] for entry in groups] == [{"id": "a"}, {"id": None}]
    ran = run("compute", path, path, "-p", "pred", "-t", "target", "--on", "id")
    assert ran.code == 3
    assert "1 row without a key in 'id', the first in row 2" in ran.err


MOSTLY_MISSING = "yhat,y\ngone,2\ngone,3\n1,2\n"
"""Without the word for missing, most of the first column is text."""


def test_a_column_is_told_from_the_fields_that_are_not_missing(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "x.csv"
    path.write_text(MOSTLY_MISSING)
    assert "'yhat' looks like the prediction, but holds no numbers" in run("compute", path).err
    assert run("compute", path, "--na-values", "gone", "--nan-pred", "omit").out == "1.0\n"


@pytest.mark.parametrize("words", ["gone", ["gone"], ("?", "gone"), {"gone"}])
def test_python_callers_give_one_word_or_several(words: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(MOSTLY_MISSING)
    for reading in (msecli.Reading(na_values=words), {"both": msecli.Reading(na_values=words)}):
        files = (str(path), str(path)) if isinstance(reading, dict) else (str(path),)
        assert msecli.score(*files, pred="yhat", target="y", nan_pred="omit", reading=reading).loss == 1.0


def test_a_word_that_is_a_number_is_given_as_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("yhat,y\n-999,2\n1,2\n")
    with pytest.raises(msecli.UsageError, match=r"^Reading\.na_values: -999 is neither a name nor several names$"):
        msecli.score(str(path), reading=msecli.Reading(na_values=-999))  # type: ignore[arg-type]
    assert msecli.score(str(path), reading=msecli.Reading(na_values="-999"), nan_pred="omit").loss == 1.0
