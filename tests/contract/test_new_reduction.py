"""A reduction added to the table works everywhere without another line of code: nothing compares its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.core.reduction import REDUCTIONS, Reduction

Run = Callable[..., Any]

PREDICTION = [[1.0, 2.0, 3.0], [4.0, 6.0, 8.0], [0.0, 1.0, 1.0], [5.0, 5.0, 9.0]]
TARGET = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]]
SQUARES = (np.array(PREDICTION) - np.array(TARGET)) ** 2
WEIGHT = [1.0, 2.0, 0.5, 4.0]


@pytest.fixture(autouse=True)
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the mean: the reduction of those who put 1/2 in front of the square."""
    reduction = Reduction("half", "half of the mean", lambda summary: 2 * summary.divisor, "elements")
    monkeypatch.setitem(REDUCTIONS, "half", reduction)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, array in (("p", PREDICTION), ("t", TARGET), ("w", WEIGHT)):
        np.save(tmp_path / f"{name}.npy", np.array(array))
    return [tmp_path / f"{name}.npy" for name in ("p", "t", "w")]


def halved(squares: np.ndarray[Any, Any], weight: Any, axis: int | None = None) -> Any:
    return np.average(squares, axis=axis, weights=weight) / 2


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_it_scores_whole_files_and_along_every_axis(files: list[Path], *, weighted: bool) -> None:
    weight = np.repeat(np.array(WEIGHT), 3).reshape(4, 3) if weighted else None
    options: dict[str, Any] = {"reduction": "half"} | ({"weight_file": files[2]} if weighted else {})
    whole = msecli.score(files[0], files[1], **options)
    assert whole.loss == pytest.approx(halved(SQUARES, weight), rel=1e-15)
    assert whole.denominator_name == ("weights" if weighted else "elements")
    columns = msecli.score(files[0], files[1], axis=0, **options).columns
    assert [entry.score.loss for entry in columns] == pytest.approx(halved(SQUARES, weight, 0), rel=1e-15)
    rows = msecli.score(files[0], files[1], axis=1, **options).values
    assert rows is not None
    assert rows.tolist() == pytest.approx(halved(SQUARES, weight, 1), rel=1e-15)


def test_it_scores_groups_and_batches(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("pred,target,g\n1,0,a\n4,1,b\n0,2,a\n5,3,b\n")
    groups = msecli.score(path, reduction="half", by="g", metrics="mse")
    assert [entry.score.loss for entry in groups.groups] == [1.25, 3.25]
    assert [entry.score.metrics["mse"] for entry in groups.groups] == [2.5, 6.5]
    batches = msecli.score(path, pred_columns="pred", target_columns="target", reduction="half", batch_size=3)
    assert [entry.score.loss for entry in batches.batches] == [(1 + 9 + 4) / 6, 2.0]


def test_arrays_and_gradients_know_it(run: Run, tmp_path: Path) -> None:
    p, t = [1.0, 4.0, 0.0], [0.0, 1.0, 2.0]
    assert msecli.mse_loss(p, t, reduction="half") == 14 / 6
    assert msecli.mse_loss_grad(p, t, reduction="half").tolist() == [1 / 3, 1.0, -2 / 3]
    assert msecli.linear_loss(p, t, [1.0], reduction="half").grad_coef.tolist() == [13 / 3]
    path = tmp_path / "table.csv"
    path.write_text("pred,target\n1,0\n4,1\n0,2\n")
    result = msecli.score(path, reduction="half")
    assert (result.loss, result.denominator, result.reduction) == (14 / 6, 6, "half")
    assert json.loads(run("gradcheck", path, "--format", "json").out)["passed"]


def test_a_reduction_by_rows_is_divided_by_the_used_rows(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REDUCTIONS, "twice", Reduction("twice", "", lambda s: s.rows_used * 2**1075, "rows"))
    result = msecli.score(files[0], files[1], reduction="twice", weight_file=files[2])
    assert result.loss == pytest.approx((SQUARES * np.array(WEIGHT)[:, np.newaxis]).sum() / 8, rel=1e-15)
    assert result.denominator_name == "rows"
    with pytest.raises(msecli.UsageError, match="twice divides by rows"):
        msecli.score(files[0], files[1], reduction="twice", axis=1)
