"""Student's t distribution against SciPy, and against the closed forms for one and two degrees of freedom."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from msecli.core.student import quantile, two_sided

FREEDOM = [0.5, 1.5, 2, 3, 7, 29, 49, 50, 99, 100, 101, 441, 1e4, 1e6]


@pytest.mark.parametrize("freedom", FREEDOM)
@pytest.mark.parametrize("t", [1e-3, 0.1, 1, 1.5, 2, 3, 10, 30])
def test_tail_probabilities_are_scipys(t: float, freedom: float) -> None:
    assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=1e-10)


@pytest.mark.parametrize("freedom", FREEDOM)
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.9, 0.95, 0.99, 0.999999])
def test_quantiles_are_scipys(confidence: float, freedom: float) -> None:
    assert quantile(confidence, freedom) == pytest.approx(stats.t.isf((1 - confidence) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize("t", [1e-8, 0.3, 1, 40, 1e9])
def test_closed_forms_hold(t: float) -> None:
    # One degree of freedom is Cauchy's distribution; two: 1 - t / sqrt(2 + t**2), without its cancellation.
    size = math.sqrt(2 + t * t)
    assert two_sided(t, 1) == pytest.approx(2 / math.pi * math.atan(1 / t), rel=1e-14)
    assert two_sided(t, 2) == pytest.approx(2 / (size * (size + t)), rel=1e-12)


def test_many_degrees_of_freedom_are_a_normal_distribution() -> None:
    assert two_sided(1.959963984540054, 1e12) == pytest.approx(0.05, rel=1e-9)
    assert quantile(0.95, 1e12) == pytest.approx(1.959963984540054, rel=1e-9)


def test_both_ends_are_exact() -> None:
    assert (two_sided(0.0, 5), two_sided(-math.inf, 5), two_sided(1e200, 3)) == (1.0, 0.0, 0.0)
    assert math.isnan(two_sided(math.nan, 5))
    assert two_sided(-2.0, 5) == two_sided(2.0, 5)
