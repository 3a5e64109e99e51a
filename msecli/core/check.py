"""Check the types and shapes of arrays, and convert them to float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAST_EXACT_INTEGER = 2**53
"""Every integer up to here is a float64; beyond, some are not."""

MOST_DIMENSIONS = 64
"""NumPy's own limit."""

REFUSED_KINDS = {
    "c": "complex numbers have no squared error of one sign; pass the real and the imaginary part",
    "O": "Python objects are not numbers; convert them to a numeric dtype first",
    "M": "dates are not numbers",
    "m": "time differences are not numbers; divide by a unit first",
    "U": "text is not a number; convert it first",
    "S": "text is not a number; convert it first",
    "T": "text is not a number; convert it first",
    "V": "these are bytes, not numbers; NumPy saves bfloat16 so: convert it to float32 first",
}
STRUCTURED = "structured records are not numbers; save one field as an array of its own"


def check_dtype(dtype: np.dtype[Any], what: str) -> None:
    """Refuse a dtype whose values are not real numbers."""
    reason = STRUCTURED if dtype.names else REFUSED_KINDS.get(dtype.kind)
    if reason is not None:
        raise DataError(f"{what}: dtype {dtype} cannot be scored: {reason}")


def as_float64(values: NDArray[Any], what: str) -> tuple[FloatArray, int]:
    """Return the values as float64, and the number of integers that were rounded.

    Parameters
    ----------
    values : ndarray of any real dtype and byte order
    what : str
        The name of the array in errors.

    Raises
    ------
    DataError
        For a dtype that is not a real number.

    Examples
    --------
    >>> import numpy as np
    >>> as_float64(np.array([0, 2**53 + 1]), "targets")
    (array([0.00000000e+00, 9.00719925e+15]), 1)
    """
    check_dtype(values.dtype, what)
    with np.errstate(all="ignore"):
        converted = np.asarray(values, dtype=np.float64)
    return converted, _count_rounded(values, converted)


def _count_rounded(values: NDArray[Any], converted: FloatArray) -> int:
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or values.size == 0:
        return 0
    if int(values.max()) <= LAST_EXACT_INTEGER and int(values.min()) >= -LAST_EXACT_INTEGER:
        return 0
    # Converting back to integers is undefined at the ends of the range, so Python compares the few large values.
    large = np.abs(converted) >= LAST_EXACT_INTEGER
    pairs = zip(values[large].tolist(), converted[large].tolist(), strict=True)
    return sum(int(rounded) != exact for exact, rounded in pairs)


def same_item_shape(prediction: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Tell whether rows of these shapes match element by element: equal shapes, or one element each."""
    return prediction == target or {prediction, target} == {(), (1,)}


def check_shapes(prediction: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Refuse two array shapes that differ; only (n,) and (n, 1) count as equal, nothing is broadcast.

    Raises
    ------
    DataError
    """
    if not prediction or not target:
        which = "prediction" if not prediction else "target"
        raise DataError(f"the {which} is a single number (0-dimensional); a loss needs at least one row")
    if prediction[0] != target[0] or not same_item_shape(prediction[1:], target[1:]):
        raise DataError(
            f"the shapes differ: prediction {prediction}, target {target}; they must be equal, nothing is broadcast"
        )
