"""Every reduction, everywhere, and one that only this test adds: nothing may compare a reduction's name.

Expected losses are `fractions.Fraction`s rounded once: the residuals are small integers, the weights dyadic fractions.
A new line in `REDUCTIONS` needs its divisor here, and is then tested like the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli.core.reduction import REDUCTIONS, Reduction

Run = Callable[..., Any]

PREDICTION = [[1.0, 2.0, 3.0], [4.0, 6.0, 8.0], [0.0, 1.0, 1.0], [5.0, 5.0, 9.0], [7.0, 0.0, 0.0]]
TARGET = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [2.0, -99.0, 2.0], [3.0, 3.0, 3.0], [-99.0, -99.0, -99.0]]
IGNORED = -99.0
"""One element of the third row, and all of the last."""
WEIGHTS = [1.0, 2.0, 0.5, 4.0, 8.0]
LABELS = ["a", "b", "a", "b", "a"]

Cell = tuple[int, int]
CELLS = [(row, column) for row in range(5) for column in range(3) if TARGET[row][column] != IGNORED]


def _weights(cells: Sequence[Cell], weights: Sequence[float]) -> Fraction:
    return sum((Fraction(weights[row]) for row, _ in cells), Fraction(0))


def _rows(cells: Sequence[Cell], weights: Sequence[float]) -> Fraction:
    return Fraction(len({row for row, _ in cells}))


DIVISORS: dict[str, Callable[[Sequence[Cell], Sequence[float]], Fraction]] = {
    "mean": _weights,
    "half": lambda cells, weights: 2 * _weights(cells, weights),
    "sum": lambda *_: Fraction(1),
    "batchmean": _rows,
    "per row, thrice": lambda cells, weights: 3 * _rows(cells, weights),
}
"""What the sum over some elements is divided by, for every reduction to one number."""

ADDED = (
    # Half of the mean: the reduction of those who put 1/2 in front of the square.
    Reduction("half", "half of the mean", lambda summary: 2 * summary.divisor, "elements"),
    Reduction("per row, thrice", "", lambda summary: 3 * summary.rows_used << 1074, "rows"),
)
WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
EACH = pytest.mark.parametrize("name", DIVISORS)
BY_ELEMENTS = pytest.mark.parametrize("name", [name for name in DIVISORS if "row" not in name and name != "batchmean"])


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    for reduction in ADDED:
        monkeypatch.setitem(REDUCTIONS, reduction.name, reduction)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, array in (("p", PREDICTION), ("t", TARGET), ("w", WEIGHTS)):
        np.save(tmp_path / f"{name}.npy", np.array(array))
    return [tmp_path / f"{name}.npy" for name in ("p", "t", "w")]


def weights_of(*, weighted: bool) -> list[float]:
    return WEIGHTS if weighted else [1.0] * 5


def loss(name: str, cells: Sequence[Cell], *, weighted: bool) -> float:
    """Return the reduced loss of some elements; nan where there are none."""
    weights = weights_of(weighted=weighted)
    total = sum(
        (
            Fraction(weights[row]) * Fraction(PREDICTION[row][column] - TARGET[row][column]) ** 2
            for row, column in cells
        ),
        Fraction(0),
    )
    return float(total / DIVISORS[name](cells, weights)) if cells else float("nan")


def gradient(name: str, *, weighted: bool) -> list[list[float]]:
    """Return 2 * w * (p - t) over the divisor, and 0 at what is ignored."""
    weights = weights_of(weighted=weighted)
    divisor = DIVISORS[name](CELLS, weights)

    def at(row: int, column: int) -> float:
        residual = Fraction(PREDICTION[row][column] - TARGET[row][column]) if (row, column) in CELLS else Fraction(0)
        return float(2 * Fraction(weights[row]) * residual / divisor)

    return [[at(row, column) for column in range(3)] for row in range(5)]


def in_row(*rows: int) -> list[Cell]:
    return [cell for cell in CELLS if cell[0] in rows]


def in_column(column: int) -> list[Cell]:
    return [cell for cell in CELLS if cell[1] == column]


def options_of(name: str, weight: Any, *, weighted: bool) -> dict[str, Any]:
    return {"reduction": name, "ignore_index": IGNORED} | ({"weight_file": weight} if weighted else {})


def test_every_reduction_to_one_number_has_its_divisor_here() -> None:
    assert {name for name, reduction in REDUCTIONS.items() if not reduction.keeps_elements} == set(DIVISORS)


@EACH
@WEIGHTED
def test_the_loss_of_files_is_the_sum_over_the_divisor(files: list[Path], name: str, *, weighted: bool) -> None:
    result = msecli.score(*files[:2], **options_of(name, files[2], weighted=weighted))
    assert result.loss == loss(name, CELLS, weighted=weighted)
    assert (result.reduction, result.elements.used, result.rows.used) == (name, len(CELLS), 4)
    unit = REDUCTIONS[name].unit
    assert result.denominator_name == ("weights" if weighted and unit == "elements" else unit)
    divisor = DIVISORS[name](CELLS, weights_of(weighted=weighted))
    assert result.denominator == (None if unit is None else float(divisor))


@BY_ELEMENTS
@WEIGHTED
def test_axes_have_the_losses_of_their_columns_and_rows(files: list[Path], name: str, *, weighted: bool) -> None:
    options = options_of(name, files[2], weighted=weighted)
    columns = msecli.score(*files[:2], axis=0, **options).columns
    assert [entry.score.loss for entry in columns] == [
        loss(name, in_column(column), weighted=weighted) for column in range(3)
    ]
    rows = msecli.score(*files[:2], axis=1, **options).values  # noqa: PD011 - not pandas
    assert rows is not None
    assert repr(rows.tolist()) == repr([loss(name, in_row(row), weighted=weighted) for row in range(5)])


@pytest.mark.parametrize("name", ["batchmean", "per row, thrice"])
def test_a_reduction_by_rows_has_no_axes(files: list[Path], name: str) -> None:
    with pytest.raises(msecli.UsageError, match=f"{name}, which divides by rows"):
        msecli.score(*files[:2], reduction=name, axis=1)


@EACH
@WEIGHTED
def test_groups_and_batches_have_the_losses_of_their_rows(name: str, *, weighted: bool) -> None:
    names = ["x", "y", "z"]
    prediction = pd.DataFrame(PREDICTION, columns=names)
    target = pd.DataFrame(TARGET, columns=names).assign(g=LABELS)
    weight = np.array(WEIGHTS)
    pairs: dict[str, Any] = {"pred": names, "target": names, **options_of(name, weight, weighted=weighted)}
    groups = msecli.score(prediction, target, by="g", metrics="sse", **pairs)
    assert [entry.score.loss for entry in groups.groups] == [
        loss(name, in_row(0, 2, 4), weighted=weighted), loss(name, in_row(1, 3), weighted=weighted),
    ]  # fmt: skip
    # A metric does not know of the reduction.
    assert [entry.score.metrics["sse"] for entry in groups.groups] == [
        loss("sum", in_row(0, 2, 4), weighted=weighted), loss("sum", in_row(1, 3), weighted=weighted),
    ]  # fmt: skip
    assert groups.loss == loss(name, CELLS, weighted=weighted)
    batches = msecli.score(prediction, target, batch_size=2, **pairs).batches
    assert [entry.score.loss for entry in batches[:2]] == [
        loss(name, in_row(0, 1), weighted=weighted), loss(name, in_row(2, 3), weighted=weighted),
    ]  # fmt: skip
    assert (batches[2].score.loss, batches[2].score.status) == (None, "empty")


@EACH
@WEIGHTED
def test_gradients_are_divided_as_the_loss_is(files: list[Path], name: str, *, weighted: bool) -> None:
    expected = gradient(name, weighted=weighted)
    options = options_of(name, files[2], weighted=weighted)
    kept = msecli.score(*files[:2], keep=["grad", "grad_target"], **options).arrays
    assert kept["grad"].tolist() == expected
    assert kept["grad_target"].tolist() == [[0.0 - value for value in row] for row in expected]
    weight: dict[str, Any] = {"weight": WEIGHTS} if weighted else {}
    module = msecli.MSELoss(reduction=name, ignore_index=IGNORED, **weight)
    assert module(PREDICTION, TARGET) == loss(name, CELLS, weighted=weighted)
    assert module.backward()[0].tolist() == expected
    arrays: dict[str, Any] = {"reduction": name, "ignore_index": IGNORED, **weight}
    assert msecli.mse_loss(PREDICTION, TARGET, **arrays) == loss(name, CELLS, weighted=weighted)
    assert msecli.mse_loss_grad(PREDICTION, TARGET, **arrays).tolist() == expected


@EACH
def test_gradients_whose_divisor_is_known_beforehand_are_the_same(files: list[Path], name: str) -> None:
    """Without anything to leave out, files hand gradients on as they come."""
    kept = msecli.score(*files[:2], reduction=name, keep="grad").arrays["grad"]
    assert kept.tolist() == msecli.mse_loss_grad(PREDICTION, TARGET, reduction=name).tolist()
    assert (
        kept.tolist() == msecli.score(*files[:2], reduction=name, keep="grad", nan_pred="omit").arrays["grad"].tolist()
    )


@EACH
def test_models_have_the_gradient_of_the_reduced_loss(name: str) -> None:
    """Inputs 1, 4, 0 and the coefficient 1: the residuals are 1, 3 and -2, the derivative of their squares 2 * 13."""
    inputs, target = [1.0, 4.0, 0.0], [0.0, 1.0, 2.0]
    divisor = DIVISORS[name]([(0, 0), (1, 0), (2, 0)], [1.0] * 3)
    expected = float(Fraction(14) / divisor), [float(Fraction(26) / divisor)]
    result = msecli.linear_loss(inputs, target, [1.0], reduction=name)
    assert (result.loss, result.grad_coef.tolist()) == expected
    scored = msecli.linear([[value] for value in inputs], target, coef=[1.0], reduction=name)
    assert (scored.loss, scored.arrays["grad_coef"].tolist()) == expected
    assert msecli.gradcheck(inputs, target, reduction=name).passed
    assert msecli.gradcheck([[value] for value in inputs], target, coef=[1.0], reduction=name).passed


@EACH
@WEIGHTED
def test_an_accumulator_divides_in_the_end(name: str, *, weighted: bool) -> None:
    total = msecli.Accumulator(reduction=name, ignore_index=IGNORED)
    for rows in (slice(0, 1), slice(1, 4), slice(4, 5)):
        total.update(PREDICTION[rows], TARGET[rows], WEIGHTS[rows] if weighted else None)
    assert total.result().loss == loss(name, CELLS, weighted=weighted)


@EACH
def test_the_document_says_the_loss_of_what_reduction_it_is(run: Run, files: list[Path], name: str) -> None:
    """The choices of the command line are taken from the table when it starts, so this is the document of Python."""
    document = msecli.score(*files[:2], reduction=name, ignore_index=IGNORED).to_dict()
    assert json.loads(json.dumps(document))["loss"] == loss(name, CELLS, weighted=False)
    assert (document["reduction"], document["settings"]["reduction"]) == (name, name)
    assert f"|reduction:{name}|" in document["signature"]
    if not any(name == reduction.name for reduction in ADDED):
        ran = run("compute", *files[:2], "-r", name, "--ignore-index", IGNORED, "--format", "json")
        assert json.loads(ran.out)["loss"] == document["loss"]


@pytest.mark.parametrize("name", [name for name, reduction in REDUCTIONS.items() if reduction.keeps_elements])
@WEIGHTED
def test_a_reduction_that_keeps_elements_has_the_loss_of_each(files: list[Path], name: str, *, weighted: bool) -> None:
    cells = [[[cell] if (cell := (row, column)) in CELLS else [] for column in range(3)] for row in range(5)]
    expected = [[loss("sum", cell, weighted=weighted) for cell in row] for row in cells]
    result = msecli.score(*files[:2], **options_of(name, files[2], weighted=weighted))
    assert result.loss is None
    assert result.values is not None  # noqa: PD011 - not pandas
    assert repr(result.values.tolist()) == repr(expected)  # noqa: PD011 - not pandas
    weight: dict[str, Any] = {"weight": WEIGHTS} if weighted else {}
    losses: Any = msecli.mse_loss(PREDICTION, TARGET, reduction=name, ignore_index=IGNORED, **weight)
    assert repr(losses.tolist()) == repr(expected)
    with pytest.raises(msecli.UsageError, match="keeps every element"):
        msecli.Accumulator(reduction=name)
    with pytest.raises(msecli.UsageError, match="no gradient"):
        msecli.score(*files[:2], reduction=name, keep="grad")
