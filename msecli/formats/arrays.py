"""Anything array-like that a Python caller may pass, as float64 NumPy arrays."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import MOST_DIMENSIONS, as_float64
from msecli.core.processor import LOST_SUBNORMALS, arithmetic
from msecli.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DLPACK_CPU = 1
"""The number of the CPU among the devices of DLPack."""

NESTED = (list, tuple, np.ma.MaskedArray)


@contextmanager
def computing() -> Iterator[None]:
    """Compute under `arithmetic`; warn the caller of the public function if subnormal numbers are lost."""
    with arithmetic() as found:
        if LOST_SUBNORMALS in found:
            warnings.warn(LOST_SUBNORMALS.meaning, RuntimeWarning, stacklevel=4)
        yield


def as_array(values: Any, what: str) -> FloatArray:
    """Return anything array-like as float64, with NaN for masked and null values.

    Parameters
    ----------
    values : array_like
        NumPy arrays, also masked ones; lists; pandas Series, DataFrames and Indexes; pyarrow Arrays,
        ChunkedArrays and Tables; PyTorch tensors on the CPU, JAX arrays, and anything with ``__array__`` or DLPack.
        Floats of 16 and 8 bits that NumPy does not have, such as bfloat16, are converted exactly.
    what : str
        The name of the values in errors.

    Raises
    ------
    DataError
        If the values are not real numbers, or lists are not rectangular.
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values  # the usual case, and small arrays should not pay for the others
    library = type(values).__module__.partition(".")[0]
    if library == "pyarrow":
        return _from_pyarrow(values, what)
    if library == "pandas":
        return _from_pandas(values, what)
    if isinstance(values, list | tuple) and _holds_masked(values, what):
        values = _masked(values, what)
    if isinstance(values, np.ma.MaskedArray):
        filled, _ = as_float64(np.ma.getdata(values), what)
        return np.where(np.ma.getmaskarray(values), np.nan, filled)
    if hasattr(values, "toarray") or hasattr(values, "todense"):
        way = "toarray" if hasattr(values, "toarray") else "todense"
        raise DataError(f"{what}: a sparse {type(values).__name__} is not an array; convert it: .{way}()")
    if _is_tensor(values):
        return _from_tensor(values, what)
    if isinstance(values, list | tuple) and values and _is_tensor(values[0]):
        values = [_from_tensor(value, what) if _is_tensor(value) else value for value in values]
    return as_float64(_widened(_converted(values, what)), what)[0]


def _converted(values: Any, what: str) -> NDArray[Any]:
    try:
        array = np.asarray(values) if hasattr(values, "__array__") else _from_sequence(values)
    except ValueError as error:
        raise DataError(f"{what}: the values do not form a rectangular array ({error})") from error
    except MemoryError:
        raise
    except Exception as error:  # the conversion is the object's own, and may raise anything
        advice = "" if _on_cpu(values) else "; they are on another device: move them to the CPU"
        raise DataError(f"{what}: the values cannot be converted to an array ({error}){advice}") from error
    return _without_objects(array) if array.dtype == object else array


def _on_cpu(values: Any) -> bool:
    """Tell whether an array is in the memory of the CPU, as far as it says by DLPack where it is."""
    try:
        return not hasattr(values, "__dlpack_device__") or int(values.__dlpack_device__()[0]) == DLPACK_CPU
    except Exception:  # noqa: BLE001 - the object's own, as above
        return True


def _widened(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of a float, or integer, of ml_dtypes as float32, which holds them all; others unchanged.

    JAX and TensorFlow use these types; NumPy takes most of them for bytes.
    """
    return array.astype(np.float32) if array.dtype.type.__module__.partition(".")[0] == "ml_dtypes" else array


def _is_tensor(values: Any) -> bool:
    """Tell whether values are a tensor of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def _from_tensor(tensor: Any, what: str) -> FloatArray:
    """Return a PyTorch tensor as float64; NumPy does not have all its types."""
    if tensor.device.type != "cpu":
        raise DataError(f"{what}: the tensor is on {tensor.device}; move it to the CPU: .cpu()")
    if str(tensor.layout) != "torch.strided":
        raise DataError(f"{what}: the tensor is sparse; convert it: .to_dense()")
    # A tensor may stand for the negative of what is in its memory.
    tensor = tensor.detach().resolve_neg()
    if tensor.is_floating_point() and tensor.element_size() <= 2 and str(tensor.dtype) != "torch.float16":
        tensor = tensor.float()
    return as_float64(_converted(tensor, what), what)[0]


def _without_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Convert an array of Python numbers and None, with NaN for None; return any other array unchanged."""
    if not all(value is None or isinstance(value, bool | int | float | np.number) for value in array.flat):
        return array
    return np.array([np.nan if value is None else value for value in array.flat]).reshape(array.shape)


def _holds_masked(values: Any, what: str) -> bool:
    """Tell whether nested lists hold masked arrays, and refuse lists nested deeper than arrays can be."""
    level = [values]
    for _ in range(MOST_DIMENSIONS):
        # Each list once: one that holds itself twice would double the work at every level.
        level = list({id(value): value for inner in level for value in inner if isinstance(value, NESTED)}.values())
        if not level or any(isinstance(value, np.ma.MaskedArray) for value in level):
            return bool(level)
    raise DataError(f"{what}: lists nested {MOST_DIMENSIONS} levels deep or deeper cannot be converted to an array")


def _masked(values: Any, what: str) -> NDArray[Any]:
    try:
        return np.ma.stack([_masked(value, what) if isinstance(value, list | tuple) else value for value in values])
    except ValueError as error:
        raise DataError(f"{what}: the values do not form a rectangular array ({error})") from error


def _from_sequence(values: Any) -> NDArray[Any]:
    return np.from_dlpack(values) if hasattr(values, "__dlpack__") else np.asarray(values)


def _from_pyarrow(values: Any, what: str) -> FloatArray:
    import pyarrow as pa

    from msecli.arrow.lists import first_shape, numbers

    if isinstance(values, (pa.Table, pa.RecordBatch)):
        columns = [
            _from_pyarrow(column, f"{what}, column {name!r}")
            for name, column in zip(values.schema.names, values.columns, strict=True)
        ]
        for name, column in zip(values.schema.names, columns, strict=True):
            if column.ndim > 1:
                raise DataError(f"{what}, column {name!r}: the column holds lists; take it by itself")
        return np.stack(columns, axis=1) if columns else np.empty((values.num_rows, 0))
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        raise DataError(f"{what}: a pyarrow {type(values).__name__} is not an array")
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    shape = next((found for chunk in chunks if (found := first_shape(chunk)) is not None), ())
    starts = accumulate(map(len, chunks), initial=0)
    held = [numbers(chunk, what, shape, start)[0] for chunk, start in zip(chunks, starts, strict=False)]
    return np.concatenate([np.empty((0, *shape)), *held])


def _from_pandas(values: Any, what: str) -> FloatArray:
    pd = sys.modules["pandas"]
    if not isinstance(values, pd.Series | pd.DataFrame | pd.Index | pd.api.extensions.ExtensionArray):
        raise DataError(f"{what}: a pandas {type(values).__name__} is not an array")
    if values.ndim == 2:
        named = enumerate(values.columns)
        columns = [_from_pandas(values.iloc[:, number], f"{what}, column {name!r}") for number, name in named]
        return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))
    if values.dtype.kind in "biuf" and isinstance(values.dtype, np.dtype):
        return as_float64(values.to_numpy(), what)[0]
    if values.dtype == object and (numbers := _without_objects(values.to_numpy())).dtype != object:
        return as_float64(numbers, what)[0]
    if (getattr(values.dtype, "_is_numeric", False) and values.dtype.kind != "c") or values.dtype.kind == "b":
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    raise DataError(f"{what}: dtype {values.dtype} is not a real number; convert it first")


def aligned(prediction: Any, target: Any, *, align: bool, columns: bool = True) -> tuple[Any, Any]:
    """Return prediction and target, with the labels of pandas objects in the same order.

    Parameters
    ----------
    prediction, target
    align : bool
        Reorder the rows and columns of the target to match the prediction.
    columns : bool
        Whether both have the same columns.

    Raises
    ------
    DataError
        If labels differ without `align`, or cannot be aligned because one is missing or duplicated.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return prediction, target
    tables = (pandas.Series, pandas.DataFrame)
    if not (isinstance(prediction, tables) and isinstance(target, tables)):
        return prediction, target
    target = _reordered(target, "index", prediction.index, align=align)
    if columns and prediction.ndim == target.ndim == 2:
        target = _reordered(target, "columns", prediction.columns, align=align)
    return prediction, target


def indexes_differ(prediction: Any, target: Any) -> bool:
    """Tell whether as many rows of two pandas objects have different labels, and no columns that show it.

    The levels of an index that have names are columns of a DataFrame.
    """
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return False
    if not all(isinstance(each, pandas.Series | pandas.DataFrame) for each in (prediction, target)):
        return False
    own, other = prediction.index, target.index
    told = prediction.ndim == target.ndim == 2 and own.names == other.names and None not in own.names
    return not told and len(own) == len(other) and not own.equals(other)


def _reordered(target: Any, axis: str, labels: Any, *, align: bool) -> Any:
    own = getattr(target, axis)
    plural = {"index": "indexes"}.get(axis, axis)
    if own.equals(labels):
        return target
    if not align:
        raise DataError(f"the {plural} of prediction and target differ; pair them by their labels: align=True")
    if not (own.is_unique and labels.is_unique):
        raise DataError(f"the {plural} cannot be aligned: a label occurs more than once")
    if len(own) != len(labels) or len(own.difference(labels)):
        raise DataError(f"the {plural} cannot be aligned: some labels are on one side only")
    return target.reindex(**{axis: labels})
