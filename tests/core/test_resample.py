"""Resampled means against their definition, row by row, and against SciPy's resampling methods."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from msecli.arrays import FloatArray
from msecli.core.resample import (
    KINDS,
    ROWS,
    ResampledMeans,
    bootstrap_estimate,
    bootstrap_p_value,
    factors,
    percentile_interval,
    permutation_p_value,
)
from msecli.errors import UsageError

VALUES = np.random.default_rng(5).lognormal(size=ROWS + 500)


def _drawn(kind: str, seed: int, resamples: int, rows: int) -> FloatArray:
    blocks = [np.concatenate([each for _, each in factors(kind, seed, resamples, block)]) for block in range(2)]
    drawn: FloatArray = np.concatenate(blocks, axis=1)[:, :rows].astype(float)
    return drawn


def test_a_bootstrap_mean_is_that_of_the_drawn_rows() -> None:
    means = ResampledMeans("bootstrap", 70, seed=3)
    means.add(VALUES)
    drawn = _drawn("bootstrap", 3, 70, VALUES.size)
    for number in (0, 1, 69):
        times = [int(each) for each in drawn[number]]
        sums = sum(Fraction(float(value * each)) for value, each in zip(VALUES, times, strict=True))
        assert means.means()[number, 0] == float(sums / sum(times))


def test_a_weighted_bootstrap_divides_by_the_drawn_weights() -> None:
    weight = np.random.default_rng(6).random(VALUES.size)
    means = ResampledMeans("bootstrap", 2, seed=3, weighted=True)
    means.add(VALUES * weight, weight)
    drawn = _drawn("bootstrap", 3, 2, VALUES.size)
    expected = (drawn * (VALUES * weight)).sum(axis=1) / (drawn * weight).sum(axis=1)
    assert means.means()[:, 0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_any_cut_of_the_rows_gives_the_same_bits(kind: str, weighted: bool) -> None:
    weight = np.random.default_rng(6).random(VALUES.size) if weighted else None
    codes = np.arange(VALUES.size) % 2
    whole = ResampledMeans(kind, 3, 9, 2, weighted=weighted)
    whole.add(VALUES, weight, codes)
    joined = ResampledMeans(kind, 3, 9, 0, weighted=weighted)
    joined.grow(2)
    for start, stop in ((8000, 8300), (0, 8000), (8300, VALUES.size)):
        part = ResampledMeans(kind, 3, 9, 2, weighted=weighted)
        rows = slice(start, stop)
        part.add(VALUES[rows], None if weight is None else weight[rows], codes[rows], first_row=start)
        joined.merge(part)
    assert np.array_equal(whole.means(), joined.means())


def test_values_of_one_row_are_drawn_together() -> None:
    means = ResampledMeans("bootstrap", 50, seed=0)
    means.add(np.tile([1.0, 3.0], 20), rows=np.repeat(np.arange(20), 2))
    assert (means.means() == 2.0).all()  # each row's mean is 2, so that of any draw of rows is


def test_draws_are_poisson_of_mean_one() -> None:
    # The tail beyond the bounds of a chi-squared test at 1 in 1000 would be a defect, as the draws are seeded.
    drawn = _drawn("bootstrap", 0, 64, ROWS).astype(int).ravel()
    counts = np.bincount(drawn, minlength=7)
    expected = [stats.poisson.pmf(number, 1) for number in range(5)]
    observed = [*counts[:5], counts[5:].sum()]
    assert stats.chisquare(observed, np.array([*expected, 1 - sum(expected)]) * drawn.size).pvalue > 0.001


def test_resamples_and_rows_are_independent() -> None:
    for kind in KINDS:
        drawn = _drawn(kind, 1, 128, ROWS)
        # The standard error of a correlation of 8192 pairs is 0.011; of 8128 pairs none lies beyond six of them.
        assert np.abs(np.corrcoef(drawn) - np.eye(128)).max() < 6 / math.sqrt(ROWS)
        assert np.abs(np.corrcoef(drawn[:, :128].T) - np.eye(128)).max() < 6 / math.sqrt(128)


def test_what_is_not_drawn_does_not_count_even_if_infinite() -> None:
    means = ResampledMeans("bootstrap", 40, seed=0)
    means.add(np.array([math.inf, 1.0, 1.0]))
    drawn = _drawn("bootstrap", 0, 40, 3)
    for mean, (first, *others) in zip(means.means()[:, 0], drawn, strict=True):
        assert mean == math.inf if first else (mean == 1.0 if any(others) else math.isnan(mean))


def test_the_bootstrap_interval_is_near_scipys() -> None:
    values = VALUES[:400]
    means = ResampledMeans("bootstrap", 2000, seed=0)
    means.add(values)
    reference = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=0)
    low, high = percentile_interval(means.means(), 0.95)
    # A quantile at 2.5 % of 2000 resamples has an error of 0.06 standard errors, 1.5 % of the width.
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.06 * width)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.06 * width)
    assert bootstrap_estimate(0.0, means.means()).error == pytest.approx(reference.standard_error, rel=0.05)


def test_the_permutation_test_is_near_the_exact_one() -> None:
    # SciPy enumerates all 2**12 signs.
    values = np.random.default_rng(7).normal(0.45, 1, 12)
    exact = stats.permutation_test(
        (values, np.zeros(12)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    means = ResampledMeans("permutation", 20000, seed=0)
    means.add(values)
    found = permutation_p_value(float(values.mean()), means.means())
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20000))


def test_p_values_are_never_zero() -> None:
    assert permutation_p_value(2.0, np.zeros(99)) == 0.01
    assert bootstrap_p_value(np.ones(99)) == 0.02
    assert bootstrap_p_value(np.zeros(99)) == 1.0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="jackknife"):
        ResampledMeans("jackknife", 1, 0)
