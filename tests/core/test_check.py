"""What counts as a number, and which shapes pair. Expected values are Python integers and floats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.core.check import as_float64, check_shapes, same_item_shape
from msecli.errors import DataError

INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
FLOATS = ["f2", "f4", "f8"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
def test_real_numbers_of_any_width_and_byte_order_become_native_float64(kind: str, order: str) -> None:
    converted, rounded = as_float64(np.array([0, 1, 100], dtype=order + kind), "x")
    assert converted.dtype == np.dtype("=f8")
    assert (converted.tolist(), rounded) == ([0.0, 1.0, 100.0], 0)


@pytest.mark.parametrize("kind", INTEGERS)
def test_the_ends_of_an_integer_type_are_converted_to_the_nearest_float(kind: str) -> None:
    limits = np.iinfo(kind)
    converted, _ = as_float64(np.array([limits.min, limits.max], dtype=kind), "x")
    assert converted.tolist() == [float(limits.min), float(limits.max)]


def test_booleans_are_zero_and_one() -> None:
    converted, rounded = as_float64(np.array([True, False]), "x")
    assert converted.dtype == np.float64
    assert (converted.tolist(), rounded) == ([1.0, 0.0], 0)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_keep_their_value_their_nan_and_their_infinities(kind: str) -> None:
    values = np.array([0.1, np.nan, np.inf, -np.inf], dtype=kind)
    converted, rounded = as_float64(values, "x")
    np.testing.assert_array_equal(converted, [float(values[0]), math.nan, math.inf, -math.inf])
    assert rounded == 0


def test_long_doubles_are_rounded_to_float64_beyond_its_range_to_infinity() -> None:
    third = np.longdouble(1) / 3
    converted, _ = as_float64(np.array([third, np.longdouble(2) ** 1024, -(np.longdouble(2) ** 1024)]), "x")
    assert converted.dtype == np.float64
    assert converted.tolist() == [1 / 3, math.inf, -math.inf]


def test_float64_is_passed_on_without_a_copy() -> None:
    values = np.array([1.0, 2.0])
    assert as_float64(values, "x")[0] is values


@pytest.mark.parametrize("shape", [(), (0,), (4, 0), (2, 3)])
def test_the_shape_is_kept(shape: tuple[int, ...]) -> None:
    converted, rounded = as_float64(np.ones(shape, dtype=np.int64), "x")
    assert (converted.shape, rounded) == (shape, 0)


REFUSED: list[tuple[NDArray[np.generic], str]] = [
    (np.array([1 + 2j]), "complex numbers have no squared error"),
    (np.array([1, "a", None], dtype=object), "Python objects are not numbers"),
    (np.array(["2020-01-01"], dtype="datetime64[D]"), "dates are not numbers"),
    (np.array([1], dtype="timedelta64[s]"), "time differences are not numbers"),
    (np.array(["1.5"]), "text is not a number"),
    (np.array([b"1.5"]), "text is not a number"),
    (np.array(["1.5"], dtype=np.dtypes.StringDType()), "text is not a number"),
    (np.zeros(1, dtype=[("a", "f8")]), "structured records are not numbers; save one field"),
    (np.zeros(1, dtype="V2"), "these are bytes, not numbers; NumPy saves bfloat16 so: convert it to float32 first"),
]


@pytest.mark.parametrize(("values", "reason"), REFUSED, ids=[str(values.dtype) for values, _ in REFUSED])
def test_what_is_not_a_real_number_is_refused_by_name_dtype_and_reason(
    values: NDArray[np.generic], reason: str
) -> None:
    with pytest.raises(DataError) as caught:
        as_float64(values, "targets")
    assert str(caught.value).startswith(f"targets: dtype {values.dtype} cannot be scored: {reason}")


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([2**53, -(2**53), 0], "i8", 0),
        ([2**53 + 1, 2**53 + 2, -(2**53) - 1], "i8", 2),
        ([2**64 - 1, 2**63], "u8", 1),
        ([-(2**63), 2**63 - 1], "i8", 1),
        ([-(2**63)], "i8", 0),
        ([2**53 + 1], ">u8", 1),
        ([2**31 - 1], "i4", 0),
        ([[1, 2**53 + 1], [2**60 + 1, 2**60]], "i8", 2),
    ],
)
def test_integers_that_float64_rounds_are_counted(values: list[int], kind: str, expected: int) -> None:
    assert as_float64(np.array(values, dtype=kind), "x")[1] == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(2**53 - 9, 2**54 + 9)))
def test_the_count_of_rounded_integers_is_that_of_python(values: list[int]) -> None:
    converted, rounded = as_float64(np.array(values, dtype=np.int64), "x")
    assert converted.tolist() == [float(value) for value in values]
    assert rounded == sum(int(float(value)) != value for value in values)


def test_a_single_integer_that_float64_rounds_is_counted() -> None:
    assert as_float64(np.array(2**53 + 1), "x")[1] == 1


@pytest.mark.parametrize(
    ("prediction", "target"),
    [((3,), (3,)), ((3,), (3, 1)), ((3, 1), (3,)), ((2, 3), (2, 3)), ((2, 3, 4), (2, 3, 4)), ((1,), (1, 1))],
)
def test_equal_shapes_and_one_column_pair(prediction: tuple[int, ...], target: tuple[int, ...]) -> None:
    check_shapes(prediction, target)
    assert same_item_shape(prediction[1:], target[1:])


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ((4,), (3,)), ((4,), (3, 1)), ((3, 2), (3, 3)), ((2, 3), (3,)), ((3,), (1, 3)), ((3, 1), (1, 3)),
        ((3, 3), (3,)), ((3, 1, 1), (3,)), ((2, 1), (2, 1, 1)), ((1,), (3,)), ((2, 1), (2, 3)), ((6,), (2, 3)),
    ],
)  # fmt: skip
def test_other_shapes_are_refused_and_both_are_named(prediction: tuple[int, ...], target: tuple[int, ...]) -> None:
    with pytest.raises(DataError) as caught:
        check_shapes(prediction, target)
    assert f"prediction {prediction}, target {target}" in str(caught.value)


@pytest.mark.parametrize(("prediction", "target", "which"), [((), (3,), "prediction"), ((3,), (), "target")])
def test_a_single_number_is_refused(prediction: tuple[int, ...], target: tuple[int, ...], which: str) -> None:
    with pytest.raises(DataError, match=f"the {which} is a single number"):
        check_shapes(prediction, target)
