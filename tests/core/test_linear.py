"""Linear models: predictions, and the exact sums of the derivatives of their parameters.

Expected values are the known answers of PyTorch 2.13 (float64), hand algebra, `fractions.Fraction`, NumPy's matrix
products, and central differences of the loss, which are exact for a quadratic but for rounding.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.core.chunk import Chunk
from msecli.core.exact import BLOCK, ONE
from msecli.core.linear import LinearModel, ParameterSums, gradient_norm
from msecli.core.state import LossState, Rules
from msecli.errors import DataError

Array = NDArray[np.float64]

NAN = math.nan
X = np.array([[75.0, 69, 45], [93, 90, 61], [89, 136, 70], [104, 45, 39], [72, 98, 81]])
Y = np.array([[64.0, 73], [93, 104], [111, 125], [36, 45], [110, 113]])
W = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
B = np.array([0.5, -0.5])
RULES = Rules(terms=("squared_error",))


def _gradients(
    model: LinearModel,
    inputs: Array,
    target: Array,
    rules: Rules = RULES,
    *,
    weight: Array | None = None,
    divisor: int = 1,
) -> tuple[Array, Array]:
    chunk = Chunk(model.predict(inputs), target, weight=weight)
    return ParameterSums.of(chunk, inputs, rules, model).gradients(divisor * ONE)


def _lists(gradients: tuple[Array, Array]) -> tuple[object, object]:
    return gradients[0].tolist(), gradients[1].tolist()


def test_predictions_have_the_shapes_of_torch() -> None:
    assert LinearModel(W, B).predict(X).shape == (5, 2)
    assert LinearModel(W[0]).predict(X).shape == (5,)
    assert LinearModel(W[:1]).predict(X).shape == (5, 1)


def test_predictions_by_hand() -> None:
    model = LinearModel(np.array([[2.0, 1.0], [0.0, -1.0]]), np.array([0.5, 10.0]))
    assert model.predict(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist() == [[5.5, 7.0], [0.5, 10.0]]


def test_predictions_are_the_matrix_product_but_for_rounding() -> None:
    random = np.random.default_rng(0)
    inputs, coef, intercept = random.normal(size=(50, 8)), random.normal(size=(3, 8)), random.normal(size=3)
    expected = inputs @ coef.T + intercept
    np.testing.assert_allclose(LinearModel(coef, intercept).predict(inputs), expected, rtol=1e-12, atol=1e-14)


def test_the_prediction_of_a_row_does_not_depend_on_the_rows_around_it() -> None:
    inputs = np.random.default_rng(1).normal(size=(100, 7))
    model = LinearModel(np.random.default_rng(2).normal(size=(2, 7)), B)
    rows = [model.predict(inputs[number : number + 1])[0].tolist() for number in range(100)]
    assert model.predict(inputs).tolist() == rows
    assert model.predict(np.asfortranarray(inputs)).tolist() == rows


@pytest.mark.parametrize("intercept", [np.array([1.0]), np.array([1.0, 2.0, 3.0]), np.empty(0)])
def test_there_is_an_intercept_for_every_output(intercept: Array) -> None:
    with pytest.raises(DataError, match="2 outputs need as many intercepts"):
        LinearModel(W, intercept)


@pytest.mark.parametrize("coef", [np.array(2.0), np.ones((2, 2, 2)), np.empty((0, 3)), np.empty(0)], ids=np.shape)
def test_coefficients_have_one_or_two_dimensions(coef: Array) -> None:
    with pytest.raises(DataError, match="coefficients have shape"):
        LinearModel(coef)


def test_a_single_weight_has_its_known_gradient() -> None:
    """The answer of PyTorch's first exercise: x 1, w 2, b 0 and target 1 make the derivative 2."""
    model = LinearModel(np.array([2.0]), np.array([0.0]))
    assert _lists(_gradients(model, np.array([[1.0]]), np.array([1.0]))) == ([2.0], [2.0])


@pytest.mark.parametrize("divisor", [1, 5, 10])
def test_the_known_model_has_its_known_gradients(divisor: int) -> None:
    coef, intercept = _gradients(LinearModel(W, B), X, Y, divisor=divisor)
    scale = 10 / divisor
    expected = np.array([[-3185.84, -3876.98, -2558.48], [1953.12, 1683.36, 1154.44]]) * scale
    np.testing.assert_allclose(coef, expected, rtol=1e-12)
    np.testing.assert_allclose(intercept, np.array([-38.36, 21.46]) * scale, rtol=1e-12)


def test_one_output_has_the_same_gradient_in_either_shape() -> None:
    flat = _gradients(LinearModel(W[0], B[:1]), X, Y[:, 0])
    column = _gradients(LinearModel(W[:1], B[:1]), X, Y[:, :1])
    assert (flat[0].shape, flat[1].shape, column[0].shape) == ((3,), (1,), (1, 3))
    assert flat[0].tolist() == column[0][0].tolist()


def test_without_an_intercept_its_derivative_is_that_at_zero() -> None:
    zero = _gradients(LinearModel(W, np.zeros(2)), X, Y)
    assert _lists(_gradients(LinearModel(W), X, Y)) == _lists(zero)


def test_sums_of_derivatives_are_exact() -> None:
    """1e16 + 1 - 1e16 is 0 in float64, from left to right."""
    inputs = np.array([[1e16], [1.0], [-1e16]])
    model = LinearModel(np.array([0.0]))
    coef, _ = _gradients(model, inputs, np.full(3, -0.5))
    assert coef.tolist() == [1.0]


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 3), min_size=1, max_size=12))
def test_gradients_are_the_rounded_sums_of_the_products_of_rows(rows: list[tuple[float, float, float]]) -> None:
    data = np.array(rows)
    inputs, target = data[:, :2], data[:, 2]
    model = LinearModel(np.array([0.5, -2.0]), np.array([0.25]))
    derivative = 2 * (model.predict(inputs) - target)
    coef, intercept = _gradients(model, inputs, target, divisor=len(rows))
    exact = [float(sum(map(Fraction, products.tolist()), Fraction(0)) / len(rows)) for products in
             (derivative * inputs[:, 0], derivative * inputs[:, 1], derivative)]  # fmt: skip
    assert [*coef.tolist(), *intercept.tolist()] == exact


@given(
    st.lists(st.tuples(*[st.floats(-100, 100).map(lambda x: round(x, 3))] * 4), min_size=1, max_size=8),
    st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=6, max_size=6),
    st.integers(0, 5),
)
def test_gradients_agree_with_central_differences(
    rows: list[tuple[float, ...]], theta: list[float], coordinate: int
) -> None:
    data = np.array(rows)
    inputs, target, step = data[:, :2], data[:, 2:], 2.0**-4
    moved = [np.array(theta), np.array(theta)]
    moved[0][coordinate] += step
    moved[1][coordinate] -= step
    models = [LinearModel(values[:4].reshape(2, 2), values[4:]) for values in moved]
    above, below = (float(np.square(model.predict(inputs) - target).sum()) for model in models)
    center = LinearModel(np.array(theta[:4]).reshape(2, 2), np.array(theta[4:]))
    coef, intercept = _gradients(center, inputs, target)
    analytic = [*coef.reshape(-1).tolist(), *intercept.tolist()][coordinate]
    assert analytic == pytest.approx((above - below) / (2 * step), rel=1e-8, abs=1e-5)


def test_weights_scale_the_derivatives_of_their_rows() -> None:
    weight = np.array([0.0, 1.0, 2.0, 0.5, 4.0])
    weighted = _gradients(LinearModel(W, B), X, Y, weight=weight)
    derivative = 2 * weight[:, np.newaxis] * (X @ W.T + B - Y)
    np.testing.assert_allclose(weighted[0], derivative.T @ X, rtol=1e-13)
    np.testing.assert_allclose(weighted[1], derivative.sum(axis=0), rtol=1e-13)


def test_whole_weights_are_repeated_rows() -> None:
    weight = np.array([1, 3, 0, 2, 1])
    weighted = _gradients(LinearModel(W, B), X, Y, weight=weight.astype(float))
    repeated = _gradients(LinearModel(W, B), X.repeat(weight, axis=0), Y.repeat(weight, axis=0))
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-14)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-14)


def test_every_element_may_have_a_weight_of_its_own() -> None:
    weight = np.ones((5, 2))
    weight[:, 1] = 0.0
    coef, intercept = _gradients(LinearModel(W, B), X, Y, weight=weight)
    assert coef[1].tolist() == [0.0, 0.0, 0.0]
    assert intercept[1] == 0.0
    assert coef[0].tolist() == _gradients(LinearModel(W, B), X, Y)[0][0].tolist()


@pytest.mark.parametrize("missing", [NAN, math.inf])
def test_masked_rows_contribute_exactly_nothing_even_where_inputs_are_missing(missing: float) -> None:
    inputs, target = np.vstack([X, np.full(3, missing)]), np.vstack([Y, [-1.0, -1.0]])
    masked = _gradients(LinearModel(W, B), inputs, target, RULES._replace(ignore=(-1.0,)))
    assert _lists(masked) == _lists(_gradients(LinearModel(W, B), X, Y))


def test_masking_is_by_output() -> None:
    target = Y.copy()
    target[2, 0] = -1.0
    coef, intercept = _gradients(LinearModel(W, B), X, target, RULES._replace(ignore=(-1.0,)))
    rest = np.delete(np.arange(5), 2)
    first = _gradients(LinearModel(W[:1], B[:1]), X[rest], Y[rest][:, :1])
    second = _gradients(LinearModel(W[1:], B[1:]), X, Y[:, 1:])
    assert coef.tolist() == [*first[0].tolist(), *second[0].tolist()]
    assert intercept.tolist() == [*first[1].tolist(), *second[1].tolist()]


def test_rows_with_missing_targets_or_inputs_are_omitted() -> None:
    inputs, target = X.copy(), Y.copy()
    inputs[0, 1], target[4] = NAN, NAN
    rules = RULES._replace(nan_target="omit", nan_prediction="omit")
    omitted = _gradients(LinearModel(W, B), inputs, target, rules)
    assert _lists(omitted) == _lists(_gradients(LinearModel(W, B), X[1:4], Y[1:4]))


def test_missing_targets_propagate_where_they_are_told_to() -> None:
    target = Y.copy()
    target[0, 0] = NAN
    coef, intercept = _gradients(LinearModel(W, B), X, target, RULES._replace(nan_target="propagate"))
    assert np.isnan(coef[0]).all()
    assert np.isnan(intercept).tolist() == [True, False]
    assert coef[1].tolist() == _gradients(LinearModel(W, B), X, Y)[0][1].tolist()


def test_dropped_rows_contribute_nothing() -> None:
    model = LinearModel(W, B)
    chunk = Chunk(model.predict(X), Y, dropped=np.array([False, True, False, False, True]))
    dropped = ParameterSums.of(chunk, X, RULES, model).gradients(ONE)
    kept = [0, 2, 3]
    assert _lists(dropped) == _lists(_gradients(model, X[kept], Y[kept]))


def test_sums_merge_in_any_order_bit_for_bit() -> None:
    random = np.random.default_rng(3)
    inputs, target = random.normal(size=(60, 3)) * 1e8, random.normal(size=(60, 2))
    model = LinearModel(W, B)
    parts = [
        ParameterSums.of(Chunk(model.predict(x), y), x, RULES, model)
        for x, y in zip(np.split(inputs, 3), np.split(target, 3), strict=True)
    ]
    expected = _lists(_gradients(model, inputs, target, divisor=7))
    for order in itertools.permutations(parts):
        merged = ParameterSums(model)
        for part in order:
            merged.merge(part)
        assert _lists(merged.gradients(7 * ONE)) == expected


def test_chunks_longer_than_a_block_are_summed_whole() -> None:
    rows = BLOCK + 5
    model = LinearModel(np.array([1.0]), np.array([0.0]))
    coef, intercept = _gradients(model, np.full((rows, 1), 3.0), np.full(rows, 1.0))
    assert (coef.tolist(), intercept.tolist()) == ([12.0 * rows], [4.0 * rows])


def test_groups_are_kept_apart_and_pooled() -> None:
    model = LinearModel(W, B)
    group = np.array([1, 0, 1, 0, 1])
    chunk = Chunk(model.predict(X), Y, group=group, groups=2)
    sums = ParameterSums.of(chunk, X, RULES, model)
    apart = sums.group_gradients([4 * ONE, 6 * ONE])
    for number, gradients in enumerate(apart):
        mine = group == number
        assert _lists(gradients) == _lists(_gradients(model, X[mine], Y[mine], divisor=4 + 2 * number))
    assert _lists(sums.gradients(10 * ONE)) == _lists(_gradients(model, X, Y, divisor=10))


def test_groups_of_parts_find_their_own_place() -> None:
    model = LinearModel(W, B)
    first = ParameterSums.of(Chunk(model.predict(X[:2]), Y[:2]), X[:2], RULES, model)
    group = np.array([0, 1, 0])
    second = ParameterSums.of(Chunk(model.predict(X[2:]), Y[2:], group=group, groups=2), X[2:], RULES, model)
    first.merge(second, np.array([2, 0]))
    here = [np.array([0, 1, 3]), np.array([], dtype=int), np.array([2, 4])]
    expected = [_lists(_gradients(model, X[rows], Y[rows])) for rows in here]
    assert list(map(_lists, first.group_gradients([ONE] * 3))) == expected


def test_a_group_without_a_denominator_has_the_gradient_zero() -> None:
    model = LinearModel(W, B)
    sums = ParameterSums.of(Chunk(model.predict(X), Y, group=np.zeros(5, dtype=np.int64), groups=2), X, RULES, model)
    assert _lists(sums.group_gradients([ONE, 0])[1]) == ([[0.0] * 3] * 2, [0.0] * 2)


def test_the_norm_of_a_gradient_is_that_of_all_parameters() -> None:
    gradients = np.array([[3.0, 0.0]]), np.array([4.0])
    assert gradient_norm(gradients, intercept=True) == 5.0
    assert gradient_norm(gradients, intercept=False) == 3.0


def test_the_norm_of_a_gradient_with_a_missing_part_is_missing() -> None:
    """The norm of (3, NaN) is not 3: a propagated missing value must show, and not be left out of the norm."""
    assert math.isnan(gradient_norm((np.array([3.0, NAN]), np.array([4.0])), intercept=True))
    assert math.isnan(gradient_norm((np.array([NAN]), np.array([NAN])), intercept=True))


def test_the_chunk_is_left_as_it_was() -> None:
    model, inputs, target = LinearModel(W, B), X.copy(), Y.copy()
    prediction = model.predict(inputs)
    chunk = Chunk(prediction, target)
    ParameterSums.of(chunk, inputs, RULES, model)
    LossState.of(chunk, RULES)
    assert (inputs.tolist(), target.tolist()) == (X.tolist(), Y.tolist())
    assert prediction.tolist() == model.predict(X).tolist()
