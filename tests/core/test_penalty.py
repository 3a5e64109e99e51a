"""Penalties on parameters. Expected values are hand algebra and `fractions.Fraction`, rounded once for each sum."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.core.penalty import Penalties, check_factors, penalties_of, penalty_gradient
from msecli.errors import DataError, UsageError

COEF, INTERCEPT = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], [0.5, -0.5]
MODERATE = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def _array(values: object) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def test_the_known_model_has_its_known_penalties() -> None:
    """The known answer of PyTorch 2.13: 1216.769 + 0.01 * 3.1 + 0.1 * 1.41 = 1216.941."""
    penalties = penalties_of([_array(COEF), _array(INTERCEPT)], 0.01, 0.1)
    assert penalties.l1 == pytest.approx(0.031, rel=1e-15)
    assert penalties.l2 == pytest.approx(0.141, rel=1e-15)
    assert penalties.added_to(1216.769) == pytest.approx(1216.941, rel=1e-15)


@given(MODERATE)
def test_both_sums_are_exact(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    absolute, squares = sum(map(abs, exact), Fraction(0)), sum((x * x for x in exact), Fraction(0))
    penalties = penalties_of([_array(values)], 1.0, 1.0)
    assert penalties.l1 == float(absolute)
    assert penalties.l2 == pytest.approx(float(squares), rel=0, abs=2.0**-1000)


def test_the_sum_of_squares_keeps_what_float64_would_lose() -> None:
    assert penalties_of([_array([1e10, 1.0, 1.0])], 0.0, 1.0).l2 == float(10**20 + 2)
    assert penalties_of([_array([2.0**27 + 1, 2.0**27 - 1])], 0.0, 1.0).l2 == float(2**55 + 2)


@given(MODERATE, st.integers(0, 20))
def test_it_does_not_matter_how_parameters_are_spread_over_arrays(values: list[float], cut: int) -> None:
    together = penalties_of([_array(values)], 0.5, 0.25)
    assert penalties_of([_array(values[cut:]), _array(values[:cut])], 0.5, 0.25) == together


def test_a_factor_of_zero_leaves_its_penalty_out_however_large_the_parameters() -> None:
    """By selection: the sum of the squares overflows, and 0 * inf is NaN."""
    assert penalties_of([_array([1e200, -1e200])], 1.0, 0.0) == Penalties(2e200, 0.0)
    assert penalties_of([_array([1e308, 1e308])], 0.0, 0.0) == Penalties(0.0, 0.0)


def test_penalties_beyond_the_largest_number_are_infinite() -> None:
    penalties = penalties_of([_array([1e200])], 0.0, 1.0)
    assert penalties == Penalties(0.0, math.inf)
    assert penalties.added_to(1.0) == math.inf


def test_no_parameters_have_no_penalty() -> None:
    assert penalties_of([], 1.0, 1.0) == Penalties(0.0, 0.0)


def test_the_objective_is_rounded_once() -> None:
    # From left to right, 1 + 2**-53 + 2**-53 would stay at 1.
    assert Penalties(2.0**-53, 2.0**-53).added_to(1.0) == 1.0 + 2.0**-52


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_objective_of_a_loss_that_is_no_number_is_none_either(loss: float) -> None:
    assert repr(Penalties(1.0, 2.0).added_to(loss)) == repr(loss)


def test_a_missing_parameter_is_an_error_that_says_which() -> None:
    with pytest.raises(DataError, match="parameter 2 of 3 is missing"):
        penalties_of([_array([1.0, math.nan, 3.0])], 1.0, 1.0)


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf, -math.inf])
def test_factors_are_finite_and_not_negative(wrong: float) -> None:
    with pytest.raises(UsageError, match="l1"):
        check_factors(wrong, 0.0)
    with pytest.raises(UsageError, match="l2"):
        check_factors(0.0, wrong)


def test_the_gradient_by_hand() -> None:
    gradient = penalty_gradient(_array([[2.0, -3.0], [0.0, -0.0]]), 0.5, 0.25)
    assert gradient.tolist() == [[1.5, -2.0], [0.0, 0.0]]


def test_the_subgradient_at_zero_is_zero() -> None:
    assert penalty_gradient(np.zeros(3), 7.0, 0.0).tolist() == [0.0, 0.0, 0.0]


@given(st.floats(0.01, 1e3), st.booleans(), st.floats(0, 10), st.floats(0, 10))
def test_the_gradient_agrees_with_central_differences(size: float, negative: bool, l1: float, l2: float) -> None:
    """Away from 0 the penalty is a quadratic, whose central differences are exact but for rounding."""
    at = -size if negative else size
    step = size / 64
    above, below = (penalties_of([_array([at + sign * step])], l1, l2).added_to(0.0) for sign in (1, -1))
    numeric = (above - below) / ((at + step) - (at - step))
    assert penalty_gradient(_array([at]), l1, l2)[0] == pytest.approx(numeric, rel=1e-9, abs=1e-9)
