"""Paired tests, against SciPy and against the formulas of the papers in plain NumPy; merged parts equal the whole."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from msecli.core.evidence import EVIDENCE, Differences, Sample, Verdict
from msecli.core.exact import ONE, ExactSum, Total
from msecli.core.paired import TESTS, Settings, holm

Array = NDArray[np.float64]
each_test = pytest.mark.parametrize("name", TESTS)


def losses(rows: int, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    common = random.normal(size=rows)
    return (common + random.normal(size=rows)) ** 2, (common + 0.9 * random.normal(size=rows)) ** 2


def total(values: Array) -> Total:
    found = ExactSum()
    found.add(values)
    return found.total()


def verdict(name: str, ours: Array, theirs: Array, settings: Settings = Settings(), **more: Any) -> Verdict:  # noqa: B008
    weight = more.get("weight")
    clusters = more.pop("clusters", None)
    differences = Differences(TESTS[name], settings, weighted=weight is not None, clusters=clusters is not None)
    differences.add(Sample(ours, theirs, weight, clusters=clusters))
    weights = ours.size * ONE if weight is None else total(weight).units
    return differences.verdict(total(ours - theirs), weights)


def test_every_test_of_the_table_keeps_its_evidence() -> None:
    assert EVIDENCE.keys() == TESTS.keys()


@pytest.mark.parametrize("rows", [2, 3, 50, 5000])
def test_t_agrees_with_scipy(rows: int) -> None:
    ours, theirs = losses(rows)
    expected = stats.ttest_rel(ours, theirs)
    interval = expected.confidence_interval(0.9)
    found = verdict("t", ours, theirs, Settings(confidence=0.9))
    np.testing.assert_allclose(found, (interval.low, interval.high, expected.pvalue), rtol=1e-9)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_dm_agrees_with_the_formula_of_harvey_leybourne_and_newbold(horizon: int) -> None:
    ours, theirs = losses(200)
    d, n = ours - theirs, 200
    covariances = [((d[lag:] - d.mean()) * (d[: n - lag] - d.mean())).sum() / n for lag in range(horizon)]
    statistic = d.mean() / math.sqrt((covariances[0] + 2 * sum(covariances[1:])) / n)
    statistic *= math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    found = verdict("dm", ours, theirs, Settings(horizon=horizon))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(statistic), n - 1), rel=1e-9)
    assert (found.low + found.high) / 2 == pytest.approx(d.mean())


def test_dm_one_step_ahead_is_the_paired_t_test() -> None:
    # gamma(0) / n * n / (n - 1) is the square of the usual standard error.
    found, expected = (verdict(name, *losses(77)) for name in ("dm", "t"))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_dm_has_no_result_where_the_estimated_variance_is_negative() -> None:
    # Of 1, -1, 1, -1 the products one apart sum up to -3, those of themselves to 4: 4 - 2 * 3 is below 0.
    differences = np.array([1.0, -1.0, 1.0, -1.0])
    found = verdict("dm", differences, np.zeros(4), Settings(horizon=2))
    assert all(map(math.isnan, found))


def test_dm_has_no_result_for_a_horizon_beyond_the_rows() -> None:
    assert math.isnan(verdict("dm", *losses(3), Settings(horizon=3)).p)


def test_permutation_agrees_with_all_the_signs() -> None:
    ours, theirs = losses(10, seed=4)
    exact = stats.permutation_test((ours - theirs,), np.mean, permutation_type="samples", n_resamples=np.inf)
    found = verdict("permutation", ours, theirs, Settings(resamples=20_000, seed=3))
    assert found.p == pytest.approx(exact.pvalue, abs=4 * math.sqrt(0.25 / 20_000))
    assert math.isnan(found.low)


def test_bootstrap_has_about_the_interval_of_t_for_many_rows() -> None:
    ours, theirs = losses(4000)
    low, high, p = verdict("bootstrap", ours, theirs, Settings(resamples=4000))
    expected = verdict("t", ours, theirs)
    width = expected.high - expected.low
    np.testing.assert_allclose((low, high), expected[:2], atol=0.05 * width)
    assert p == pytest.approx(expected.p, abs=0.03)


@each_test
def test_equal_losses_are_no_difference(name: str) -> None:
    ours, _ = losses(40)
    found = verdict(name, ours, ours)
    if TESTS[name].interval:
        assert found[:2] == (0.0, 0.0)
    if TESTS[name].p_value:
        assert found.p == 1.0


@each_test
def test_a_loss_that_is_no_number_has_no_verdict(name: str) -> None:
    ours, theirs = losses(40)
    ours[3] = math.inf
    assert all(map(math.isnan, verdict(name, ours, theirs)))


@each_test
@pytest.mark.parametrize("clustered", [False, True])
def test_merged_parts_equal_the_whole(name: str, clustered: bool) -> None:
    if clustered and not TESTS[name].clusters:
        return
    rows = 20_000 if name == "t" else 500
    ours, theirs = losses(rows)
    labels = np.random.default_rng(5).integers(0, 7, rows)
    settings = Settings(horizon=4, resamples=20)

    def part(start: int, stop: int) -> Differences:
        keys, codes = np.unique(labels[start:stop], return_inverse=True)
        found = Differences(TESTS[name], settings, weighted=False, clusters=clustered)
        found.add(
            Sample(ours[start:stop], theirs[start:stop], first_row=start, clusters=(codes, [(str(k),) for k in keys]))
        )
        return found

    whole, merged = part(0, rows), Differences(TESTS[name], settings, weighted=False, clusters=clustered)
    cuts = [0, 1, 3, 4, 100, 101, 350, rows]
    for start, stop in pairwise(cuts):
        merged.merge(part(start, stop))
    sums = total(ours - theirs), rows * ONE
    numbers = [(each.number, each.won, each.tied) for each in (whole, merged)]
    assert numbers[0] == numbers[1]
    if clustered and name != "t":
        return  # the clusters are numbered as they appear, which is another order
    np.testing.assert_array_equal(whole.verdict(*sums), merged.verdict(*sums))


def test_clusters_have_the_standard_error_of_their_sums() -> None:
    # Cochran's ratio estimate: G / (G - 1) * sum((S_g - m * W_g)**2) / sum(W)**2, t with G - 1 degrees of freedom.
    ours, theirs = losses(30)
    codes = np.arange(30) % 4
    d = ours - theirs
    sums, sizes = np.bincount(codes, d), np.bincount(codes)
    error = math.sqrt(4 / 3 * ((sums - d.mean() * sizes) ** 2).sum()) / 30
    found = verdict("t", ours, theirs, clusters=(codes, [(str(key),) for key in range(4)]))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(d.mean()) / error, 3), rel=1e-9)
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, 3) * error)


def test_weights_have_the_linearised_standard_error() -> None:
    # n / (n - 1) * sum(w**2 * (d - m)**2) / sum(w)**2 for the weighted mean m.
    ours, theirs = losses(30)
    weight = np.random.default_rng(1).uniform(0.5, 2, 30)
    d = ours - theirs
    mean = (weight * d).sum() / weight.sum()
    error = math.sqrt(30 / 29 * (weight**2 * (d - mean) ** 2).sum()) / weight.sum()
    found = verdict("t", weight * ours, weight * theirs, weight=weight)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean) / error, 29), rel=1e-9)


def test_a_constant_difference_is_certain_despite_rounding() -> None:
    # The differences of the rounded losses are not all 0.1, so their squares may sum up to less than their mean's.
    theirs = np.array([0.1, 0.2, 0.3, 0.7])
    found = verdict("t", theirs + 0.1, theirs)
    np.testing.assert_allclose(found, (0.1, 0.1, 0.0), atol=1e-8)


def test_holm_is_worked_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1; none below the one before.
    assert holm([0.04, 0.01, 0.02]) == [0.04, 0.03, 0.04]
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_is_no_number() -> None:
    assert holm([0.01, math.nan])[0] == 0.01
