"""The squared error and its gradient, element by element. Expected values are hand algebra and Python floats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msecli.arrays import FloatArray
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_gradient, element_losses
from msecli.core.exact import BLOCK, ONE
from msecli.core.loss import squared_error, unscaled_gradient
from msecli.core.state import Rules

NAN = math.nan
OMIT = Rules(nan_target="omit", nan_prediction="omit")
MODERATE = st.floats(-1e100, 1e100)


def chunk(prediction: object, target: object, weight: object = None) -> Chunk:
    weights = None if weight is None else np.array(weight, dtype=np.float64)
    return Chunk(np.array(prediction, dtype=np.float64), np.array(target, dtype=np.float64), weight=weights)


def numbers(size: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(size)


def gradient_of(rows: Chunk, rules: Rules) -> FloatArray:
    return element_gradient(rows, rules).over(ONE)


@given(st.lists(MODERATE, min_size=1))
def test_the_squared_error_is_the_rounded_product_of_the_residual_with_itself(residuals: list[float]) -> None:
    assert squared_error(np.array(residuals)).tolist() == [r * r for r in residuals]


@given(st.lists(st.tuples(MODERATE, st.floats(0.0, 1e50)), min_size=1))
def test_the_weight_multiplies_the_rounded_square(pairs: list[tuple[float, float]]) -> None:
    residuals, weights = np.array([r for r, _ in pairs]), np.array([w for _, w in pairs])
    assert squared_error(residuals, weights).tolist() == [(r * r) * w for r, w in pairs]


@given(st.lists(st.tuples(MODERATE, st.floats(0.0, 1e50)), min_size=1))
def test_the_gradient_is_twice_the_weighted_residual(pairs: list[tuple[float, float]]) -> None:
    residuals, weights = np.array([r for r, _ in pairs]), np.array([w for _, w in pairs])
    assert unscaled_gradient(residuals).over(ONE).tolist() == [2 * r for r, _ in pairs]
    assert unscaled_gradient(residuals, weights).over(ONE).tolist() == [(2 * r) * w for r, w in pairs]


def test_the_arguments_are_left_as_they_were() -> None:
    residuals, weights = np.array([1.0, -3.0]), np.array([2.0, 0.5])
    squared_error(residuals, weights)
    unscaled_gradient(residuals, weights)
    assert (residuals.tolist(), weights.tolist()) == ([1.0, -3.0], [2.0, 0.5])


def test_the_result_goes_where_it_is_asked_to_go() -> None:
    out = np.empty(2)
    assert squared_error(np.array([1.0, -3.0]), np.array([1.0, 0.5]), out=out) is out
    assert out.tolist() == [1.0, 4.5]


def test_losses_keep_the_shape_and_are_nan_where_an_element_is_left_out() -> None:
    losses = element_losses(chunk([[1, 2], [3, NAN]], [[3, NAN], [5, 6]]), OMIT)
    np.testing.assert_array_equal(losses, [[4, NAN], [4, NAN]])


def test_the_weight_of_a_row_counts_for_all_of_its_elements() -> None:
    both = chunk([[1, 2], [3, 4]], [[0, 0], [0, 0]], [10, 0.5])
    assert element_losses(both, Rules()).tolist() == [[10, 40], [4.5, 8]]
    assert gradient_of(both, Rules()).tolist() == [[20, 40], [3, 4]]


def test_the_weight_may_be_that_of_each_element() -> None:
    each = chunk([[1, 2], [3, 4]], [[0, 0], [0, 0]], [[1, 0], [2, 3]])
    assert element_losses(each, Rules()).tolist() == [[1, 0], [18, 48]]


def test_gradients_of_elements_left_out_are_positive_zero_whatever_their_values() -> None:
    prediction, target = [NAN, -math.inf, math.inf, -1.0, 5.0], [1.0, NAN, -100.0, -100.0, 4.0]
    rules = Rules(nan_target="omit", nan_prediction="omit", ignore=(-100.0,))
    gradient = gradient_of(chunk(prediction, target, [NAN, math.inf, NAN, -1, 3]), rules)
    assert gradient.tolist() == [0.0, 0.0, 0.0, 0.0, 6.0]
    assert not np.signbit(gradient).any()


def test_propagated_elements_are_nan_in_losses_and_gradient() -> None:
    both = chunk([1, 2, NAN], [NAN, 1, 1])
    rules = Rules(nan_target="propagate", nan_prediction="propagate")
    np.testing.assert_array_equal(element_losses(both, rules), [NAN, 1, NAN])
    np.testing.assert_array_equal(gradient_of(both, rules), [NAN, 2, NAN])


def test_infinities_follow_ieee_arithmetic() -> None:
    both = chunk([math.inf, math.inf, -math.inf, 1e200], [1, math.inf, 1, 0])
    np.testing.assert_array_equal(element_losses(both, Rules()), [math.inf, NAN, math.inf, math.inf])


@pytest.mark.parametrize("shape", [(BLOCK + 3,), (3 * BLOCK,), (BLOCK // 4, 5), (7, BLOCK), (2, BLOCK + 1)])
def test_arrays_beyond_one_block_have_every_loss_in_place(shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    prediction, target = numbers(size, 1).reshape(shape), numbers(size, 2).reshape(shape)
    target.reshape(-1)[::1001] = NAN
    residual = prediction - target
    whole = Chunk(prediction, target, first_row=17)
    np.testing.assert_array_equal(element_losses(whole, OMIT), residual * residual)
    np.testing.assert_array_equal(gradient_of(whole, OMIT), np.nan_to_num(2 * residual))


def test_no_rows_have_no_losses() -> None:
    assert element_losses(Chunk(np.empty((0, 3)), np.empty((0, 3))), Rules()).shape == (0, 3)
