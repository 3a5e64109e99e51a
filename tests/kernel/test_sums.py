"""Exact sums: every kernel returns the integers that `fractions.Fraction` gives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.arrays import FloatArray
from msecli.core.exact import ExactSum
from msecli.kernel.interface import Kernel, Sum
from tests.kernel.kernels import KERNELS, bits, slot_totals

UNIT = Fraction(1, 2**1074)
SIZES = (0, 1, 7, 8, 1023, 1024, 1025, 5000)
LARGE, SMALL = 1.7976931348623157e308, 5e-324


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return KERNELS[request.param]


def exact(values: FloatArray) -> int:
    """Return the exact sum in units of 2**-1074."""
    total = sum(map(Fraction, values.tolist()), Fraction(0)) / UNIT
    assert total.denominator == 1
    return total.numerator


def spread(size: int, seed: int, bits_wide: int = 60) -> FloatArray:
    """Return numbers of both signs and of many magnitudes."""
    make = np.random.default_rng(seed)
    return np.asarray(np.ldexp(make.standard_normal(size), make.integers(-bits_wide, bits_wide, size, endpoint=True)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [0, 60, 400, 900])
def test_sums_are_exact(kernel: Kernel, size: int, width: int) -> None:
    values = spread(size, size + width, width)
    kept = values.copy()
    assert kernel.exact_sum(values) == Sum(exact(values), 0.0)
    assert np.array_equal(values, kept)


EDGES = [
    [],
    [0.0, -0.0],
    [SMALL],
    [SMALL, -SMALL, SMALL],
    [2.0**-1022, SMALL],
    [LARGE, LARGE, LARGE],
    [LARGE, -LARGE, SMALL],
    [-LARGE] * 3,
    [1e16, 1.0, 1.0],
    [1.0, 2.0**-60, 2.0**-120, 2.0**-899, 2.0**-900, 2.0**-901, 2.0**-1000],
    [2.0**1015, 2.0**1016, 2.0**1019, 2.0**1020, 2.0**1021, -1.0],
    [2.0**1020 - 2.0**967] * 5,
    [-1.0, 2.0**-1074],
    [(1 + 2.0**-52)] * 3000,
    [-(2.0**53 - 1)] * 5000,
]


@pytest.mark.parametrize("values", EDGES, ids=lambda values: f"{len(values)} values")
def test_sums_at_the_ends_of_the_range(kernel: Kernel, values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    assert kernel.exact_sum(array) == Sum(exact(array), 0.0)
    total = ExactSum()
    total.add(array.copy())
    assert kernel.exact_sum(array).units == total.total().units


@pytest.mark.parametrize(
    ("values", "special", "units"),
    [
        ([1.0, math.inf], math.inf, 2**1074),
        ([-math.inf, 1.0, -math.inf], -math.inf, 2**1074),
        ([math.inf, -math.inf], math.nan, 0),
        ([math.nan, 1.0], math.nan, 2**1074),
        ([math.inf] + [1.0] * 3000, math.inf, 3000 * 2**1074),
    ],
)
def test_values_that_are_not_finite_are_kept_apart(
    kernel: Kernel, values: list[float], special: float, units: int
) -> None:
    found = kernel.exact_sum(np.array(values))
    assert np.array_equal(found.special, special, equal_nan=True)
    assert found.units == units


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50))
def test_sums_of_any_numbers_are_exact(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    for kernel in KERNELS.values():
        assert kernel.exact_sum(array) == Sum(exact(array), 0.0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_squared_error_is_the_exact_sum_of_rounded_squares(kernel: Kernel, size: int, weighted: bool) -> None:
    p, t, w = spread(size, 1), spread(size, 2), np.abs(spread(size, 3))
    squares = (p - t) * (p - t)
    # NumPy rounds each operation, so these are the terms; their sum is that of fractions.
    expected = Sum(exact(squares * w if weighted else squares), 0.0)
    found = kernel.squared_error(p, t, w if weighted else None)
    assert found == ((expected, Sum(exact(w), 0.0)) if weighted else (expected,))


def test_squares_that_overflow_are_infinite(kernel: Kernel) -> None:
    found = kernel.squared_error(np.array([1e200, 1.0]), np.array([0.0, 0.0]))
    assert found == (Sum(2**1074, math.inf),)


@pytest.mark.parametrize("place", [0, 1, 1500, 2999])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_what_is_not_finite_is_left_to_the_caller(kernel: Kernel, place: int, value: float, where: int) -> None:
    arrays = np.ones((3, 3000))
    arrays[where, place] = value
    p, t, w = arrays
    assert kernel.squared_error(p, t, w) is None
    assert not kernel.gradient(p, t, w, 1.0, np.empty(3000))


@pytest.mark.parametrize("weight", [-1.0, -SMALL])
def test_negative_weights_are_left_to_the_caller(kernel: Kernel, weight: float) -> None:
    ones = np.ones(3)
    assert kernel.squared_error(ones, ones, np.array([1.0, weight, 1.0])) is None
    assert not kernel.gradient(ones, ones, np.array([1.0, weight, 1.0]), 1.0, np.empty(3))


def test_a_weight_of_minus_zero_is_zero(kernel: Kernel) -> None:
    found = kernel.squared_error(np.ones(2), np.zeros(2), np.array([-0.0, 1.0]))
    assert found == (Sum(2**1074, 0.0), Sum(2**1074, 0.0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("denominator", [1.0, 3.0, 1e-300, 7e200])
def test_gradients_are_rounded_step_by_step(kernel: Kernel, size: int, denominator: float) -> None:
    p, t, w = spread(size, 4), spread(size, 5), np.abs(spread(size, 6))
    out = np.full(size, 9.0)
    assert kernel.gradient(p, t, None, denominator, out)
    with np.errstate(all="ignore"):
        assert np.array_equal(out.view(np.int64), ((p - t) * 2.0 / denominator).view(np.int64))
        assert kernel.gradient(p, t, w, denominator, out)
        assert np.array_equal(out.view(np.int64), ((p - t) * 2.0 * w / denominator).view(np.int64))


@pytest.mark.parametrize(
    ("prediction", "weight"),
    [(2.0**1023, None), (1e308, 1.0), (2.0**200, 1.0), (2.0**-202, 1.0), (1.0, 2.0**201), (1.0, 2.0**-201)],
)
def test_products_near_the_ends_of_the_range_are_left_to_the_caller(
    kernel: Kernel, prediction: float, weight: float | None
) -> None:
    p, w = np.array([1.0, prediction]), None if weight is None else np.array([1.0, weight])
    assert not kernel.gradient(p, np.zeros(2), w, 1.0, np.empty(2))
    assert kernel.gradient(p[:1], np.zeros(1), None if w is None else w[:1], 1.0, np.empty(1))


@pytest.mark.parametrize("slots", [1, 3, 100])
@pytest.mark.parametrize("width", [0, 60, 900])
def test_every_slot_has_its_exact_sum(kernel: Kernel, slots: int, width: int) -> None:
    values = spread(2000, slots + width, width)
    values[::7] = 0.0
    codes = np.random.default_rng(slots).integers(0, slots, 2000)
    sums = kernel.sums_by_slot(values, codes, slots)
    assert slot_totals(sums) == [exact(values[codes == slot]) for slot in range(slots)]
    assert sums.special is None


@pytest.mark.parametrize("values", EDGES, ids=lambda values: f"{len(values)} values")
def test_slots_at_the_ends_of_the_range(kernel: Kernel, values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)
    sums = kernel.sums_by_slot(array, np.ones(len(values), dtype=np.int64), 2)
    assert slot_totals(sums) == [0, exact(array)]


def test_slots_keep_what_is_not_finite_apart(kernel: Kernel) -> None:
    values = np.array([1.0, math.inf, -math.inf, 2.0, math.nan, -math.inf])
    sums = kernel.sums_by_slot(values, np.array([0, 1, 1, 1, 2, 3]), 5)
    assert slot_totals(sums) == [2**1074, 2**1075, 0, 0, 0]
    assert sums.special is not None
    assert np.array_equal(sums.special, [0.0, math.nan, math.nan, -math.inf, 0.0], equal_nan=True)


def test_slots_take_more_values_than_their_multiples_have_room_for(kernel: Kernel) -> None:
    size = 2**21 + 1025
    values, codes = np.full(size, 1 - 2.0**-53), np.arange(size) % 2
    # Hand arithmetic: so many times (2**53 - 1) * 2**-53.
    each = (2**53 - 1) * 2 ** (1074 - 53)
    counts = [size // 2 + 1, size // 2]
    assert slot_totals(kernel.sums_by_slot(values, codes, 2)) == [count * each for count in counts]


def test_a_few_small_values_beside_large_ones_are_kept_in_their_slots(kernel: Kernel) -> None:
    values = np.random.default_rng(3).standard_normal(5000)
    values[::100] *= 2.0**-90
    values[7], values[4000] = 5e-324, 2.0**-1022
    codes = np.arange(5000) % 7
    assert slot_totals(kernel.sums_by_slot(values, codes, 7)) == [exact(values[slot::7]) for slot in range(7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("width", [0, 60, 200])
def test_the_squared_error_of_every_slot_is_exact(kernel: Kernel, size: int, weighted: bool, width: int) -> None:
    p, t, w = spread(size, 1, width), spread(size, 2, width), np.abs(spread(size, 3, width))
    codes = np.random.default_rng(size).integers(0, 4, size)
    squares = (p - t) * (p - t)
    terms = (squares * w, w) if weighted else (squares,)
    found = kernel.squared_error_by_slot(p, t, w if weighted else None, codes, 5)
    assert found is not None
    expected = [[exact(term[codes == slot]) for slot in range(5)] for term in terms]
    assert [slot_totals(sums) for sums in found] == expected


@pytest.mark.parametrize("place", [0, 1500, 2999])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200, -1.0])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_slots_leave_what_is_not_finite_to_the_caller(kernel: Kernel, place: int, value: float, where: int) -> None:
    arrays = np.ones((3, 3000))
    arrays[where, place] = value
    p, t, w = arrays
    found = kernel.squared_error_by_slot(p, t, w, np.zeros(3000, dtype=np.int64), 1)
    # A weight may be large, and a difference negative.
    assert (found is not None) == ((where == 2 and value == 1e200) or (where < 2 and value == -1.0))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.integers(0, 4)), max_size=40))
def test_all_kernels_find_the_same_sums(pairs: list[tuple[float, int]]) -> None:
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    codes = np.array([code for _, code in pairs], dtype=np.int64)
    found = [bits(kernel.sums_by_slot(values, codes, 5)) for kernel in KERNELS.values()]
    assert found.count(found[0]) == len(found)


def test_impossible_requests_are_refused(kernel: Kernel) -> None:
    three, two = np.ones(3), np.ones(2)
    with pytest.raises(ValueError, match="different sizes"):
        kernel.squared_error(three, two)
    with pytest.raises(ValueError, match="different sizes"):
        kernel.gradient(three, three, two, 1.0, three.copy())
    with pytest.raises(ValueError, match="different sizes"):
        kernel.sums_by_slot(three, np.zeros(2, dtype=np.int64), 1)
    for code in (-1, 2, 2**62):
        with pytest.raises(IndexError, match="not a slot"):
            kernel.sums_by_slot(two, np.array([0, code]), 2)
        with pytest.raises(IndexError, match="not a slot"):
            kernel.squared_error_by_slot(two, two, None, np.array([0, code]), 2)
    with pytest.raises(ValueError, match="different sizes"):
        kernel.squared_error_by_slot(two, two, three, np.zeros(2, dtype=np.int64), 1)
