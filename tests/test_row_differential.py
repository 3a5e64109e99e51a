"""The row contract against the libraries whose conventions it follows.

The expected values are those of scikit-learn 1.9 (`sample_weight`, `multioutput`), NumPy 2.4 and, where it is
installed, PyTorch 2.13 (`mse_loss(weight=)`, `MSELoss` with its legacy flags). Their sums are rounded at every
addition, msecli's once at the end, so they are compared within a relative 1e-12. Keys, groups and batches are compared
with those of pandas in `tests/fuzz`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

import msecli
from tests.files import parquet_bytes, write

Run = Callable[..., Any]
Array = NDArray[np.float64]

CLOSE = 1e-12
ROWS, COLUMNS = 500, 3


def random_arrays(seed: int, shape: tuple[int, ...] = (ROWS, COLUMNS)) -> tuple[Array, Array, Array]:
    """Return predictions, targets, and one weight for each row."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(shape) * 10
    return target + rng.standard_normal(shape), target, rng.random(shape[0])


def elements_of(result: msecli.Result) -> Array:
    assert result.values is not None
    return result.values


def columns_of(array: Array, **more: Array) -> dict[str, Array]:
    return dict(zip("abc", array.T, strict=True)) | more


@pytest.fixture(name="files", params=["csv", "parquet"])
def _files(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    prediction, target, weight = random_arrays(3)
    suffix = request.param
    return (
        write(tmp_path / f"p.{suffix}", columns_of(prediction)),
        write(tmp_path / f"t.{suffix}", columns_of(target, w=weight)),
    )


# scikit-learn

SKLEARN: dict[str, Callable[..., Any]] = {
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "r2": sk.r2_score,
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("metric", SKLEARN)
def test_columns_are_scikit_learns_raw_values(files: tuple[Path, Path], metric: str, weighted: bool) -> None:
    prediction, target, weight = random_arrays(3)
    expected = SKLEARN[metric](target, prediction, sample_weight=weight if weighted else None, multioutput="raw_values")
    result = msecli.score(
        *files, axis=0, metrics=metric, weight="w" if weighted else None, pred=COLUMN_NAMES,
        target=COLUMN_NAMES,
    )  # fmt: skip
    np.testing.assert_allclose([entry.score.metrics[metric] for entry in result.columns], expected, rtol=CLOSE)
    average = SKLEARN[metric](
        target, prediction, sample_weight=weight if weighted else None, multioutput="uniform_average"
    )
    assert result.macro is not None
    assert result.macro.metrics[metric] == pytest.approx(average, rel=CLOSE)


COLUMN_NAMES = ("a", "b", "c")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_pooled_r2_is_scikit_learns_variance_weighted(files: tuple[Path, Path], weighted: bool) -> None:
    prediction, target, weight = random_arrays(3)
    expected = sk.r2_score(
        target, prediction, sample_weight=weight if weighted else None, multioutput="variance_weighted"
    )
    result = msecli.score(
        *files, metrics="r2", weight="w" if weighted else None, pred=COLUMN_NAMES, target=COLUMN_NAMES
    )
    assert result.metrics["r2"] == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_the_pooled_loss_is_scikit_learns_uniform_average(files: tuple[Path, Path], weighted: bool) -> None:
    prediction, target, weight = random_arrays(3)
    expected = sk.mean_squared_error(target, prediction, sample_weight=weight if weighted else None)
    result = msecli.score(*files, weight="w" if weighted else None, pred=COLUMN_NAMES, target=COLUMN_NAMES)
    assert result.loss == pytest.approx(expected, rel=CLOSE)
    assert msecli.mse_loss(prediction, target, weight=weight if weighted else None) == result.loss


def test_weights_that_leave_out_rows_are_scikit_learns(tmp_path: Path) -> None:
    prediction, target, weight = random_arrays(4, (ROWS,))
    weight[::3] = 0.0
    path = write(tmp_path / "x.csv", {"pred": prediction, "target": target, "w": weight})
    result = msecli.score(path, weight="w", metrics=("r2", "mae"))
    assert result.loss == pytest.approx(sk.mean_squared_error(target, prediction, sample_weight=weight), rel=CLOSE)
    assert result.metrics["r2"] == pytest.approx(sk.r2_score(target, prediction, sample_weight=weight), rel=CLOSE)


# PyTorch


@pytest.fixture(name="torch")
def _torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch, the reference of the convention, is not installed")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(50,), (20, 3), (5, 4, 3)], ids=str)
@pytest.mark.parametrize("per_element", [False, True], ids=["row", "element"])
def test_weighted_files_are_pytorchs(
    torch: Any, run: Run, tmp_path: Path, *, reduction: str, shape: tuple[int, ...], per_element: bool
) -> None:
    prediction, target, weight = random_arrays(5, shape)
    rows = weight.reshape(-1, *[1] * (len(shape) - 1))
    weights = np.random.default_rng(6).random(shape) if per_element else np.broadcast_to(rows, shape)
    for name, array in (("p", prediction), ("t", target), ("w", weights if per_element else weight)):
        np.save(tmp_path / f"{name}.npy", array)
    tensors = [torch.from_numpy(array.copy()) for array in (prediction, target, weights)]
    tensors[0].requires_grad_()
    expected = torch.nn.functional.mse_loss(tensors[0], tensors[1], reduction=reduction, weight=tensors[2])
    files = [tmp_path / "p.npy", tmp_path / "t.npy", "--weight-file", tmp_path / "w.npy", "-r", reduction]
    gradient = [] if reduction == "none" else ["--grad", tmp_path / "g.npy"]
    assert run("compute", *files, *gradient, "-o", tmp_path / "l.npy").code == 0
    np.testing.assert_allclose(np.load(tmp_path / "l.npy"), expected.detach().numpy(), rtol=CLOSE)
    if gradient:
        expected.backward()
        np.testing.assert_allclose(np.load(tmp_path / "g.npy"), tensors[0].grad.numpy(), rtol=CLOSE)


FLAGS = [(size_average, reduce) for size_average in (None, True, False) for reduce in (None, True, False)]


@pytest.mark.parametrize(("size_average", "reduce"), FLAGS)
def test_legacy_flags_are_pytorchs(torch: Any, tmp_path: Path, size_average: bool | None, reduce: bool | None) -> None:
    prediction, target, _ = random_arrays(7, (20, 3))
    flags: dict[str, Any] = {"size_average": size_average, "reduce": reduce}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.nn.MSELoss(**flags)
        ours = msecli.MSELoss(**flags)
        for name, array in (("p", prediction), ("t", target)):
            np.save(tmp_path / f"{name}.npy", array)
        result = msecli.score(tmp_path / "p.npy", tmp_path / "t.npy", **flags)
    assert result.reduction == ours.reduction == module.reduction
    expected = module(torch.from_numpy(prediction), torch.from_numpy(target)).numpy()
    np.testing.assert_allclose(ours(prediction, target), expected, rtol=CLOSE)
    np.testing.assert_allclose(elements_of(result) if result.loss is None else result.loss, expected, rtol=CLOSE)


@pytest.mark.parametrize(("size_average", "reduce"), [flags for flags in FLAGS if flags != (None, None)])
def test_legacy_flags_are_deprecated(size_average: bool | None, reduce: bool | None) -> None:
    with pytest.warns(DeprecationWarning, match="size_average and reduce are deprecated; use reduction=") as caught:
        msecli.MSELoss(size_average=size_average, reduce=reduce)
    assert caught[0].filename == __file__


def test_ignored_targets_have_the_gradient_of_a_masked_loss_in_pytorch(torch: Any) -> None:
    prediction, target, weight = random_arrays(8, (30, 4))
    target[np.random.default_rng(9).random((30, 4)) < 0.3] = -100.0
    weights = np.broadcast_to(weight[:, None], (30, 4)).copy()
    tensors = [torch.from_numpy(array) for array in (prediction, target, weights)]
    tensors[0].requires_grad_()
    mask = tensors[1] != -100.0
    expected = torch.nn.functional.mse_loss(tensors[0][mask], tensors[1][mask], weight=tensors[2][mask])
    expected.backward()
    options: dict[str, Any] = {"weight": weight, "ignore_index": -100.0}
    assert msecli.mse_loss(prediction, target, **options) == pytest.approx(expected.item(), rel=CLOSE)
    gradient = msecli.mse_loss_grad(prediction, target, **options)
    np.testing.assert_allclose(gradient, tensors[0].grad.numpy(), rtol=CLOSE)
    assert (gradient[~mask.numpy()] == 0).all()


# NumPy


@pytest.mark.slow
def test_very_many_groups_are_those_of_bincount(tmp_path: Path) -> None:
    count = 50_000
    rng = np.random.default_rng(15)
    group = rng.permutation(count)
    group[: count // 10] = rng.integers(0, count, count // 10)
    residual = rng.standard_normal(count)
    path = write(tmp_path / "x.parquet", parquet_bytes({"pred": residual, "target": np.zeros(count), "g": group}))
    result = msecli.score(path, by="g", reduction="sum")
    labels, codes = np.unique(group, return_inverse=True)
    assert [entry.label["g"] for entry in result.groups] == labels.tolist()
    expected = np.bincount(codes, weights=np.square(residual))
    losses = np.array([entry.score.loss for entry in result.groups], dtype=np.float64)
    np.testing.assert_allclose(losses, expected, rtol=CLOSE)
    assert result.loss == pytest.approx(np.square(residual).sum(), rel=CLOSE)
