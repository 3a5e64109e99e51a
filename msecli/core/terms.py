"""The per-element quantities whose exact sums a state keeps.

A term turns the used elements of a piece into one or several arrays that are added up. Several arrays together are
one quantity without rounding: x * y is the sum of the two arrays of `two_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from msecli.core.exact import FloatArray, IntArray, two_product
from msecli.core.loss import squared_error
from msecli.core.workspace import scratch


class Elements(NamedTuple):
    """The used elements of a piece, flat: all arrays of shape (n,)."""

    residual: FloatArray
    target: FloatArray
    weight: FloatArray | None
    cell: IntArray | None


Addends = tuple[FloatArray, ...]

POWER = "power:"
"""Prefix of the term |r| ** P, followed by P."""


def _space(elements: Elements) -> FloatArray:
    return scratch("addend", elements.residual.size, np.float64)


def _weighted(values: FloatArray, weight: FloatArray | None) -> FloatArray:
    return values if weight is None else np.multiply(values, weight, out=values)


def _products(values: Addends, weight: FloatArray | None) -> Addends:
    if weight is None:
        return values
    return tuple(part for value in values for part in two_product(value, weight))


TERMS: dict[str, Callable[[Elements], Addends]] = {
    "squared_error": lambda e: (squared_error(e.residual, e.weight, out=_space(e)),),
    "absolute_error": lambda e: (_weighted(np.abs(e.residual, out=_space(e)), e.weight),),
    "error": lambda e: (_weighted(e.residual.copy(), e.weight),),
    "weight": lambda e: (np.ones_like(e.residual) if e.weight is None else e.weight.copy(),),
    "plain_squared_error": lambda e: (squared_error(e.residual, out=_space(e)),),
    "plain_absolute_error": lambda e: (np.abs(e.residual, out=_space(e)),),
    "target": lambda e: _products((e.target.copy(),), e.weight),
    "squared_target": lambda e: _products(two_product(e.target, e.target), e.weight),
}


def addends(term: str, elements: Elements) -> Addends:
    """Return the arrays whose sum is the sum of the term over the elements; they may be overwritten."""
    if term.startswith(POWER):
        return (np.abs(elements.residual) ** float(term.removeprefix(POWER)),)
    return TERMS[term](elements)
