"""Standard errors of means against exact fractions of the formulas in their references, and against SciPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msecli.arrays import FloatArray
from msecli.core.exact import ONE, ExactSum, Total, root
from msecli.core.spread import Estimate, Spread, clustered

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def _total(values: FloatArray) -> Total:
    sums = ExactSum()
    sums.add(values)
    return sums.total()


def _estimate(values: FloatArray, weight: FloatArray | None = None) -> Estimate:
    spread = Spread(weighted=weight is not None)
    spread.add(values, weight)
    divisor = values.size * ONE if weight is None else _total(weight).units
    return spread.estimates([_total(values)], [divisor], [values.size])[0]


def _error(values: list[Fraction], weights: list[Fraction]) -> float:
    """Return the root of n / (n - 1) * sum((x - m * w)**2) / sum(w)**2, computed in fractions."""
    n, total = len(values), sum(weights, Fraction(0))
    mean = sum(values, Fraction(0)) / total
    squares = sum(((x - mean * w) ** 2 for x, w in zip(values, weights, strict=True)), Fraction(0))
    variance = Fraction(n, n - 1) * squares / total**2
    return root(variance.numerator, variance.denominator)


@given(VALUES)
def test_the_standard_error_is_that_of_exact_fractions(values: list[float]) -> None:
    assert _estimate(np.array(values)).error == _error([*map(Fraction, values)], [Fraction(1)] * len(values))


@given(VALUES)
def test_weights_are_linearised(values: list[float]) -> None:
    weight = np.random.default_rng(len(values)).random(len(values)) + 0.1
    weighted = np.array(values) * weight
    expected = _error([Fraction(x) for x in weighted.tolist()], [Fraction(w) for w in weight.tolist()])
    assert _estimate(weighted, weight).error == expected


def test_equal_values_have_no_error() -> None:
    # Squares that are rounded one by one leave an error of about 1e-9 here.
    assert _estimate(np.full(1000, 0.1)).error == 0.0


def test_the_interval_and_the_p_value_are_scipys() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 40)
    test = stats.ttest_1samp(values, 0)
    estimate = _estimate(values)
    assert estimate.p_value() == pytest.approx(test.pvalue, rel=1e-10)
    interval = test.confidence_interval(0.9)
    assert estimate.interval(0.9) == pytest.approx((interval.low, interval.high), rel=1e-10)


def test_parts_merge_to_the_bits_of_the_whole_whatever_their_slots() -> None:
    values = np.random.default_rng(1).normal(size=100)
    codes = np.arange(100) % 3
    whole, parts = Spread(3), Spread(0)
    whole.add(values, codes=codes)
    for rows in (slice(60, None), slice(0, 60)):
        part = Spread(3)
        part.add(values[rows], codes=codes[rows])
        parts.grow(3)
        parts.merge(part, np.arange(3))
    sums = [_total(values[codes == slot]) for slot in range(3)]
    counts = [int((codes == slot).sum()) for slot in range(3)]
    arguments = sums, [count * ONE for count in counts], counts
    assert whole.estimates(*arguments) == parts.estimates(*arguments)
    assert whole.estimates(*arguments)[1] == _estimate(values[codes == 1])


@given(VALUES, st.integers(2, 5))
def test_clusters_take_the_place_of_values(values: list[float], clusters: int) -> None:
    groups = [values[number::clusters] for number in range(min(clusters, len(values)))]
    sums = [sum(map(Fraction, group), Fraction(0)) for group in groups]
    sizes = [Fraction(len(group)) for group in groups]
    found = clustered((_total(np.array(group)), len(group) * ONE) for group in groups)
    assert found.error == _error(sums, sizes)
    assert found.freedom == len(groups) - 1


def test_clusters_without_weight_do_not_count() -> None:
    both = [(Total(3 * ONE), 2 * ONE), (Total(3 * ONE), ONE)]
    assert clustered([*both, (Total(0), 0)]) == clustered(both)


@pytest.mark.parametrize("values", [[1.0], [1.0, math.inf], [math.nan, 1.0]])
def test_without_two_finite_values_there_is_no_error(values: list[float]) -> None:
    estimate = _estimate(np.array(values))
    assert math.isnan(estimate.error)
    assert all(map(math.isnan, estimate.interval(0.95)))
    assert math.isnan(estimate.p_value())
