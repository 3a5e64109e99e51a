"""Arrays of other libraries that Python callers pass: PyTorch, JAX, xarray, and what speaks DLPack.

Expected values are the numbers that were put in; those of narrow floats are what their own library makes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import DataError
from msecli.formats.arrays import as_array


def refusal(values: Any) -> str:
    with pytest.raises(DataError) as caught:
        as_array(values, "x")
    message = str(caught.value)
    assert message.startswith("x: ")
    return message


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def ml_dtypes() -> Any:
    return pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")


@pytest.fixture
def xarray() -> Any:
    return pytest.importorskip("xarray", reason="xarray is not installed")


def test_tensors_of_bfloat16_are_taken_exactly(torch: Any) -> None:
    values = torch.tensor([1.0078125, -2.5, 3e38], dtype=torch.bfloat16, requires_grad=True)
    assert as_array(values, "x").tolist() == values.detach().double().tolist()
    # The mean of 0, 0.25 and 1: none of the predictions is rounded again.
    prediction = torch.tensor([1.0, 2.5, 4.0], dtype=torch.bfloat16)
    assert msecli.score(prediction, [1.0, 2.0, 3.0]).loss == 1.25 / 3
    assert msecli.mse_loss(prediction, torch.tensor([1, 2, 3])) == 1.25 / 3


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_tensors_of_8_bits_are_taken_exactly(torch: Any, kind: str) -> None:
    codes = torch.arange(256, dtype=torch.uint8).view(getattr(torch, kind))
    assert np.array_equal(as_array(codes, "x"), codes.double().numpy(), equal_nan=True)


def test_tensors_of_any_kind_are_taken(torch: Any) -> None:
    assert as_array(torch.nn.Parameter(torch.ones(2)), "x").tolist() == [1, 1]
    assert as_array(torch.tensor([65535], dtype=torch.uint16), "x").tolist() == [65535]
    # The imaginary part of a conjugate stands for the negative of what is in memory.
    assert as_array(torch.tensor([1 + 2j, 3 + 4j]).conj().imag, "x").tolist() == [-2, -4]
    losses = [torch.tensor(1.5, dtype=torch.bfloat16), torch.tensor(2.0, requires_grad=True), 3.0]
    assert as_array(losses, "x").tolist() == [1.5, 2, 3]


def test_tensors_that_cannot_be_taken_are_told_what_to_do(torch: Any) -> None:
    # "meta" is the one device other than the CPU that is everywhere.
    assert refusal(torch.empty(3, device="meta")) == "x: the tensor is on meta; move it to the CPU: .cpu()"
    assert refusal(torch.eye(3).to_sparse()) == "x: the tensor is sparse; convert it: .to_dense()"
    assert "complex" in refusal(torch.tensor([1j]))


NARROW = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e3m4"]


@pytest.mark.parametrize("kind", NARROW)
def test_arrays_of_types_that_jax_and_tensorflow_use_are_taken_exactly(ml_dtypes: Any, kind: str) -> None:
    values = np.array([1.0, -0.25, 0.5, 12.0]).astype(getattr(ml_dtypes, kind))
    assert as_array(values, "x").tolist() == [1.0, -0.25, 0.5, 12.0]
    assert as_array(values.reshape(2, 2), "x").shape == (2, 2)


def test_integers_of_4_bits_are_taken(ml_dtypes: Any) -> None:
    assert as_array(np.array([-8, 7]).astype(ml_dtypes.int4), "x").tolist() == [-8, 7]


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16", "int32", "uint8", "bool"])
def test_arrays_of_jax_are_taken(kind: str) -> None:
    jax = pytest.importorskip("jax.numpy", reason="JAX is not installed")
    values = jax.array([[1, 0], [1, 1]]).astype(getattr(jax, kind))
    assert as_array(values, "x").tolist() == [[1, 0], [1, 1]]


class Lent:
    """An array of another library that is lent by DLPack alone, from the memory of some device."""

    def __init__(self, values: Any, device: int = 1) -> None:
        self.values, self.device = values, device

    def __dlpack__(self, **options: Any) -> Any:
        if self.device != 1:
            raise BufferError("this is elsewhere")
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


class Guarded(Lent):
    """One that refuses to be copied in silence, as CuPy's do."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


def test_what_is_lent_by_dlpack_is_taken_from_the_cpu() -> None:
    assert as_array(Lent(np.arange(6).reshape(2, 3)), "x").tolist() == [[0, 1, 2], [3, 4, 5]]
    for kind in (Lent, Guarded):
        # 2 is CUDA.
        assert refusal(kind(np.arange(3), device=2)).endswith("; they are on another device: move them to the CPU")


@pytest.mark.parametrize("way", ["toarray", "todense"])
def test_sparse_arrays_are_told_how_to_be_converted(way: str) -> None:
    class Matrix:
        pass

    setattr(Matrix, way, lambda _: np.eye(2))
    assert refusal(Matrix()) == f"x: a sparse Matrix is not an array; convert it: .{way}()"


def test_the_sparse_arrays_of_scipy_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    assert ".toarray()" in refusal(sparse.eye(2).tocsr())


def dataset(xarray: Any, **more: Any) -> Any:
    return xarray.Dataset(
        {"yhat": ("time", [1.0, 2.0, 4.0]), "y": ("time", [1, 2, 3]), **more},
        coords={
            "time": np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[ns]"),
            "station": ("time", [5, 5, 6]),
            "run": 7,
        },
    )


def test_an_array_with_dimensions_keeps_its_shape(xarray: Any) -> None:
    array = xarray.DataArray(np.arange(6.0).reshape(2, 3), dims=("t", "x"), name="p")
    assert msecli.score(array, array + 1).loss == 1.0
    with pytest.raises(DataError, match="shapes differ"):
        msecli.score(array, (array + 1).T)


def test_a_list_of_tables_is_refused() -> None:
    frame = pd.DataFrame({"id": [1, 2], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match="a list of tables is no table; concatenate them"):
        msecli.score([frame, frame], np.zeros(4))


def test_a_dataset_is_a_table_of_its_variables(xarray: Any) -> None:
    data = dataset(xarray)
    # One of three predictions is off by 1. The coordinates, though numbers, are no candidates.
    assert msecli.score(data).loss == 1 / 3
    assert msecli.score(data.drop_vars("y"), data.drop_vars("yhat")).loss == 1 / 3
    groups = msecli.score(data, by="station").groups
    assert [(entry.label["station"], entry.score.loss) for entry in groups] == [(5, 0.0), (6, 1.0)]
    assert msecli.score(data[["yhat"]], data[["y"]].isel(time=[2, 0, 1]), target="y", on="time").loss == 1 / 3
    # A coordinate is scored if it is named: (4² + 3² + 3²) / 3.
    assert msecli.score(data, pred="station", target="y").loss == 34 / 3
    # Its values are numbers for conditions, too: the last row alone is of station 6.
    assert msecli.score(data, where="station > 5").rows.used == 1


@pytest.mark.parametrize(
    "more",
    [{"wide": (("time", "u"), [[1, 2], [3, 4], [5, 6]])}, {"other": ("u", [1, 2])}, {"single": 3.0}],
    ids=["more dimensions", "another dimension", "no dimension"],
)
def test_a_dataset_of_several_dimensions_is_no_table(xarray: Any, more: dict[str, Any]) -> None:
    with pytest.raises(
        DataError, match=r"^predictions: .* here they are 'yhat' \('time',\).*; pass one of them"
    ) as caught:
        msecli.score(dataset(xarray, **more))
    assert repr(next(iter(more))) in str(caught.value)


def test_two_variables_of_one_name_are_refused(xarray: Any) -> None:
    with pytest.raises(DataError, match="2 columns are named '1'"):
        msecli.score(dataset(xarray, **{"1": ("time", [1, 2, 3])}).assign({1: ("time", [1, 2, 3])}))


def test_an_empty_dataset_is_no_table(xarray: Any) -> None:
    with pytest.raises(DataError, match="here they are none"):
        msecli.score(xarray.Dataset())


def test_a_data_array_is_an_array(xarray: Any) -> None:
    data = dataset(xarray)
    assert msecli.score(data.yhat, data.y).loss == 1 / 3
    assert as_array(xarray.DataArray(np.arange(6.0).reshape(2, 3)), "x").shape == (2, 3)
    assert "dates are not numbers" in refusal(data.time)
    assert "xarray" in refusal(data)


def test_what_is_derived_from_a_tensor_is_one(torch: Any) -> None:
    class Own(torch.Tensor):  # type: ignore[misc]
        pass

    values: Callable[..., Any] = torch.ones(2, dtype=torch.bfloat16).as_subclass(Own)
    assert as_array(values, "x").tolist() == [1, 1]
