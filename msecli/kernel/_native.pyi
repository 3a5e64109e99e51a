from typing import Any

import numpy as np
from numpy.typing import NDArray

from msecli.arrays import FloatArray, IntArray

class Dialect:
    def __init__(
        self,
        delimiter: str,
        quote: str,
        point: str,
        comment: int,
        missing: list[str],
        width: int,
        /,
    ) -> None: ...

def scan(
    buffer: NDArray[np.uint8], dialect: Dialect, wanted: list[tuple[int, int, str, str]], /
) -> tuple[int, tuple[Any, ...], int, Any]: ...
def border(buffer: NDArray[np.uint8], dialect: Dialect, place: int, last: bool, /) -> int | None: ...
def exact_sum(values: FloatArray, /) -> tuple[bytes, float]: ...
def squared_error(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None, /
) -> tuple[tuple[bytes, float], tuple[bytes, float] | None] | None: ...
def gradient(
    prediction: FloatArray,
    target: FloatArray,
    weight: FloatArray | None,
    denominator: float,
    out: FloatArray,
    /,
) -> bool: ...
def sums_by_slot(
    values: FloatArray, codes: IntArray, slots: int, /
) -> tuple[int, IntArray | None, FloatArray | None]: ...
def squared_error_by_slot(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None, codes: IntArray, slots: int, /
) -> (
    tuple[tuple[int, IntArray | None, FloatArray | None], tuple[int, IntArray | None, FloatArray | None] | None] | None
): ...
def integer_codes(labels: IntArray, /) -> tuple[IntArray, IntArray]: ...
def text_codes(data: NDArray[np.uint8], ends: NDArray[np.int32], /) -> tuple[IntArray, IntArray]: ...
