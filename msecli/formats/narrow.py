"""Floats that NumPy does not have, bfloat16 and those of 8 bits, as float32, which holds every one of them exactly.

References
----------
P. Micikevicius et al., "FP8 formats for deep learning", 2022, https://arxiv.org/abs/2209.05433; B. Noune et al., "8-bit
numerical formats for deep neural networks", 2022, https://arxiv.org/abs/2206.02915 (the variants without a negative
zero, "fnuz").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

Widen: TypeAlias = "Callable[[NDArray[Any]], NDArray[np.float32]]"


class Eight(NamedTuple):
    """A kind of float of 8 bits: how many are the exponent's, and its bias.

    Parameters
    ----------
    exponent, bias : int
    special : str
        Which codes are no numbers: "ieee", those with the largest exponent; "fn", two NaN and no infinity; "fnuz", one
        NaN in place of the negative zero.
    """

    exponent: int
    bias: int
    special: str


def _from_bfloat16(stored: NDArray[Any]) -> NDArray[np.float32]:
    # A bfloat16 is the upper half of a float32.
    return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)


@cache
def _table(kind: Eight) -> NDArray[np.float32]:
    """Return the number of each of the 256 codes."""
    mantissa = 7 - kind.exponent
    codes = np.arange(256)
    magnitudes = codes & 0x7F
    exponents, fractions = magnitudes >> mantissa, magnitudes & ((1 << mantissa) - 1)
    # Subnormal numbers, of exponent 0, have that of the smallest normal ones, and no leading 1.
    significands = np.where(exponents == 0, fractions, fractions + (1 << mantissa))
    values = np.ldexp(significands.astype(float), np.maximum(exponents, 1) - kind.bias - mantissa)
    if kind.special == "ieee":
        top = exponents == (1 << kind.exponent) - 1
        values[top] = np.where(fractions[top] == 0, np.inf, np.nan)
    elif kind.special == "fn":
        values[magnitudes == 0x7F] = np.nan
    values = np.where(codes >= 0x80, -values, values)
    if kind.special == "fnuz":
        values[0x80] = np.nan
    widened: NDArray[np.float32] = values.astype(np.float32)
    return widened


def _from_eight(kind: Eight, stored: NDArray[Any]) -> NDArray[np.float32]:
    widened: NDArray[np.float32] = _table(kind)[stored]
    return widened


NARROW: dict[str, tuple[str, Widen]] = {
    "bfloat16": ("<u2", _from_bfloat16),
    "float8_e4m3fn": ("|u1", partial(_from_eight, Eight(4, 7, "fn"))),
    "float8_e5m2": ("|u1", partial(_from_eight, Eight(5, 15, "ieee"))),
    "float8_e4m3fnuz": ("|u1", partial(_from_eight, Eight(4, 8, "fnuz"))),
    "float8_e5m2fnuz": ("|u1", partial(_from_eight, Eight(5, 16, "fnuz"))),
}
"""By the names of `ml_dtypes`: the integers that hold their bits, and from these to float32."""
