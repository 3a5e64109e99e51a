"""Weights that are all 0 in a part of the rows, and parts of a file without rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

TABLE = "pred,target,w,g\n1,2,0,a\n3,5,1,b\n"
METRICS = "mse,rmse,mae,bias,r2,sse,max_error,l1,l2,lp:3,linf"


@pytest.mark.parametrize("reduction", ["sum", "batchmean"])
@pytest.mark.parametrize(("option", "kind"), [(("--by", "g"), "groups"), (("--batch-size", "1"), "batches")])
def test_a_part_without_weight_has_no_mean_but_all_that_needs_no_weight(
    run: Run, tmp_path: Path, reduction: str, option: tuple[str, str], kind: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    columns = ("-p", "pred", "-t", "target", "-w", "w")
    ran = run("compute", path, *columns, *option, "-m", METRICS, "-r", reduction, "--format", "json")
    assert ran.code == 0, ran.err
    weightless, weighted = json.loads(ran.out)[kind]
    # A sum over nothing is 0; a mean over nothing is none.
    assert (weightless["loss"], weightless["status"]) == (0.0, "ok")
    means = dict.fromkeys(("mse", "rmse", "mae", "bias", "r2"))
    assert weightless["metrics"] == {
        **means, "sse": 0.0, "max_error": 1.0, "l1": 1.0, "l2": 1.0, "lp:3": 1.0, "linf": 1.0,
    }  # fmt: skip
    assert weightless["not_finite"] == dict.fromkeys(means, "nan")
    assert (weighted["loss"], weighted["metrics"]["mse"], weighted["metrics"]["rmse"]) == (4.0, 4.0, 2.0)


def test_a_part_without_weight_is_empty_for_the_mean(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    ran = run("compute", path, "-w", "w", "--by", "g", "-m", "mae", "--format", "json")
    assert ran.code == 0, ran.err
    assert [entry["status"] for entry in json.loads(ran.out)["groups"]] == ["empty", "ok"]


@pytest.fixture
def blank_tail(tmp_path: Path) -> Path:
    """Return a file whose last parts, of 2 MiB each, have blank lines and no rows."""
    path = tmp_path / "tail.csv"
    path.write_bytes(b"a,b\n" + b"1.5,2.5\n" * 3 + b"\n" * 5_000_000)
    return path


def test_losses_of_rows_are_there_where_pieces_have_no_rows(run: Run, blank_tail: Path) -> None:
    ran = run("compute", blank_tail, blank_tail, "--axis", "1")
    assert (ran.code, ran.out) == (0, "0\n0\n0\n")


def test_a_model_is_scored_where_pieces_have_no_rows(run: Run, blank_tail: Path, tmp_path: Path) -> None:
    coef = tmp_path / "coef.npy"
    np.save(coef, [1.0])
    predictions, gradient = tmp_path / "predictions.csv", tmp_path / "gradient.npy"
    options = ("-x", "a", "-t", "b", "--coef", coef, "--predictions", predictions, "--grad-coef", gradient)
    ran = run("linear", blank_tail, *options)
    assert (ran.code, ran.out) == (0, "1.0\n")
    with predictions.open() as file:
        assert list(csv.reader(file))[1:] == [["1.5"]] * 3
    # Of every row: twice the error, -1, times the input, 1.5.
    assert np.load(gradient).tolist() == [-3.0]
