"""Terms: the per-element quantities whose exact sums a state keeps.

A term maps the used elements of a chunk to one or more arrays to be summed. Several arrays represent one quantity
without rounding: x * y is the sum of the two arrays of `exact_product`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from msecli.core.exact import FloatArray, IntArray
from msecli.core.loss import squared_error
from msecli.core.norm import power_sum, powers
from msecli.core.wide import Wide, WideSum, exact_product
from msecli.core.workspace import scratch


class Elements(NamedTuple):
    """The used elements of a chunk: flat arrays of shape (n,)."""

    residual: FloatArray
    target: FloatArray
    weight: FloatArray | None
    cell: IntArray | None


POWER = "power:"
"""The prefix of the terms |r| ** P; P follows it."""


def _space(elements: Elements) -> FloatArray:
    return scratch("addend", elements.residual.size, np.float64)


def _weighted(values: FloatArray, weight: FloatArray | None) -> FloatArray:
    return values if weight is None else np.multiply(values, weight, out=values)


def _exact_squares(values: FloatArray, weight: FloatArray | None) -> list[Wide]:
    return exact_product(values, values) if weight is None else exact_product(values, values, weight)


TERMS: dict[str, Callable[[Elements], list[Wide]]] = {
    "squared_error": lambda e: [Wide(squared_error(e.residual, e.weight, out=_space(e)))],
    "absolute_error": lambda e: [Wide(_weighted(np.abs(e.residual, out=_space(e)), e.weight))],
    "error": lambda e: [Wide(_weighted(e.residual.copy(), e.weight))],
    "weight": lambda e: [Wide(np.ones_like(e.residual) if e.weight is None else e.weight.copy())],
    "plain_absolute_error": lambda e: [Wide(np.abs(e.residual, out=_space(e)))],
    "exact_squared_error": lambda e: _exact_squares(e.residual, e.weight),
    "plain_exact_squared_error": lambda e: exact_product(e.residual, e.residual),
    "target": lambda e: [Wide(e.target.copy())] if e.weight is None else exact_product(e.target, e.weight),
    "squared_target": lambda e: _exact_squares(e.target, e.weight),
}


def addends(term: str, elements: Elements) -> list[Wide]:
    """Return arrays that add up to the term's sum over the elements; callers may overwrite them."""
    if term.startswith(POWER):
        return powers(elements.residual, _order(term))
    return TERMS[term](elements)


def sum_of(term: str, slots: int) -> WideSum:
    """Return sums of zero for a term."""
    return power_sum(_order(term), slots) if term.startswith(POWER) else WideSum(slots)


def _order(term: str) -> float:
    return float(term.removeprefix(POWER))
