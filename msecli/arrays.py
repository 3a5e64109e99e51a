"""Arrays as Python callers have them, to float64 NumPy arrays."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from msecli.core.check import as_float64
from msecli.core.exact import FloatArray
from msecli.core.processor import LOST, LOST_SUBNORMALS, arithmetic
from msecli.errors import DataError

MOST_DIMENSIONS = 64
"""Of a NumPy array."""
NESTED = (list, tuple, np.ma.MaskedArray)


@contextmanager
def computing() -> Iterator[None]:
    """Compute as `arithmetic` does, and warn the caller's caller where that cannot be."""
    with arithmetic() as warning:
        if warning == LOST_SUBNORMALS:
            warnings.warn(LOST, RuntimeWarning, stacklevel=4)
        yield


def as_array(values: Any, what: str) -> FloatArray:
    """Return anything array-like as float64, with NaN for what is masked or null.

    Parameters
    ----------
    values : array_like
        NumPy arrays, also masked ones; lists; pandas Series, DataFrames and Indexes; pyarrow Arrays,
        ChunkedArrays and Tables; anything with ``__array__`` or DLPack, such as PyTorch tensors on the CPU.
    what : str
        How an error names it.

    Raises
    ------
    DataError
        If the values are not real numbers, or lists are not rectangular.
    """
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
    if hasattr(values, "detach"):
        values = values.detach()
    try:
        array = np.asarray(values) if hasattr(values, "__array__") else _from_sequence(values)
    except ValueError as error:
        raise DataError(f"{what}: the values do not form a rectangular array ({error})") from error
    except MemoryError:
        raise
    except Exception as error:  # an object of any library makes the array, and what that raises is up to it
        raise DataError(f"{what}: the values cannot be taken as an array ({error})") from error
    return as_float64(_without_objects(array) if array.dtype == object else array, what)[0]


def _without_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return Python's numbers as an array of numbers, with NaN for None; other objects stay what they are."""
    if not all(value is None or isinstance(value, bool | int | float | np.number) for value in array.flat):
        return array
    return np.array([np.nan if value is None else value for value in array.flat]).reshape(array.shape)


def _holds_masked(values: Any, what: str) -> bool:
    """Tell whether masked arrays are somewhere in nested lists, and refuse lists nested deeper than arrays can be."""
    level = [values]
    for _ in range(MOST_DIMENSIONS):
        # Each list once, so that a list that holds itself twice is not followed more and more often.
        level = list({id(value): value for inner in level for value in inner if isinstance(value, NESTED)}.values())
        if not level or any(isinstance(value, np.ma.MaskedArray) for value in level):
            return bool(level)
    raise DataError(f"{what}: lists nested {MOST_DIMENSIONS} deep or deeper cannot be taken as an array")


def _masked(values: Any, what: str) -> NDArray[Any]:
    try:
        return np.ma.stack([_masked(value, what) if isinstance(value, list | tuple) else value for value in values])
    except ValueError as error:
        raise DataError(f"{what}: the values do not form a rectangular array ({error})") from error


def _from_sequence(values: Any) -> NDArray[Any]:
    return np.from_dlpack(values) if hasattr(values, "__dlpack__") else np.asarray(values)


def _from_pyarrow(values: Any, what: str) -> FloatArray:
    import pyarrow as pa

    from msecli.sources.arrow import floats

    if isinstance(values, (pa.Table, pa.RecordBatch)):
        columns = [
            _from_pyarrow(column, f"{what}, column {name!r}")
            for name, column in zip(values.schema.names, values.columns, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.empty((values.num_rows, 0))
    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        raise DataError(f"{what}: a pyarrow {type(values).__name__} is not an array")
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    return np.concatenate([np.empty(0), *(floats(chunk, what)[0] for chunk in chunks)])


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
    """Return pandas objects with their labels in the same order, and anything else as it is.

    Parameters
    ----------
    prediction, target
    align : bool
        Put the rows and columns of the target in the order of the prediction's.
    columns : bool
        Whether the columns of both mean the same.

    Raises
    ------
    DataError
        If labels differ and are not to be aligned, or cannot be, because one is missing or there twice.
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


def _reordered(target: Any, axis: str, labels: Any, *, align: bool) -> Any:
    own = getattr(target, axis)
    plural = {"index": "indexes"}.get(axis, axis)
    if own.equals(labels):
        return target
    if not align:
        raise DataError(f"the {plural} of prediction and target differ; pair them by their labels: align=True")
    if not (own.is_unique and labels.is_unique):
        raise DataError(f"the {plural} cannot be aligned: a label is there more than once")
    if len(own) != len(labels) or len(own.difference(labels)):
        raise DataError(f"the {plural} cannot be aligned: some labels are on one side only")
    return target.reindex(**{axis: labels})
