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
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli import DataError, MsecliError, UsageError, mse_loss, mse_loss_grad

NAN = math.nan
PREDICTION, TARGET = [2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]
WEIGHT = [1.0, 2.0, 3.0, 4.0]
PERMUTED = [[1, 2, 3], [2, 1, 3], [3, 1, 2]]
IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
REDUCTIONS = ["mean", "sum", "batchmean"]
MODERATE = st.floats(-100.0, 100.0).map(lambda x: round(x, 4))
ROWS = st.lists(st.tuples(MODERATE, MODERATE, st.floats(0.25, 4.0)), min_size=1, max_size=12)


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
    assert mse_loss([[1, 2], [3, 4]], [[1, NAN], [5, 6]], nan_policy="omit") == 8 / 3


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 3.25), ("sum", 13.0), ("batchmean", 3.25)])
def test_weights_of_missing_elements_leave_the_denominator(reduction: str, expected: float) -> None:
    prediction, target = [10, 20, 30, 40, 50, NAN], [12, 25, 29, 42, NAN, 50]
    # 1 * 4 + 0 * 25 + 1 * 1 + 2 * 4 = 13, over the weights 1 + 0 + 1 + 2, or over four used rows.
    weight = [1, 0, 1, 2, 3, 4]
    loss = mse_loss(prediction, target, weight=weight, reduction=reduction, nan_policy="omit", nan_pred="omit")
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
        ([1, -1, 1, 1], "the weight in row 2 is negative or not finite"),
        ([1, 1, math.inf, 1], "the weight in row 3 is negative or not finite"),
        ([NAN, 1, 1, 1], "the weight in row 1 is negative or not finite"),
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
    assert math.isnan(mse_loss([1, 2], [0, NAN], nan_policy="propagate", reduction="sum"))


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
    with pytest.raises(DataError, match="no element is left to score"):
        mse_loss([1, 2], [-1, -1], ignore_index=-1)
    with pytest.raises(DataError, match="no element is left to score"):
        mse_loss([], [])


@pytest.mark.parametrize("function", [mse_loss, mse_loss_grad])
@pytest.mark.parametrize(
    "options", [{"reduction": "avg"}, {"nan_policy": "ignore"}, {"nan_pred": "drop"}], ids=["r", "t", "p"]
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
        prediction, target, reduction=reduction, nan_policy="omit", nan_pred="omit", ignore_index=-1
    )
    assert gradient.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]
    assert not np.signbit(gradient).any()


def test_a_gradient_of_omitted_rows_is_that_of_the_others() -> None:
    whole = mse_loss_grad([1.0, NAN, 4.0, 9.0], [0.0, 1.0, NAN, 7.0], nan_policy="omit", nan_pred="omit")
    assert whole.tolist() == [1.0, 0.0, 0.0, 2.0]


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
