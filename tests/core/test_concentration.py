"""The shares of the worst elements against those of sorted losses, and against the accuracy that is told."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from msecli.arrays import FloatArray
from msecli.core.concentration import ACCURACY, Concentration
from msecli.core.exact import ONE, ExactSum, Total

PARTS = (0.001, 0.01, 0.1)


def total_of(losses: FloatArray) -> Total:
    sums = ExactSum()
    sums.add(losses.copy())
    return sums.total()


@pytest.mark.parametrize("scale", [1e-280, 1e-5, 1.0, 1e290])
@pytest.mark.parametrize("heavy", [1.0, 3.0])
def test_shares_are_as_accurate_as_told(scale: float, heavy: float) -> None:
    losses = scale * np.random.default_rng(3).lognormal(0, heavy, 12_345)
    found = Concentration.of(losses).shares(PARTS, losses.size, total_of(losses))
    ordered = np.sort(losses)[::-1]
    for part, (elements, share) in zip(PARTS, found, strict=True):
        assert elements == math.ceil(part * losses.size)
        assert share == pytest.approx(ordered[:elements].sum() / losses.sum(), rel=ACCURACY)


def test_parts_merge_to_the_bits_of_the_whole() -> None:
    losses = np.random.default_rng(4).exponential(size=1000) ** 9
    losses[::7] = 0.0
    losses[1] = -0.0
    whole, merged = Concentration.of(losses), Concentration()
    for part in np.split(losses, [1, 10, 700])[::-1]:
        merged.merge(Concentration.of(part))
    merged.merge(Concentration())
    total = total_of(losses)
    assert merged.shares(PARTS, 1000, total) == whole.shares(PARTS, 1000, total)


def test_equal_losses_are_spread_evenly() -> None:
    found = Concentration.of(np.full(1000, 0.3)).shares(PARTS, 1000, Total(total_of(np.full(1000, 0.3)).units))
    assert [elements for elements, _ in found] == [1, 10, 100]
    assert [share for _, share in found] == pytest.approx(PARTS, rel=ACCURACY)


def test_what_is_not_used_does_not_count_and_extremes_do() -> None:
    losses = np.array([math.nan, sys.float_info.max, 0.0, 5e-324])
    ((elements, share),) = Concentration.of(losses).shares([0.1], 3, total_of(losses[1:]))
    assert elements == 1
    assert share == pytest.approx(1.0, rel=ACCURACY)
    assert Concentration.of(np.zeros(3)).shares([0.1], 3, Total(0)) == [(1, None)]
    assert Concentration.of(np.array([math.inf])).shares([0.1], 1, Total(ONE, math.inf)) == [(1, None)]
