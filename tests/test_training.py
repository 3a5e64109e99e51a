"""Training from Python: MSELoss and iter_batches.

Expected values are the known answers of PyTorch 2.13 (float64), hand algebra, and, where it is installed, PyTorch's
own backward pass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from msecli import DataError, MSELoss, UsageError, iter_batches, mse_loss, mse_loss_grad, score

Array = NDArray[np.float64]

NAN = math.nan


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
    with pytest.raises(UsageError, match="before a loss was computed"):
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
    loss = MSELoss(ignore_index=-1, nan_target="omit", nan_pred="omit")
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
    with pytest.raises(UsageError, match="nan_target"):
        MSELoss(nan_target="drop")  # type: ignore[arg-type]


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
