"""Array-likes that other libraries and their users pass: taken alike where they hold numbers, else refused by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "loss": lambda values: msecli.mse_loss(values, [0.0, 0.0]),
    "target": lambda values: msecli.mse_loss([0.0, 0.0], values),
    "weight": lambda values: msecli.mse_loss([0.0, 0.0], [0.0, 0.0], weight=values),
    "gradient": lambda values: msecli.mse_loss_grad(values, [0.0, 0.0]),
    "model": lambda values: msecli.linear_loss(values, [0.0, 0.0], [1.0]),
    "norm": msecli.norm,
    "penalty": lambda values: msecli.penalty(values, l1=1.0),
    "batches": lambda values: list(msecli.iter_batches(values, [0.0, 0.0], 1)),
}
each_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([1.0, 2], dtype=object), [1.0, 2.0]),
        (np.array([True, np.float32(0.5)], dtype=object), [1.0, 0.5]),
        (pd.Series([1.0, 2.0], dtype=object), [1.0, 2.0]),
        (pd.Series([True, False], dtype="bool[pyarrow]"), [1.0, 0.0]),
        (pd.Series([True, False], dtype="boolean"), [1.0, 0.0]),
    ],
    ids=["objects", "mixed objects", "Series of objects", "bool[pyarrow]", "boolean"],
)
def test_numbers_are_taken_in_whatever_box_they_come(values: Any, expected: list[float]) -> None:
    # The gradient of the sum against 0 is twice the values.
    assert msecli.mse_loss_grad(values, [0.0, 0.0], reduction="sum").tolist() == [2 * value for value in expected]


@pytest.mark.parametrize(
    "values",
    [
        np.array([None, 1.5], dtype=object),
        pd.Series([None, 1.5], dtype=object),
        pd.Series([None, True], dtype="bool[pyarrow]"),
        pd.Series([None, True], dtype="boolean"),
    ],
    ids=["objects", "Series of objects", "bool[pyarrow]", "boolean"],
)
def test_none_among_them_is_a_missing_value(values: Any) -> None:
    with pytest.raises(msecli.DataError, match="1 of 2 values missing, the first in row 1"):
        msecli.mse_loss(values, [0.0, 0.0])


def a_list_in_itself(times: int) -> list[Any]:
    values: list[Any] = []
    values.extend([values] * times)
    return values


def a_deep_list() -> list[Any]:
    values: list[Any] = [1.0]
    for _ in range(100_000):
        values = [values]
    return values


class Broken:
    """An array of another library that cannot be read any more."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error("the disk is gone")


GROUPED = pd.DataFrame({"a": [1, 1], "b": [1.0, 2.0]}).groupby("a")
REFUSED: dict[str, Callable[[], Any]] = {
    "a list in itself": lambda: a_list_in_itself(1),
    "a list twice in itself": lambda: a_list_in_itself(2),
    "a deep list": a_deep_list,
    "GroupBy": lambda: GROUPED,
    "GroupBy of a column": lambda: GROUPED["b"],
    "fractions": lambda: [Fraction(1, 3), 2],
    "text among objects": lambda: np.array([1.0, "a"], dtype=object),
    "complex among objects": lambda: np.array([1.0, 1j], dtype=object),
}


@each_function
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_array_of_numbers_is_refused(function: Callable[[Any], Any], name: str) -> None:
    with pytest.raises(msecli.DataError, match=r"^(prediction|target|weight|inputs|values|params)\b.*: "):
        function(REFUSED[name]())


@each_function
@pytest.mark.parametrize("error", [OSError, KeyError, RuntimeError, AttributeError])
def test_an_array_that_cannot_be_read_is_refused_with_the_cause(
    function: Callable[[Any], Any], error: type[Exception]
) -> None:
    with pytest.raises(msecli.DataError, match="the disk is gone") as caught:
        function(Broken(error))
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize(
    "ignored",
    [[2.0, 5.0], np.array([2, 5]), iter((2.0, 5.0)), {2.0, 5.0}, pd.Series([2.0, 5.0]), (np.float32(2), Fraction(5))],
    ids=["list", "array", "iterator", "set", "Series", "tuple"],
)
def test_ignored_values_come_in_anything_that_can_be_iterated_over(ignored: Any) -> None:
    assert msecli.mse_loss([0.0, 0.0, 0.0], [2.0, 3.0, 5.0], ignore_index=ignored) == 9.0


@pytest.mark.parametrize("ignored", [3, 3.0, np.int64(3), np.array(3.0), np.float32(3)], ids=repr)
def test_a_single_ignored_value_is_any_number(ignored: Any) -> None:
    assert msecli.mse_loss([0.0, 0.0], [2.0, 3.0], ignore_index=ignored) == 4.0


@pytest.mark.parametrize(
    "ignored",
    [1j, np.complex128(3 + 1j), np.array(3j), [3j], np.array([3j]), "3", ["3"], [[3.0]], 10**400],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_real_number_cannot_be_ignored(ignored: Any) -> None:
    with pytest.raises(msecli.UsageError, match="ignore_index"):
        msecli.mse_loss([0.0, 0.0], [2.0, 3.0], ignore_index=ignored)
    with pytest.raises(msecli.UsageError, match="ignore_index"):
        msecli.MSELoss(ignore_index=ignored)
