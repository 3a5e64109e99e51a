"""The loss and its gradient on arrays in memory.

Expected values are hand algebra, `fractions.Fraction`, central differences, NumPy's rules of conversion worked out
by hand, and PyTorch 2.13 where it is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli import (
    DataError,
    LinearResult,
    MsecliError,
    MSELoss,
    UsageError,
    iter_batches,
    linear_loss,
    mse_loss,
    mse_loss_grad,
    penalty,
    vector_norm,
)

Array = NDArray[np.float64]

NAN = math.nan
PREDICTION, TARGET = [2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]
WEIGHT = [1.0, 2.0, 3.0, 4.0]
PERMUTED = [[1, 2, 3], [2, 1, 3], [3, 1, 2]]
IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
REDUCTIONS = ["mean", "sum", "batchmean"]
MODERATE = st.floats(-100.0, 100.0).map(lambda x: round(x, 4))
ROWS = st.lists(st.tuples(MODERATE, MODERATE, st.floats(0.25, 4.0)), min_size=1, max_size=12)
X = [[75, 69, 45], [93, 90, 61], [89, 136, 70], [104, 45, 39], [72, 98, 81]]
Y = [[64, 73], [93, 104], [111, 125], [36, 45], [110, 113]]
W, B = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], [0.5, -0.5]
GRAD_COEF = np.array([[-3185.84, -3876.98, -2558.48], [1953.12, 1683.36, 1154.44]])
GRAD_INTERCEPT = np.array([-38.36, 21.46])
"""What PyTorch 2.13 says of this model in float64."""


def _random_pair() -> tuple[Array, Array]:
    random = np.random.RandomState(123)
    return random.random(27), random.random(27)


def _close(found: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


def test_a_small_example_has_its_mean() -> None:
    assert mse_loss([1.5, 2.1, 2.9, 4.2], [1, 2, 3, 4]) == pytest.approx(0.0775, rel=1e-15, abs=1e-15)


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 37 / 9), ("sum", 37.0), ("batchmean", 37 / 3)])
def test_a_matrix_against_the_identity_by_hand(reduction: str, expected: float) -> None:
    assert mse_loss(PERMUTED, IDENTITY, reduction=reduction) == expected


def test_no_reduction_keeps_every_loss_in_its_place() -> None:
    losses = mse_loss(PERMUTED, IDENTITY, reduction="none")
    assert losses.tolist() == [[0, 4, 9], [4, 0, 9], [9, 1, 1]]
    assert losses.dtype == np.float64


def test_random_numbers_of_numpys_first_generator_have_the_known_loss_and_gradient() -> None:
    random = np.random.RandomState(123)
    prediction, target = random.random(27), random.random(27)
    expected = 0.1169601165663142
    assert abs(mse_loss(prediction, target) - expected) <= np.spacing(expected)
    gradient = mse_loss_grad(prediction, target)
    np.testing.assert_allclose(gradient[:4], [0.034682, -0.000561, -0.029935, 0.034016], atol=5e-7)


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        (np.uint8(0), np.uint8(16), 256.0),
        (np.int8(-128), np.int8(127), 65025.0),
        (np.float16(300), np.float16(0), 90000.0),
        (np.float32(0.1), np.float64(0.1), 2.220446032706701e-18),
        (np.uint64(2**63), np.int64(-(2**62)), (2.0**63 + 2.0**62) ** 2),
        (np.bool_(True), np.bool_(False), 1.0),
        (np.int32(-(2**31)), np.int32(2**31 - 1), (2.0**32 - 1) ** 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_float64_before_they_are_subtracted(
    prediction: np.generic, target: np.generic, expected: float
) -> None:
    assert mse_loss(np.array([prediction]), np.array([target])) == expected
    assert mse_loss(np.array([prediction]), np.array([target]), reduction="none").tolist() == [expected]


@pytest.mark.parametrize(("rows", "columns"), [(3, 1), (1, 1)])
def test_one_column_is_the_same_as_none(rows: int, columns: int) -> None:
    flat, column = np.arange(rows) + 0.5, (np.arange(rows) + 0.5).reshape(rows, columns)
    assert mse_loss(flat, column) == mse_loss(column, flat) == 0.0
    assert mse_loss(flat + 1, column, reduction="none").shape == (rows,)
    assert mse_loss_grad(column + 1, flat).shape == (rows, columns)


@pytest.mark.parametrize(
    ("prediction", "target"), [((4,), (3,)), ((3, 2), (3, 3)), ((2, 3), (3,)), ((), (3,)), ((3,), ()), ((3,), (1, 3))]
)
@pytest.mark.parametrize("function", [mse_loss, mse_loss_grad])
def test_nothing_is_broadcast(
    function: Callable[..., object], prediction: tuple[int, ...], target: tuple[int, ...]
) -> None:
    with pytest.raises(DataError):
        function(np.zeros(prediction), np.zeros(target))


def test_errors_are_value_errors_too() -> None:
    assert issubclass(DataError, ValueError)
    assert issubclass(UsageError, ValueError)
    with pytest.raises(ValueError, match="shapes differ"):
        mse_loss([1.0], [1.0, 2.0])


def test_omitted_elements_leave_the_mean() -> None:
    assert mse_loss([[1, 2], [3, 4]], [[1, NAN], [5, 6]], nan_target="omit") == 8 / 3


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 3.25), ("sum", 13.0), ("batchmean", 3.25)])
def test_weights_of_missing_elements_leave_the_denominator(reduction: str, expected: float) -> None:
    prediction, target = [10, 20, 30, 40, 50, NAN], [12, 25, 29, 42, NAN, 50]
    # 1 * 4 + 0 * 25 + 1 * 1 + 2 * 4 = 13, over the weights 1 + 0 + 1 + 2, or over four used rows.
    weight = [1, 0, 1, 2, 3, 4]
    loss = mse_loss(prediction, target, weight=weight, reduction=reduction, nan_target="omit", nan_pred="omit")
    assert loss == expected


@pytest.mark.parametrize(
    ("reduction", "expected"), [("sum", 4.75), ("mean", 0.475), ("batchmean", 4.75 / 4)]
)  # fmt: skip
def test_weighted_losses_by_hand(reduction: str, expected: float) -> None:
    assert mse_loss(PREDICTION, TARGET, weight=WEIGHT, reduction=reduction) == expected


def test_weighted_elements_by_hand() -> None:
    assert mse_loss(PREDICTION, TARGET, weight=WEIGHT, reduction="none").tolist() == [0.25, 0.5, 0.0, 4.0]


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("mean", [-0.1, 0.2, 0.0, 0.8]), ("sum", [-1.0, 2.0, 0.0, 8.0]), ("batchmean", [-0.25, 0.5, 0.0, 2.0])],
)
def test_weighted_gradients_by_hand(reduction: str, expected: list[float]) -> None:
    assert mse_loss_grad(PREDICTION, TARGET, weight=WEIGHT, reduction=reduction).tolist() == expected


def test_a_weight_of_zero_takes_a_row_out() -> None:
    assert mse_loss(PREDICTION, TARGET, weight=[0, 0, 0, 1]) == 1.0


def test_weights_far_apart_are_added_exactly() -> None:
    weight = [2.0**53, 1.0, 1.0, 0.0]
    assert mse_loss(np.ones(4), np.zeros(4), weight=weight, reduction="sum") == 9007199254740994.0
    assert mse_loss(np.ones(4), np.zeros(4), weight=weight) == 1.0


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "none"])
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0, 0, 0, 0], "all weights are 0"),
        ([1, -1, 1, 1], "the weight in row 2 is negative, infinite or missing"),
        ([1, 1, math.inf, 1], "the weight in row 3 is negative, infinite or missing"),
        ([NAN, 1, 1, 1], "the weight in row 1 is negative, infinite or missing"),
    ],
)
def test_impossible_weights_are_refused(weight: list[float], message: str, reduction: str) -> None:
    with pytest.raises(DataError, match=message):
        mse_loss(PREDICTION, TARGET, weight=weight, reduction=reduction)


@pytest.mark.parametrize("shape", [(3,), (1,), (), (4, 2), (1, 4)])
def test_weights_are_not_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="the weights have shape"):
        mse_loss(PREDICTION, TARGET, weight=np.ones(shape))


@pytest.mark.parametrize("weight", [[2.0, 0.5], [[2.0, 2.0, 2.0], [0.5, 0.5, 0.5]]])
def test_a_weight_for_each_row_is_that_of_its_elements(weight: list[Any]) -> None:
    prediction, target = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.zeros((2, 3))
    assert mse_loss(prediction, target, weight=weight, reduction="sum") == 2 * 14 + 77 / 2
    assert mse_loss(prediction, target, weight=weight) == (2 * 14 + 77 / 2) / 7.5
    assert mse_loss_grad(prediction, target, weight=weight, reduction="sum").tolist() == [[4, 8, 12], [4, 5, 6]]


def test_missing_elements_are_an_error_that_says_where() -> None:
    with pytest.raises(DataError, match=r"^prediction: 2 of 3 values missing, the first in row 2"):
        mse_loss([1.0, NAN, NAN], [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match=r"^target: 1 of 3 values missing, the first in row 3"):
        mse_loss([1.0, 2.0, 3.0], [1.0, 2.0, NAN])


def test_propagated_elements_make_the_loss_nan() -> None:
    assert math.isnan(mse_loss([1, NAN], [0, 0], nan_pred="propagate"))
    assert math.isnan(mse_loss([1, 2], [0, NAN], nan_target="propagate", reduction="sum"))


@pytest.mark.parametrize(
    ("prediction", "expected"), [([math.inf, 1], math.inf), ([-math.inf, 1], math.inf), ([1e200, 1], math.inf)]
)
def test_infinite_errors_give_an_infinite_loss(prediction: list[float], expected: float) -> None:
    assert mse_loss(prediction, [0, 0]) == expected


def test_equal_infinities_have_no_difference() -> None:
    assert math.isnan(mse_loss([math.inf], [math.inf]))


@pytest.mark.parametrize("ignore", [-100, -100.0, [-100], (-100, 255), np.array([255, -100]), {-100}, range(-100, -99)])
def test_ignored_elements_leave_the_mean(ignore: Any) -> None:
    assert mse_loss([1, 2, NAN], [0, -100, -100], ignore_index=ignore) == 1.0


def test_ignored_values_may_come_from_a_generator() -> None:
    assert mse_loss([1, 2, NAN], [0, -100, 255], ignore_index=(float(value) for value in (-100, 255))) == 1.0


def test_nan_may_be_ignored() -> None:
    assert mse_loss([1, NAN, 5], [0, NAN, NAN], ignore_index=NAN) == 1.0


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing left to score"):
        mse_loss([1, 2], [-1, -1], ignore_index=-1)
    with pytest.raises(DataError, match="nothing left to score"):
        mse_loss([], [])


@pytest.mark.parametrize("function", [mse_loss, mse_loss_grad])
@pytest.mark.parametrize(
    "options", [{"reduction": "avg"}, {"nan_target": "ignore"}, {"nan_pred": "drop"}], ids=["r", "t", "p"]
)
def test_unknown_options_are_refused(function: Callable[..., object], options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        function([1.0], [1.0], **options)


def test_no_reduction_has_no_gradient() -> None:
    with pytest.raises(UsageError, match="has no gradient"):
        mse_loss_grad([1.0], [1.0], reduction="none")


def test_every_error_is_one_of_the_project() -> None:
    for prediction, target in (([1], ["a"]), ([[1, 2], [3]], [1, 2]), ([1 + 1j], [1]), ([], [])):
        with pytest.raises(MsecliError):
            mse_loss(prediction, target)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e150, 1e150), st.floats(-1e150, 1e150)), min_size=1))
def test_the_mean_is_the_rounded_quotient_of_the_losses_as_fractions(pairs: list[tuple[float, float]]) -> None:
    prediction, target = [p for p, _ in pairs], [t for _, t in pairs]
    losses = mse_loss(prediction, target, reduction="none").tolist()
    assert losses == [(p - t) * (p - t) for p, t in pairs]
    exact = sum(map(Fraction, losses), Fraction(0))
    assert mse_loss(prediction, target) == float(exact / len(pairs))
    assert mse_loss(prediction, target, reduction="sum") == float(exact)


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[float, float, float]], random: Any) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    losses = [
        mse_loss([p for p, _, _ in order], [t for _, t, _ in order], weight=[w for _, _, w in order])
        for order in (rows, shuffled)
    ]
    assert losses[0] == losses[1]


@settings(deadline=None)
@given(ROWS, st.sampled_from(REDUCTIONS))
def test_prediction_and_target_may_change_places(rows: list[tuple[float, float, float]], reduction: str) -> None:
    p, t, w = (np.array(side) for side in zip(*rows, strict=True))
    assert mse_loss(p, t, weight=w, reduction=reduction) == mse_loss(t, p, weight=w, reduction=reduction)
    there, back = (mse_loss_grad(*sides, weight=w, reduction=reduction) for sides in ((p, t), (t, p)))
    assert there.tolist() == (-back).tolist()


@settings(deadline=None)
@given(ROWS, st.integers(-100, 100))
def test_a_scale_by_a_power_of_two_scales_the_loss_by_its_square(
    rows: list[tuple[float, float, float]], exponent: int
) -> None:
    p, t, w = (np.array(side) for side in zip(*rows, strict=True))
    factor = 2.0**exponent
    assert mse_loss(p * factor, t * factor, weight=w) == factor**2 * mse_loss(p, t, weight=w)
    assert mse_loss(p, t, weight=w * factor) == mse_loss(p, t, weight=w)


@settings(deadline=None)
@given(ROWS, st.sampled_from(REDUCTIONS), st.booleans())
def test_the_gradient_agrees_with_central_differences(
    rows: list[tuple[float, float, float]], reduction: str, weighted: bool
) -> None:
    p, t, weights = (np.array(side) for side in zip(*rows, strict=True))
    options: dict[str, Any] = {"reduction": reduction, "weight": weights if weighted else None}
    step = 2.0**-7
    differences = [
        (mse_loss(p + nudge, t, **options) - mse_loss(p - nudge, t, **options)) / (2 * step)
        for nudge in step * np.eye(len(p))
    ]
    np.testing.assert_allclose(mse_loss_grad(p, t, **options), differences, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_elements_left_out_have_a_gradient_of_positive_zero(reduction: str) -> None:
    prediction, target = [[1.0, NAN], [-5.0, -math.inf], [math.inf, 2.0]], [[NAN, 0.0], [-1.0, -1.0], [NAN, 1.0]]
    gradient = mse_loss_grad(
        prediction, target, reduction=reduction, nan_target="omit", nan_pred="omit", ignore_index=-1
    )
    assert gradient.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]
    assert not np.signbit(gradient).any()


def test_a_gradient_of_omitted_rows_is_that_of_the_others() -> None:
    whole = mse_loss_grad([1.0, NAN, 4.0, 9.0], [0.0, 1.0, NAN, 7.0], nan_target="omit", nan_pred="omit")
    assert whole.tolist() == [1.0, 0.0, 0.0, 2.0]


def test_the_gradient_of_a_large_array_is_that_of_its_rows() -> None:
    # So large that several threads compute it; IEEE arithmetic says what each element is, and the last may be missing.
    prediction, target = np.random.default_rng(3).normal(size=(2, 2_500_001))
    expected = (prediction - target) * 2.0 / prediction.size
    np.testing.assert_array_equal(mse_loss_grad(prediction, target), expected, strict=True)
    prediction[-1] = NAN
    omitted = mse_loss_grad(prediction, target, nan_pred="omit")
    np.testing.assert_array_equal(omitted, [*((prediction - target)[:-1] * 2.0 / (prediction.size - 1)), 0.0])
    with pytest.raises(DataError, match="2500001"):
        mse_loss_grad(prediction, target)


def test_the_gradient_is_divided_once() -> None:
    # 49 * (1 / 49) is not 1 in float64.
    assert mse_loss_grad([24.5] * 49, [0.0] * 49).tolist() == [1.0] * 49


def test_the_arguments_are_left_as_they_were() -> None:
    arrays = [np.array(values) for values in (PREDICTION, TARGET, WEIGHT)]
    for array in arrays:
        array.setflags(write=False)
    mse_loss(arrays[0], arrays[1], weight=arrays[2])
    gradient = mse_loss_grad(arrays[0], arrays[1], weight=arrays[2])
    gradient[:] = 0.0
    assert [array.tolist() for array in arrays] == [PREDICTION, TARGET, WEIGHT]


def test_results_do_not_share_memory_with_each_other() -> None:
    first = mse_loss([1.0, 2.0], [0.0, 0.0], reduction="none")
    second = mse_loss([3.0, 4.0], [0.0, 0.0], reduction="none")
    assert (first.tolist(), second.tolist()) == ([1.0, 4.0], [9.0, 16.0])


@pytest.fixture(name="torch")
def _torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch, the reference of the convention, is not installed")


def random_rows(shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(11)
    return [rng.standard_normal(shape), rng.standard_normal(shape), rng.random(shape)]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [(50,), (20, 3), (5, 4, 3)], ids=str)
def test_losses_are_those_of_pytorch(torch: Any, reduction: str, weighted: bool, shape: tuple[int, ...]) -> None:
    arrays = random_rows(shape)
    tensors = [torch.from_numpy(array) for array in arrays]
    expected = torch.nn.functional.mse_loss(*tensors[:2], reduction=reduction, weight=tensors[2] if weighted else None)
    loss = mse_loss(arrays[0], arrays[1], reduction=reduction, weight=arrays[2] if weighted else None)
    np.testing.assert_allclose(loss, expected.numpy(), rtol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [(50,), (20, 3), (5, 4, 3)], ids=str)
def test_gradients_are_those_of_pytorch(torch: Any, reduction: str, weighted: bool, shape: tuple[int, ...]) -> None:
    arrays = random_rows(shape)
    prediction, target, weight = (torch.from_numpy(array) for array in arrays)
    prediction.requires_grad_()
    options = {"weight": weight} if weighted else {}
    torch.nn.functional.mse_loss(prediction, target, reduction=reduction, **options).backward()
    gradient = mse_loss_grad(arrays[0], arrays[1], reduction=reduction, weight=arrays[2] if weighted else None)
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=1e-13)


def test_batchmean_is_pytorchs_sum_over_the_rows(torch: Any) -> None:
    prediction, target, _ = random_rows((20, 3))
    expected = torch.nn.functional.mse_loss(torch.from_numpy(prediction), torch.from_numpy(target), reduction="sum")
    assert mse_loss(prediction, target, reduction="batchmean") == pytest.approx(float(expected) / 20, rel=1e-14)


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
    assert vector_norm(inputs) == vector_norm(X)
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
        assert vector_norm(vector) == 5.0
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


# penalty and vector_norm


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
    assert vector_norm(values, order) == expected
    assert type(vector_norm(values, order)) is float


def test_the_norm_of_order_two_is_the_default() -> None:
    assert vector_norm([3.0, 4.0]) == vector_norm([3.0, 4.0], ord=2) == 5.0


@pytest.mark.parametrize("order", [0, 0.5, -1, -math.inf, NAN])
def test_orders_below_one_are_no_norms(order: float) -> None:
    with pytest.raises(UsageError, match="order"):
        vector_norm([3.0, 4.0], order)


def test_a_vector_with_a_missing_number_has_no_vector_norm() -> None:
    with pytest.raises(DataError, match="value 2 of 3 is missing"):
        vector_norm([1.0, NAN, 2.0])
    with pytest.raises(DataError, match="missing"):
        vector_norm(pa.array([1.0, None]))


def test_the_loss_is_the_squared_norm_of_the_difference() -> None:
    prediction, target = _random_pair()
    _close(vector_norm(prediction - target) ** 2 / 27, mse_loss(prediction, target), rtol=1e-15)
