"""Losses along some axes of an array.

Expected values are `fractions.Fraction` means over NumPy's own indexing, and `numpy.mean` and `numpy.sum` along the
same axes (NumPy 2.4) within its rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import msecli
from msecli.core.axes import kept_axes, losses_of_items, losses_of_rows
from msecli.core.chunk import Chunk
from msecli.core.reduction import reduction_named
from msecli.core.state import LossState, Rules
from msecli.errors import DataError

Run = Callable[..., Any]
Array = NDArray[np.float64]

SHAPES = [(5,), (4, 3), (4, 1), (1, 3), (3, 4, 2), (2, 1, 3), (2, 3, 2, 2)]


def axis_sets(dimensions: int) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(range(dimensions), count) for count in range(1, dimensions + 1))


CASES = [(shape, axes) for shape in SHAPES for axes in axis_sets(len(shape))]


@pytest.mark.parametrize(
    ("axes", "dimensions", "kept"),
    [
        ((0,), 1, ()),
        ((0,), 2, (1,)),
        ((1,), 2, (0,)),
        ((-1,), 2, (0,)),
        ((-2,), 2, (1,)),
        ((0, 2), 3, (1,)),
        ((2, 0), 3, (1,)),
        ((-1, 0), 3, (1,)),
        ((1,), 3, (0, 2)),
        ((0, 1, 2), 3, ()),
    ],
)
def test_the_axes_that_are_left_are_numpys(axes: tuple[int, ...], dimensions: int, kept: tuple[int, ...]) -> None:
    assert kept_axes(axes, dimensions) == kept
    shape = tuple(range(2, 2 + dimensions))
    assert np.zeros(shape).sum(axis=axes).shape == tuple(shape[axis] for axis in kept)


@pytest.mark.parametrize(("axis", "dimensions"), [(1, 1), (-2, 1), (2, 2), (-3, 2), (3, 3), (100, 3)])
def test_an_axis_out_of_range_is_refused(axis: int, dimensions: int) -> None:
    with pytest.raises(
        DataError, match=rf"^axis {axis} is out of range: the data have (only axis 0|axes 0 to {dimensions - 1})$"
    ):
        kept_axes([axis], dimensions)


@pytest.mark.parametrize(("axes", "twice"), [((0, 0), 0), ((1, -1), 1), ((0, 1, -2), 0), ((-1, 0, -1), 1)])
def test_an_axis_that_is_named_twice_is_refused(axes: tuple[int, ...], twice: int) -> None:
    with pytest.raises(DataError, match=f"^axis {twice} is named twice$"):
        kept_axes(axes, 2)


def along(values: Array, weight: Array, axes: tuple[int, ...], reduction: str) -> Array:
    """Return the losses along the axes, NaN where no element is used, by fractions: NaN is an unused element."""
    kept = [axis for axis in range(values.ndim) if axis not in axes]
    shape = tuple(values.shape[axis] for axis in kept)
    losses = np.full(shape, math.nan)
    for position in product(*map(range, shape)):
        where: list[Any] = [slice(None)] * values.ndim
        for axis, number in zip(kept, position, strict=True):
            where[axis] = number
        cells = [pair for pair in zip(values[tuple(where)].flat, weight[tuple(where)].flat, strict=True)]  # noqa: C416
        used = [(Fraction(value), Fraction(w)) for value, w in cells if not math.isnan(value)]
        divisor = sum(w for _, w in used) if reduction == "mean" else int(bool(used))
        if divisor:
            losses[position] = float(sum(value for value, _ in used) / divisor)
    return losses


def random_arrays(seed: int, shape: tuple[int, ...], *, holes: bool) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    prediction, target, weight = (np.ldexp(rng.standard_normal(shape), rng.integers(-9, 9, shape)) for _ in range(3))
    if holes:
        target[rng.random(shape) < 0.4] = np.nan
    return prediction, target, np.abs(weight)


def losses_along(chunk: Chunk, axes: tuple[int, ...], reduction: str) -> Array:
    """Return the losses as the command makes them: row by row where rows are kept, else from the columns."""
    kept, item = kept_axes(axes, chunk.prediction.ndim), chunk.prediction.shape[1:]
    terms = ("squared_error", "weight")
    if kept[:1] == (0,):
        rules = Rules(terms, nan_target="omit")
        parts = [chunk.slice(start, start + 2) for start in range(0, chunk.rows, 2)]
        return np.concatenate([losses_of_rows(part, rules, kept, reduction_named(reduction)) for part in parts])
    state = LossState.of(chunk, Rules(terms, columns=math.prod(item), nan_target="omit"))
    return losses_of_items(state, item, kept, reduction_named(reduction))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32), st.sampled_from(CASES), st.sampled_from(["mean", "sum"]), st.booleans(), st.booleans())
def test_losses_along_axes_are_fractions_rounded_once(
    seed: int, case: tuple[tuple[int, ...], tuple[int, ...]], reduction: str, weighted: bool, holes: bool
) -> None:
    shape, axes = case
    prediction, target, weight = random_arrays(seed, shape, holes=holes)
    ones = np.ones(shape)
    squares = np.square(prediction - target) * (weight if weighted else ones)
    expected = along(squares, weight if weighted else ones, axes, reduction)
    chunk = Chunk(prediction, target, weight=weight if weighted else None)
    np.testing.assert_array_equal(losses_along(chunk, axes, reduction), expected)


@pytest.mark.parametrize(("shape", "axes"), CASES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_files_of_arrays_reduce_as_numpy_does(
    tmp_path: Path, shape: tuple[int, ...], axes: tuple[int, ...], reduction: str
) -> None:
    prediction, target, _ = random_arrays(1, shape, holes=False)
    np.save(tmp_path / "p.npy", prediction)
    np.save(tmp_path / "t.npy", target)
    expected = getattr(np, reduction)(np.square(prediction - target), axis=axes)
    for chosen in (axes, tuple(axis - len(shape) for axis in axes), axes[::-1]):
        result = msecli.score(tmp_path / "p.npy", tmp_path / "t.npy", axis=chosen, reduction=reduction)
        if expected.ndim == 0:
            found: Any = result.loss
        elif result.columns:
            found = [entry.score.loss for entry in result.columns]
        else:
            assert result.values is not None
            found = result.values
        assert np.shape(found) == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def save(folder: Path, **arrays: Any) -> list[Path]:
    paths = [folder / f"{name}.npy" for name in arrays]
    for path, array in zip(paths, arrays.values(), strict=True):
        np.save(path, np.asarray(array, dtype=np.float64))
    return paths


CUBE_P, CUBE_T = np.arange(24.0).reshape(2, 3, 4), np.zeros((2, 3, 4))


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ((0,), [[72, 85, 100, 117], [136, 157, 180, 205], [232, 261, 292, 325]]),
        ((1,), [[80 / 3, 107 / 3, 140 / 3, 179 / 3], [800 / 3, 899 / 3, 1004 / 3, 1115 / 3]]),
        ((2,), [[3.5, 31.5, 91.5], [183.5, 307.5, 463.5]]),
        ((-1,), [[3.5, 31.5, 91.5], [183.5, 307.5, 463.5]]),
        ((0, 2), [93.5, 169.5, 277.5]),
        ((-1, 0), [93.5, 169.5, 277.5]),
        ((1, 2), [506 / 12, 3818 / 12]),
    ],
)
def test_a_cube_by_hand(run: Run, tmp_path: Path, axes: tuple[int, ...], expected: list[Any]) -> None:
    files = save(tmp_path, p=CUBE_P, t=CUBE_T)
    options = [word for axis in axes for word in ("--axis", axis)]
    ran = run("compute", *files, *options, "-o", tmp_path / "l.npy")
    assert (ran.code, ran.out) == (0, "")
    assert np.load(tmp_path / "l.npy").tolist() == expected
    plain = run("compute", *files, *options).out.split()
    assert list(map(float, plain)) == np.ravel(expected).tolist()


def test_all_axes_together_are_the_whole(run: Run, tmp_path: Path) -> None:
    files = save(tmp_path, p=CUBE_P, t=CUBE_T)
    every = run("compute", *files, "--axis", 0, "--axis", 1, "--axis", 2)
    assert every.out == run("compute", *files).out == f"{4324 / 24!r}\n"


@pytest.mark.parametrize("axis", [3, -4, 7])
def test_an_axis_that_the_files_do_not_have_is_bad_data(run: Run, tmp_path: Path, axis: int) -> None:
    ran = run("compute", *save(tmp_path, p=CUBE_P, t=CUBE_T), "--axis", axis)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == f"Error: axis {axis} is out of range: the data have axes 0 to 2\n"


@pytest.mark.parametrize("axes", [(0, 0), (0, -3), (2, -1)])
def test_an_axis_named_twice_is_bad_data(run: Run, tmp_path: Path, axes: tuple[int, int]) -> None:
    ran = run("compute", *save(tmp_path, p=CUBE_P, t=CUBE_T), "--axis", axes[0], "--axis", axes[1])
    assert ran.code == 3
    assert ran.err == f"Error: axis {axes[0]} is named twice\n"


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (1, 2)])
def test_a_position_without_used_elements_has_no_loss(tmp_path: Path, axes: tuple[int, ...]) -> None:
    target = CUBE_T.copy()
    target[0, :, 0], target[:, 1, :] = math.nan, math.nan
    paths = save(tmp_path, p=CUBE_P, t=target)
    result = msecli.score(*paths, axis=axes, nan_target="omit")
    squares = np.where(np.isnan(target), math.nan, np.square(CUBE_P))
    assert result.values is not None
    np.testing.assert_array_equal(result.values, along(squares, np.ones((2, 3, 4)), axes, "mean"))


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (1, 2)])
def test_a_position_whose_weights_are_all_zero_has_no_mean(tmp_path: Path, axes: tuple[int, ...]) -> None:
    weight = np.ones((2, 3, 4))
    weight[0, :, 0], weight[:, 1, :] = 0.0, 0.0
    *paths, weights = save(tmp_path, p=CUBE_P, t=CUBE_T, w=weight)
    result = msecli.score(*paths, axis=axes, weight_file=weights)
    assert result.values is not None
    np.testing.assert_array_equal(result.values, along(np.square(CUBE_P) * weight, weight, axes, "mean"))


def test_a_column_whose_weights_are_all_zero_has_no_mean_either(tmp_path: Path) -> None:
    paths = save(tmp_path, p=[[1, 2], [3, 4]], t=np.zeros((2, 2)), w=[[1, 0], [1, 0]])
    result = msecli.score(*paths[:2], axis=0, weight_file=paths[2])
    assert [(entry.score.loss, entry.score.status) for entry in result.columns] == [(5.0, "ok"), (None, "empty")]
    assert result.loss == 5.0
    rows = msecli.score(*paths[:2], axis=1, weight_file=paths[2])
    assert rows.values is not None
    assert rows.values.tolist() == [1.0, 9.0]


def test_the_ledger_of_losses_along_axes_is_that_of_the_whole(tmp_path: Path) -> None:
    target = CUBE_T.copy()
    target[0, 0, 0] = math.nan
    for axes in ((0,), (1,), (2,), (0, 1), (1, 2)):
        result = msecli.score(*save(tmp_path, p=CUBE_P, t=target), axis=axes, nan_target="omit")
        assert (result.elements.total, result.elements.used, result.elements.nan_target) == (24, 23, 1)
        assert (result.rows.used, result.loss) == (2, 4324 / 23)
        assert f"|axis:{','.join(map(str, axes))}|" in result.signature


def test_infinite_and_propagated_elements_stay_at_their_position(tmp_path: Path) -> None:
    paths = save(tmp_path, p=[[1, math.inf], [3, 4]], t=[[0, 0], [math.nan, 0]])
    columns = msecli.score(*paths, axis=0, nan_target="propagate").columns
    assert [(entry.score.status, entry.score.elements.infinite) for entry in columns] == [("nan", 0), ("inf", 1)]
    rows = msecli.score(*paths, axis=1, nan_target="propagate").values
    assert rows is not None
    np.testing.assert_array_equal(rows, [math.inf, math.nan])
