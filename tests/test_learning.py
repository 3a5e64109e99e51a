"""The learning side from Python: MSELoss, linear_loss, penalty, norm, iter_batches.

Expected values are the known answers of PyTorch 2.13 (float64), hand algebra, and, where it is installed, PyTorch's
own backward pass; where it is not, NumPy's algebra.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli import (
    DataError,
    LinearResult,
    MSELoss,
    UsageError,
    iter_batches,
    linear_loss,
    mse_loss,
    mse_loss_grad,
    norm,
    penalty,
    score,
)

Array = NDArray[np.float64]

NAN = math.nan
REDUCTIONS = ["mean", "sum", "batchmean"]
X = [[75, 69, 45], [93, 90, 61], [89, 136, 70], [104, 45, 39], [72, 98, 81]]
Y = [[64, 73], [93, 104], [111, 125], [36, 45], [110, 113]]
W, B = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], [0.5, -0.5]
GRAD_COEF = np.array([[-3185.84, -3876.98, -2558.48], [1953.12, 1683.36, 1154.44]])
GRAD_INTERCEPT = np.array([-38.36, 21.46])


def _random_pair() -> tuple[Array, Array]:
    random = np.random.RandomState(123)
    return random.random(27), random.random(27)


def _close(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


# MSELoss


def test_random_numbers_of_numpys_first_generator_have_their_known_loss_and_gradients() -> None:
    prediction, target = _random_pair()
    loss = MSELoss()
    expected = 0.1169601165663142
    assert abs(float(loss(prediction, target)) - expected) <= np.spacing(expected)
    d_pred, d_target = loss.backward()
    _close(d_pred, 2 * (prediction - target) / 27, rtol=1e-15)
    assert d_target.tolist() == (-d_pred).tolist()
    assert d_pred[:4].round(6).tolist() == [0.034682, -0.000561, -0.029935, 0.034016]


@pytest.mark.parametrize(("reduction", "divisor"), [("mean", 4), ("sum", 1), ("batchmean", 2)])
def test_the_module_agrees_with_the_functions(reduction: str, divisor: int) -> None:
    prediction, target = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [5.0, 1.0]]
    loss = MSELoss(reduction=reduction)
    assert loss(prediction, target) == mse_loss(prediction, target, reduction=reduction) == 14 / divisor
    d_pred, d_target = loss.backward()
    assert d_pred.tolist() == mse_loss_grad(prediction, target, reduction=reduction).tolist()
    assert d_pred.tolist() == (np.array([[2.0, 0.0], [-4.0, 6.0]]) / divisor).tolist()
    assert (d_pred + d_target).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_gradients_have_no_negative_zeros() -> None:
    loss = MSELoss()
    loss([1.0, 2.0], [1.0, 2.0])
    assert [math.copysign(1, value) for half in loss.backward() for value in half] == [1.0] * 4


def test_backward_before_the_first_loss_is_an_error() -> None:
    with pytest.raises(UsageError, match="no loss yet"):
        MSELoss().backward()


def test_backward_of_a_vector_is_an_error() -> None:
    loss = MSELoss(reduction="none")
    assert np.asarray(loss([1.0, 4.0], [1.0, 2.0])).tolist() == [0.0, 4.0]
    with pytest.raises(UsageError, match="no gradient"):
        loss.backward()


def test_backward_is_that_of_the_last_loss_and_can_be_repeated() -> None:
    loss = MSELoss(reduction="sum")
    loss([1.0], [0.0])
    loss([5.0, 1.0], [3.0, 1.0])
    first, _ = loss.backward()
    first[:] = 0
    assert loss.backward()[0].tolist() == [4.0, 0.0]


def test_later_changes_of_the_arrays_do_not_change_the_gradient() -> None:
    prediction, target = np.array([1.0, 4.0]), np.array([1.0, 2.0])
    loss = MSELoss(reduction="sum")
    loss(prediction, target)
    prediction[:] = 100
    assert loss.backward()[0].tolist() == [0.0, 4.0]


def test_weights_divide_the_mean() -> None:
    loss = MSELoss(weight=[1.0, 3.0])
    assert loss([1.0, 2.0], [0.0, 0.0]) == 13 / 4
    assert loss.backward()[0].tolist() == [0.5, 3.0]


def test_ignored_and_omitted_elements_have_the_gradient_zero() -> None:
    loss = MSELoss(ignore_index=-1, nan_policy="omit", nan_pred="omit")
    assert loss([NAN, 2.0, NAN, 3.0], [-1.0, NAN, 5.0, 1.0]) == 4.0
    d_pred, d_target = loss.backward()
    assert (d_pred.tolist(), d_target.tolist()) == ([0.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0, -4.0])


@pytest.mark.parametrize(
    ("size_average", "reduce", "reduction"),
    [
        (None, False, "none"), (True, False, "none"), (False, False, "none"), (False, None, "sum"),
        (False, True, "sum"), (True, None, "mean"), (True, True, "mean"), (None, True, "mean"),
    ],
)  # fmt: skip
def test_the_legacy_flags_mean_what_pytorch_says_and_warn(
    size_average: bool | None, reduce: bool | None, reduction: str
) -> None:
    with pytest.warns(DeprecationWarning, match=f"use reduction='{reduction}'"):
        loss = MSELoss(reduction="batchmean", size_average=size_average, reduce=reduce)
    assert loss.reduction == reduction


def test_unknown_settings_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="unknown reduction 'average'"):
        MSELoss(reduction="average")
    with pytest.raises(UsageError, match="nan_policy"):
        MSELoss(nan_policy="drop")  # type: ignore[arg-type]


def test_the_module_refuses_what_the_function_refuses() -> None:
    with pytest.raises(DataError, match="shapes differ"):
        MSELoss()([1.0], [1.0, 2.0])
    with pytest.raises(DataError, match="1 of 2 values missing"):
        MSELoss()([1.0, NAN], [1.0, 2.0])
    with pytest.raises(DataError, match="indexes"):
        MSELoss()(pd.Series([1.0, 2.0], index=[0, 1]), pd.Series([1.0, 2.0], index=[1, 0]))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_module_differentiates_as_torch_does(reduction: str) -> None:
    torch = pytest.importorskip("torch")
    prediction, target = (torch.tensor(half, dtype=torch.float64, requires_grad=True) for half in _random_pair())
    expected = torch.nn.MSELoss(reduction=reduction)(prediction, target)
    expected.backward()
    loss = MSELoss(reduction=reduction)
    _close(loss(prediction, target), expected.item(), rtol=1e-14)
    d_pred, d_target = loss.backward()
    _close(d_pred, prediction.grad.numpy(), rtol=1e-15)
    _close(d_target, target.grad.numpy(), rtol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weighted_losses_are_those_of_torch(reduction: str) -> None:
    torch = pytest.importorskip("torch")
    weight = np.random.default_rng(4).random(27)
    prediction, target = (torch.tensor(half, dtype=torch.float64, requires_grad=True) for half in _random_pair())
    expected = torch.nn.functional.mse_loss(prediction, target, reduction=reduction, weight=torch.tensor(weight))
    expected.backward()
    loss = MSELoss(reduction=reduction, weight=weight)
    _close(loss(prediction, target), expected.item(), rtol=1e-14)
    _close(loss.backward()[0], prediction.grad.numpy(), rtol=1e-14)


# linear_loss


def test_one_weight_has_its_known_loss_and_gradient() -> None:
    result = linear_loss([1.0], [1.0], [2.0], [0.0])
    assert isinstance(result, LinearResult)
    assert (result.loss, result.objective) == (1.0, 1.0)
    assert result.grad_coef.tolist() == [2.0]
    assert result.grad_intercept is not None
    assert result.grad_intercept.tolist() == [2.0]


@pytest.mark.parametrize(("reduction", "scale"), [("mean", 1), ("sum", 10), ("batchmean", 2)])
def test_the_known_model_has_its_known_loss_and_gradients(reduction: str, scale: int) -> None:
    result = linear_loss(X, Y, W, B, reduction=reduction)
    _close(result.loss, 1216.769 * scale)
    _close(result.grad_coef, GRAD_COEF * scale)
    _close(result.grad_intercept, GRAD_INTERCEPT * scale)
    assert (result.penalties.l1, result.penalties.l2, result.objective) == (0.0, 0.0, result.loss)


def test_the_known_model_has_its_known_objective() -> None:
    result = linear_loss(X, Y, W, B, l1=0.01, l2=0.1, regularize_intercept=True)
    _close(result.loss, 1216.769)
    _close([result.penalties.l1, result.penalties.l2], [0.031, 0.141])
    _close(result.objective, 1216.941)
    _close(result.grad_coef, [[-3185.81, -3876.93, -2558.41], [1953.21, 1683.47, 1154.57]])
    _close(result.grad_intercept, [-38.25, 21.35])


def test_the_intercept_is_not_penalized_unless_told() -> None:
    result = linear_loss(X, Y, W, B, l1=0.01, l2=0.1)
    _close([result.penalties.l1, result.penalties.l2], [0.021, 0.091])
    _close(result.grad_intercept, GRAD_INTERCEPT)


def test_without_an_intercept_there_is_no_gradient_of_it() -> None:
    result = linear_loss(X, Y, W, l1=1.0, regularize_intercept=True)
    assert result.grad_intercept is None
    _close(result.penalties.l1, 2.1)


def test_gradients_have_the_shapes_of_the_parameters() -> None:
    flat = linear_loss(X, [row[0] for row in Y], W[0], 0.5)
    assert flat.grad_coef.shape == (3,)
    assert flat.grad_intercept is not None
    assert flat.grad_intercept.shape == (1,)
    assert linear_loss(X, [row[0] for row in Y], W[:1], [0.5]).grad_coef.shape == (1, 3)


def test_large_parameters_without_penalties_leave_the_objective_alone() -> None:
    """The squares of the coefficients overflow, but their factor is 0."""
    result = linear_loss([[1e-200]], [0.0], [1e200])
    assert (result.loss, result.objective) == (1.0, 1.0)
    assert (result.penalties.l1, result.penalties.l2) == (0.0, 0.0)


def test_rows_that_are_ignored_contribute_exactly_nothing() -> None:
    masked = linear_loss([*X, [NAN, NAN, NAN]], [*Y, [-100, -100]], W, B, ignore_index=-100)
    whole = linear_loss(X, Y, W, B)
    assert masked.loss == whole.loss
    assert masked.grad_coef.tolist() == whole.grad_coef.tolist()
    assert masked.grad_intercept is not None
    assert whole.grad_intercept is not None
    assert masked.grad_intercept.tolist() == whole.grad_intercept.tolist()


def test_missing_inputs_make_missing_predictions() -> None:
    inputs = [[NAN, 1.0, 1.0], *X[1:]]
    with pytest.raises(DataError, match="prediction: 2 of 10 values missing, the first in row 1"):
        linear_loss(inputs, Y, W, B)
    omitted = linear_loss(inputs, Y, W, B, nan_pred="omit")
    rest = linear_loss(X[1:], Y[1:], W, B)
    assert omitted.loss == rest.loss
    assert omitted.grad_coef.tolist() == rest.grad_coef.tolist()


def test_weights_are_those_of_the_rows() -> None:
    weight = np.array([1.0, 0.0, 2.0, 3.0, 0.5])
    result = linear_loss(X, Y, W, B, weight=weight)
    residual = np.array(X) @ np.transpose(W) + B - Y
    # A row's weight counts for each of its two elements.
    _close(result.loss, (weight[:, None] * residual**2).sum() / (2 * weight.sum()))
    _close(result.grad_coef, (weight[:, None] * residual).T @ np.array(X) / weight.sum())


@pytest.mark.parametrize(
    ("inputs", "target", "coef", "intercept"),
    [
        (X, Y, [1.0, 2.0], None),
        (X, Y, W[0], None),
        (X, Y[:4], W, None),
        (X, Y, W, [1.0]),
        (1.0, [1.0], [2.0], None),
        ([1.0], [1.0], 2.0, None),
        ([[[1.0]]], [1.0], [2.0], None),
        ([], [], [1.0], None),
        (np.empty((0, 2)), [], [1.0, 2.0], None),
        (X, Y, [["a", "b", "c"]], None),
    ],
    ids=[
        "inputs", "outputs", "rows", "intercepts", "scalar inputs", "scalar coef", "3-D", "empty list", "empty", "text",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(inputs: Any, target: Any, coef: Any, intercept: Any) -> None:
    with pytest.raises(DataError):
        linear_loss(inputs, target, coef, intercept)


@pytest.mark.parametrize(
    ("setting", "value"), [("reduction", "none"), ("reduction", "avg"), ("l1", -1.0), ("l2", NAN), ("l2", math.inf)]
)
def test_impossible_settings_of_a_linear_loss_are_refused(setting: str, value: Any) -> None:
    options: dict[str, Any] = {setting: value}
    with pytest.raises(UsageError):
        linear_loss(X, Y, W, B, **options)


def test_missing_parameters_are_refused() -> None:
    with pytest.raises(DataError):
        linear_loss([[1.0]], [1.0], [NAN])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("penalized", [False, True])
def test_linear_models_differentiate_as_in_torch(reduction: str, penalized: bool) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(5)
    x, y, coef, intercept = (torch.tensor(random.normal(size=size)) for size in [(40, 6), (40, 3), (3, 6), (3,)])
    coef[1, 2] = 0.0
    coef.requires_grad_()
    intercept.requires_grad_()
    expected = torch.nn.functional.mse_loss(torch.nn.functional.linear(x, coef, intercept), y, reduction=reduction)
    objective = expected
    if penalized:
        for theta in (coef, intercept):
            objective = objective + 0.3 * theta.abs().sum() + 0.2 * theta.square().sum()
    objective.backward()
    factors: dict[str, Any] = {"l1": 0.3, "l2": 0.2} if penalized else {}
    result = linear_loss(x, y, coef, intercept, reduction=reduction, regularize_intercept=True, **factors)
    _close(result.loss, expected.item())
    _close(result.objective, objective.item())
    np.testing.assert_allclose(result.grad_coef, coef.grad.numpy(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result.grad_intercept, intercept.grad.numpy(), rtol=1e-11, atol=1e-13)  # type: ignore[arg-type]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_linear_models_differentiate_as_in_numpy(reduction: str) -> None:
    random = np.random.default_rng(6)
    x, y, coef, intercept = (random.normal(size=size) for size in [(40, 6), (40, 3), (3, 6), (3,)])
    residual = x @ coef.T + intercept - y
    divisor = {"mean": 120, "sum": 1, "batchmean": 40}[reduction]
    result = linear_loss(x, y, coef, intercept, reduction=reduction)
    _close(result.loss, np.square(residual).sum() / divisor)
    np.testing.assert_allclose(result.grad_coef, 2 * residual.T @ x / divisor, rtol=1e-11, atol=1e-13)


@given(
    st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=8, max_size=8),
    st.integers(0, 7),
    st.sampled_from(REDUCTIONS),
    st.floats(0, 4),
)
def test_gradients_of_the_objective_agree_with_central_differences(
    theta: list[float], coordinate: int, reduction: str, l2: float
) -> None:
    """With l2 alone the objective is a quadratic, whose central differences are exact but for rounding."""

    def result(step: float) -> LinearResult:
        moved = np.array(theta)
        moved[coordinate] += step
        return linear_loss(
            X, Y, moved[:6].reshape(2, 3), moved[6:], reduction=reduction, l2=l2, regularize_intercept=True
        )

    at = result(0.0)
    assert at.grad_intercept is not None
    analytic = [*at.grad_coef.reshape(-1).tolist(), *at.grad_intercept.tolist()][coordinate]
    numeric = (result(0.5).objective - result(-0.5).objective) / 1.0
    assert analytic == pytest.approx(numeric, rel=1e-9, abs=1e-7)


def test_the_order_of_the_rows_does_not_matter_to_the_last_bit() -> None:
    random = np.random.default_rng(7)
    x, y, coef = random.normal(size=(500, 4)) * 1e6, random.normal(size=500), random.normal(size=4)
    order = random.permutation(500)
    first, second = linear_loss(x, y, coef), linear_loss(x[order], y[order], coef)
    assert first.loss == second.loss
    assert first.grad_coef.tolist() == second.grad_coef.tolist()


# what arrays may come as


def _as_pandas(values: list[list[float]]) -> Any:
    return pd.DataFrame(values)


def _as_pyarrow(values: list[list[float]]) -> Any:
    return pa.table({str(number): list(column) for number, column in enumerate(zip(*values, strict=True))})


def _as_torch(values: list[list[float]]) -> Any:
    torch = pytest.importorskip("torch")
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("convert", [np.array, _as_pandas, _as_pyarrow, _as_torch])
def test_arrays_of_every_library_give_the_same_bits(convert: Callable[[Any], Any]) -> None:
    expected = linear_loss(X, Y, W, B, l1=0.01, l2=0.1)
    inputs, target, coef = convert(X), convert(Y), convert(W)
    found = linear_loss(inputs, target, coef, B, l1=0.01, l2=0.1)
    assert (found.loss, found.objective) == (expected.loss, expected.objective)
    assert type(found.grad_coef) is np.ndarray
    assert found.grad_coef.tolist() == expected.grad_coef.tolist()
    assert norm(inputs) == norm(X)
    assert penalty(coef, l1=2.0) == penalty(W, l1=2.0)
    loss = MSELoss()
    assert loss(target, convert([[0.0, 0.0]] * 5)) == MSELoss()(Y, [[0.0, 0.0]] * 5)
    assert type(loss.backward()[0]) is np.ndarray
    batches = list(iter_batches(target, target, 2))
    assert [batch[0].tolist() for batch in batches] == [Y[:2], Y[2:4], Y[4:]]


def test_single_columns_of_every_library_are_vectors() -> None:
    torch = pytest.importorskip("torch")
    values: list[Any] = [pd.Series([3.0, 4.0]), pa.array([3.0, 4.0]), pa.chunked_array([[3.0], [4.0]])]
    values.append(torch.tensor([3.0, 4.0], requires_grad=True))
    for vector in values:
        assert norm(vector) == 5.0
        assert penalty(vector, l1=1.0) == 7.0
        assert penalty([vector, vector], l1=1.0) == 14.0
        assert MSELoss()(vector, [0.0, 0.0]) == 12.5
        assert linear_loss(vector, [0.0, 0.0], [1.0]).loss == 12.5


# pandas labels


LEFT, RIGHT = pd.Series([1.0, 2.0, 3.0], index=["a", "b", "c"]), pd.Series([3.0, 1.0, 2.0], index=["c", "a", "b"])


def test_series_with_different_indexes_are_refused_unless_aligned() -> None:
    for function in (mse_loss, mse_loss_grad):
        with pytest.raises(DataError, match="align=True"):
            function(LEFT, RIGHT)
    assert mse_loss(LEFT, RIGHT, align=True) == 0.0
    assert mse_loss_grad(LEFT, RIGHT.add([1.0, 0.0, 0.0]), align=True, reduction="sum").tolist() == [0.0, 0.0, -2.0]
    with pytest.raises(DataError, match="align=True"):
        iter_batches(LEFT, RIGHT, 2)
    assert [t.tolist() for _, t in iter_batches(LEFT, RIGHT, 2, align=True)] == [[1.0, 2.0], [3.0]]


def test_labels_that_are_on_one_side_only_cannot_be_aligned() -> None:
    with pytest.raises(DataError, match="cannot be aligned"):
        mse_loss(LEFT, RIGHT.rename({"c": "d"}), align=True)


@pytest.mark.parametrize("coef", [[1.0], [[1.0]]])
def test_inputs_and_targets_with_different_indexes_are_refused(coef: list[Any]) -> None:
    inputs = LEFT.to_frame("x")
    with pytest.raises(DataError, match="indexes"):
        linear_loss(inputs, RIGHT, coef)
    assert linear_loss(inputs, RIGHT.reindex(inputs.index), coef).loss == 0.0


def test_weights_with_another_index_are_refused() -> None:
    weight = pd.Series([1.0, 2.0, 3.0], index=RIGHT.index)
    with pytest.raises(DataError, match="indexes"):
        MSELoss(weight=weight)(LEFT, LEFT)
    with pytest.raises(DataError, match="indexes"):
        linear_loss(LEFT.to_frame("x"), LEFT, [1.0], weight=weight)


# penalty and norm


def test_penalties_by_hand() -> None:
    assert penalty([1.0, -2.0], l1=0.5, l2=0.25) == 2.75
    assert penalty([[1.0, -2.0], [0.0, 3.0]], l1=1.0) == 6.0
    assert penalty([1.0, -2.0]) == 0.0
    assert penalty([], l1=1.0, l2=1.0) == 0.0
    assert penalty([W, B], l1=0.01, l2=0.1) == pytest.approx(0.172, rel=1e-14)


def test_parameters_of_different_shapes_are_penalized_together() -> None:
    assert penalty([np.ones((2, 3)), np.array([-2.0]), np.array(5.0)], l1=1.0, l2=1.0) == 13.0 + 35.0
    assert penalty((np.ones((2, 3)), np.array([-2.0])), l1=1.0) == 8.0


def test_a_penalty_of_large_parameters_without_squares_is_finite() -> None:
    assert penalty([1e200], l1=1.0) == 1e200


@pytest.mark.parametrize("factors", [{"l1": -1.0}, {"l2": -1.0}, {"l1": NAN}, {"l2": math.inf}])
def test_factors_of_penalties_are_finite_and_not_negative(factors: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="factor"):
        penalty([1.0], **factors)


def test_missing_parameters_have_no_penalty() -> None:
    with pytest.raises(DataError, match="parameter 2 of 2 is missing"):
        penalty([1.0, NAN], l1=1.0)


@pytest.mark.parametrize(
    ("values", "order", "expected"),
    [
        ([3, 4], 1, 7.0), ([3, 4], 2, 5.0), ([3, 4], math.inf, 4.0), ([3, 4], 3, 4.497941445275415),
        ([1e200, 1e200], 2, 1.4142135623730951e200), ([1e-200, 1e-200], 2, 1.4142135623730951e-200), ([], 2, 0.0),
        ([[3, 0], [0, -4]], 2, 5.0), (np.array([255, 255], dtype=np.uint8), 1, 510.0), (-5.0, 2, 5.0),
    ],
)  # fmt: skip
def test_norms_have_their_known_values(values: Any, order: float, expected: float) -> None:
    assert norm(values, order) == expected
    assert type(norm(values, order)) is float


def test_the_norm_of_order_two_is_the_default() -> None:
    assert norm([3.0, 4.0]) == norm([3.0, 4.0], ord=2) == 5.0


@pytest.mark.parametrize("order", [0, 0.5, -1, -math.inf, NAN])
def test_orders_below_one_are_no_norms(order: float) -> None:
    with pytest.raises(UsageError, match="order"):
        norm([3.0, 4.0], order)


def test_a_vector_with_a_missing_number_has_no_norm() -> None:
    with pytest.raises(DataError, match="value 2 of 3 is missing"):
        norm([1.0, NAN, 2.0])
    with pytest.raises(DataError, match="missing"):
        norm(pa.array([1.0, None]))


def test_the_loss_is_the_squared_norm_of_the_difference() -> None:
    prediction, target = _random_pair()
    _close(norm(prediction - target) ** 2 / 27, mse_loss(prediction, target), rtol=1e-15)


# iter_batches


def test_batches_are_cut_in_order() -> None:
    batches = list(iter_batches([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 2))
    assert [(p.tolist(), t.tolist()) for p, t in batches] == [([1.0, 2.0], [4.0, 5.0]), ([3.0], [6.0])]


@pytest.mark.parametrize(("size", "drop_last", "sizes"), [
    (1, False, [1] * 5), (2, True, [2, 2]), (5, True, [5]), (6, True, []), (6, False, [5]),
])  # fmt: skip
def test_a_last_batch_that_is_not_full_may_be_dropped(size: int, drop_last: bool, sizes: list[int]) -> None:
    assert [len(p) for p, _ in iter_batches(np.ones((5, 2)), np.ones((5, 2)), size, drop_last=drop_last)] == sizes


def test_shuffled_batches_hold_every_pair_once() -> None:
    rows = np.arange(100.0)
    batches = list(iter_batches(rows, -rows, 7, shuffle=True, seed=3))
    prediction = np.concatenate([p for p, _ in batches])
    assert prediction.tolist() != rows.tolist()
    assert sorted(prediction.tolist()) == rows.tolist()
    assert (prediction + np.concatenate([t for _, t in batches])).tolist() == [0.0] * 100


def test_the_seed_decides_the_shuffle() -> None:
    def first(seed: int) -> list[float]:
        values: list[float] = next(iter_batches(np.arange(50.0), np.arange(50.0), 10, shuffle=True, seed=seed))[
            0
        ].tolist()
        return values

    assert first(1) == first(1) != first(2)


def test_shuffled_batches_are_those_of_the_command_line(tmp_path: Any) -> None:
    prediction, target = _random_pair()
    np.save(tmp_path / "p.npy", prediction)
    np.save(tmp_path / "t.npy", target)
    result = score(tmp_path / "p.npy", tmp_path / "t.npy", batch_size=4, shuffle=9, drop_last=True)
    batches = iter_batches(prediction, target, 4, shuffle=True, seed=9, drop_last=True)
    assert [entry.score.loss for entry in result.batches] == [mse_loss(p, t) for p, t in batches]
    assert len(result.batches) == 6


def test_a_column_of_targets_takes_the_shape_of_the_predictions() -> None:
    ((prediction, target),) = iter_batches([1.0, 2.0], [[3.0], [4.0]], 2)
    assert prediction.shape == target.shape == (2,)


@pytest.mark.parametrize("size", [0, -1])
def test_batches_have_at_least_one_row(size: int) -> None:
    with pytest.raises(UsageError, match="batch_size"):
        iter_batches([1.0], [1.0], size)


def test_batches_of_different_shapes_are_refused_at_once() -> None:
    with pytest.raises(DataError, match="shapes differ"):
        iter_batches([1.0, 2.0], [1.0], 1)
    with pytest.raises(DataError):
        iter_batches(1.0, 1.0, 1)


def test_the_losses_of_batches_add_up_to_the_whole() -> None:
    prediction, target = _random_pair()
    sums = [mse_loss(p, t, reduction="sum") for p, t in iter_batches(prediction, target, 10)]
    assert len(sums) == 3
    assert math.fsum(sums) == pytest.approx(mse_loss(prediction, target, reduction="sum"), rel=1e-15)
