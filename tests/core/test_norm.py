"""Vector norms of arrays.

Expected values are exact: integer square roots of `fractions.Fraction` sums, rounded once. Those of other orders come
from `numpy.linalg.norm`, the known answers from NumPy 2 and hand algebra.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.core.exact import BLOCK
from msecli.core.norm import NormSums, norm_of

INF = math.inf
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VECTORS = st.lists(FINITE, min_size=1, max_size=20)


def _array(values: list[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return INF


def _exact_absolute(values: list[float]) -> float:
    return _rounded(sum((abs(Fraction(value)) for value in values), Fraction(0)))


def _exact_euclidean(values: list[float]) -> float:
    """Return the root with 2**-1300 as the unit, truncated to an integer and made odd where something was cut off."""
    squares = sum((Fraction(value) ** 2 for value in values), Fraction(0))
    scaled = squares * 4**1300
    assert scaled.denominator == 1
    root = math.isqrt(int(scaled))
    return _rounded(Fraction(2 * root + (root * root != scaled), 2**1301))


@pytest.mark.parametrize(("order", "expected"), [(1, 7.0), (2, 5.0), (INF, 4.0), (3, 4.497941445275415)])
def test_three_and_four_have_their_known_norms(order: float, expected: float) -> None:
    assert norm_of(_array([3.0, -4.0]), order) == expected


def test_large_numbers_do_not_overflow() -> None:
    assert norm_of(_array([1e200, 1e200]), 2) == 1.4142135623730951e200
    assert norm_of(_array([3e300, -4e300]), 2) == _exact_euclidean([3e300, -4e300])
    assert norm_of(_array([1e300, -INF]), 3) == INF
    assert norm_of(_array([1e300, 1e300]), 3) == pytest.approx(2 ** (1 / 3) * 1e300, rel=1e-14)


def test_small_numbers_do_not_underflow() -> None:
    assert norm_of(_array([1e-200, 1e-200]), 2) == _exact_euclidean([1e-200, 1e-200]) > 0
    assert norm_of(_array([5e-324]), 2) == 5e-324
    assert norm_of(_array([3 * 5e-324, 4 * 5e-324]), 2) == 5 * 5e-324
    assert norm_of(_array([1e-200, 1e-200]), 3) == pytest.approx(2 ** (1 / 3) * 1e-200, rel=1e-14)


def test_large_and_small_numbers_meet_in_one_sum() -> None:
    values = [2.0**500, 2.0**470, 1.0, 1e-300]
    assert norm_of(_array(values), 2) == _exact_euclidean(values)


@pytest.mark.parametrize("order", [1, 2, 3.5, INF])
def test_a_norm_beyond_the_largest_number_is_infinite(order: float) -> None:
    assert norm_of(_array([1.0, -INF]), order) == INF
    assert norm_of(_array([1.7e308, 1.7e308]), 1) == INF


@pytest.mark.parametrize("order", [1, 2, 3, INF])
def test_the_norm_of_zeros_and_of_nothing_is_zero(order: float) -> None:
    assert norm_of(np.zeros(3), order) == 0.0
    assert norm_of(np.empty(0), order) == 0.0


@given(VECTORS)
def test_the_sum_of_absolute_values_is_correctly_rounded(values: list[float]) -> None:
    assert norm_of(_array(values), 1) == _exact_absolute(values)


@given(VECTORS)
def test_the_euclidean_norm_is_correctly_rounded(values: list[float]) -> None:
    assert norm_of(_array(values), 2) == _exact_euclidean(values)


@given(VECTORS)
def test_the_largest_norm_is_the_largest_number(values: list[float]) -> None:
    assert norm_of(_array(values), INF) == max(map(abs, values))


@pytest.mark.parametrize("order", [1.1, 1.5, 2.5, 3.0, 4.0, 7.0, 10.0, 100.0])
def test_norms_of_other_orders_are_those_of_numpy(order: float) -> None:
    values = np.random.default_rng(1).normal(size=1000)
    assert norm_of(values, order) == pytest.approx(np.linalg.norm(values, order), rel=1e-14)


@given(VECTORS, st.integers(0, 20), st.sampled_from([1.0, 1.1, 2.0, 3.0, 40.0, 1e6, INF]))
def test_merged_parts_have_the_norm_of_the_whole(values: list[float], cut: int, order: float) -> None:
    whole, left, right = (NormSums.of(_array(part), [order]) for part in (values, values[:cut], values[cut:]))
    right.merge(left)
    assert right.norm(order) == whole.norm(order)


def test_parts_merge_in_any_order() -> None:
    parts = [[1e200, 3.0], [1e-200], [5e-324, 1e16, 1.0], [-(2.0**-400)]]
    found, orders = set(), [1.0, 2.0, INF]
    for order in itertools.permutations(parts):
        sums = NormSums(orders)
        for part in order:
            sums.merge(NormSums.of(_array(part), orders))
        found.add((sums.norm(1), sums.norm(2), sums.norm(INF)))
    flat = list(itertools.chain(*parts))
    assert found == {(_exact_absolute(flat), _exact_euclidean(flat), 1e200)}


def test_vectors_longer_than_a_block_are_summed_whole() -> None:
    values = np.full(2 * BLOCK + 3, 3.0)
    assert norm_of(values, 1) == 3.0 * values.size
    assert norm_of(values, 2) == math.sqrt(9.0 * values.size)


def test_the_shape_of_an_array_does_not_matter() -> None:
    values: NDArray[Any] = np.arange(12.0)
    for order in (1, 2, 3, INF):
        assert norm_of(values.reshape(3, 4), order) == norm_of(values, order)


def test_taking_a_norm_leaves_the_numbers_as_they_were() -> None:
    values = _array([3.0, -4.0, 1e200])
    for order in (1, 2, 3, INF):
        norm_of(values, order)
    assert values.tolist() == [3.0, -4.0, 1e200]
