"""The metrics. Expected values come from scikit-learn, NumPy, and `fractions.Fraction` where a value is exact."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn_metrics

from msecli.core.chunk import Chunk
from msecli.core.metrics import METRICS, Metric, Options, metric_named, metrics_named, needed_terms
from msecli.core.state import LossState, Rules, Summary
from msecli.errors import UsageError
from tests.fuzz.exact import rounded

Array = NDArray[np.float64]
Reference = Callable[[Array, Array, Array | None], float]


def scikit_learn(function: Any, *, weighted: bool = True, **options: Any) -> Reference:
    """Return a metric of scikit-learn over all elements as one column; the weight of a row is that of its elements."""

    def reference(prediction: Array, target: Array, weight: Array | None) -> float:
        if weight is not None and weighted:
            options["sample_weight"] = weight.repeat(prediction.size // weight.size)
        return float(function(target.ravel(), prediction.ravel(), **options))

    return reference


def norm(order: float) -> Reference:
    return lambda prediction, target, _: float(np.linalg.norm((prediction - target).ravel(), order))


def bias(prediction: Array, target: Array, weight: Array | None) -> float:
    return float(np.average((prediction - target).reshape(len(prediction), -1).mean(axis=1), weights=weight))


def squares(prediction: Array, target: Array, weight: Array | None) -> float:
    each = (prediction - target).reshape(len(prediction), -1) ** 2
    return float(np.sum(each if weight is None else each * weight[:, np.newaxis]))


def r2(prediction: Array, target: Array, weight: Array | None) -> float:
    options = {"multioutput": "variance_weighted", "sample_weight": weight}
    return float(sklearn_metrics.r2_score(target, prediction, **options))


def explained_variance(prediction: Array, target: Array, weight: Array | None) -> float:
    options = {"multioutput": "variance_weighted", "sample_weight": weight}
    return float(sklearn_metrics.explained_variance_score(target, prediction, **options))


def pearson(prediction: Array, target: Array, _: Array | None) -> float:
    centred = [(values - values.mean(axis=0)).ravel() for values in (prediction, target)]
    return float(stats.pearsonr(*centred).statistic)


def smape(prediction: Array, target: Array, weight: Array | None) -> float:
    each = 2 * np.abs(prediction - target) / (np.abs(prediction) + np.abs(target))
    return float(np.average(each.reshape(len(each), -1).mean(axis=1), weights=weight))


def wape(prediction: Array, target: Array, weight: Array | None) -> float:
    errors, sizes = (np.abs(values).reshape(len(values), -1).sum(axis=1) for values in (prediction - target, target))
    return float(np.average(errors, weights=weight) / np.average(sizes, weights=weight))


def nrmse(scale: Callable[[Array, Array | None], float]) -> Reference:
    """Return the root mean squared error of scikit-learn divided by a scale of the targets."""
    rmse = scikit_learn(sklearn_metrics.root_mean_squared_error)
    return lambda prediction, target, weight: rmse(prediction, target, weight) / scale(target, weight)


def mean_of(target: Array, weight: Array | None) -> float:
    return abs(float(np.average(target.reshape(len(target), -1).mean(axis=1), weights=weight)))


def deviation_of(target: Array, weight: Array | None) -> float:
    columns = target.reshape(len(target), -1)
    variances = np.average((columns - np.average(columns, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    return float(np.sqrt(variances.mean()))


REFERENCES: dict[str, Reference] = {
    "mse": scikit_learn(sklearn_metrics.mean_squared_error),
    "rmse": scikit_learn(sklearn_metrics.root_mean_squared_error),
    "mae": scikit_learn(sklearn_metrics.mean_absolute_error),
    "max_error": scikit_learn(sklearn_metrics.max_error, weighted=False),
    "bias": bias,
    "r2": r2,
    "sse": squares,
    "l1": norm(1),
    "l2": norm(2),
    "linf": norm(math.inf),
    "medae": scikit_learn(sklearn_metrics.median_absolute_error, weighted=False),
    "explained_variance": explained_variance,
    "skill": r2,
    "pearson": pearson,
    "mape": scikit_learn(sklearn_metrics.mean_absolute_percentage_error),
    "smape": smape,
    "wape": wape,
    "msle": scikit_learn(sklearn_metrics.mean_squared_log_error),
    "rmsle": scikit_learn(sklearn_metrics.root_mean_squared_log_error),
    "nrmse:range": nrmse(lambda target, _: float(np.ptp(target))),
    "nrmse:mean": nrmse(mean_of),
    "nrmse:std": nrmse(deviation_of),
}
NORMS = {f"lp:{order}": norm(float(order)) for order in ("1", "1.5", "2", "3", "7.25")}


def rules_for(metric: Metric, shape: tuple[int, ...], *, weighted: bool) -> Rules:
    return Rules(
        needed_terms([metric], weighted=weighted),
        metric.largest,
        math.prod(shape[1:]) if metric.by_column else 1,
        "propagate",
        "propagate",
        holds=metric.holds,
        season=metric.season,
    )


def summary_for(metric: Metric, prediction: Array, target: Array, weight: Array | None = None) -> Summary:
    rules = rules_for(metric, prediction.shape, weighted=weight is not None)
    return LossState.of(Chunk(prediction, target, weight=weight), rules).summary()


def score(name: str, prediction: object, target: object, weight: object = None, **options: Any) -> float:
    weights = None if weight is None else np.array(weight, dtype=np.float64)
    p, t = np.array(prediction, dtype=np.float64), np.array(target, dtype=np.float64)
    metric = metric_named(name, Options(**options))
    return metric.value(summary_for(metric, p, t, weights))


WITHOUT_WEIGHTS = {name for name, metric in METRICS.items() if metric.weightless}


def exact_r2(prediction: Array, target: Array, weight: Array | None = None) -> float:
    """Return 1 - SSE / SST in fractions, of the residuals as float64 has them; rows of (n, columns)."""
    weights = [Fraction(1)] * len(target) if weight is None else [Fraction(w) for w in weight.tolist()]
    residuals = zip(weights, (prediction - target).tolist(), strict=True)
    errors = sum((w * Fraction(r) ** 2 for w, row in residuals for r in row), Fraction(0))
    spread = Fraction(0)
    for column in target.T.tolist():
        values = [Fraction(t) for t in column]
        mean = sum((w * t for w, t in zip(weights, values, strict=True)), Fraction(0)) / sum(weights)
        spread += sum((w * (t - mean) ** 2 for w, t in zip(weights, values, strict=True)), Fraction(0))
    return float(1 - errors / spread)


def test_every_metric_of_the_table_has_a_reference() -> None:
    assert REFERENCES.keys() == METRICS.keys()


@pytest.mark.parametrize("name", [*REFERENCES, *NORMS])
@pytest.mark.parametrize("shape", [(1000,), (333, 1), (250, 3)], ids=str)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_metrics_agree_with_their_references(name: str, shape: tuple[int, ...], weighted: bool) -> None:
    if weighted and name in WITHOUT_WEIGHTS:
        pytest.skip("refused")
    rng = np.random.default_rng(8)
    # Positive, as logarithms need.
    target = np.abs(rng.normal(5.0, 3.0, shape))
    prediction = np.abs(target + rng.normal(0.1, 1.0, shape))
    weight = rng.random(shape[0]) if weighted else None
    expected = (REFERENCES | NORMS)[name](prediction, target, weight)
    assert score(name, prediction, target, weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "max_error", "sse", "l1", "l2", "linf", "lp:3", "bias"])
def test_a_perfect_prediction_has_no_error(name: str) -> None:
    assert score(name, [1.1, 2.2], [1.1, 2.2]) == 0.0


def test_hand_computed_values_of_three_residuals() -> None:
    prediction, target = [1.0, -1.0, 5.0], [0.0, 1.0, 1.0]
    expected = {
        "mse": 7.0, "rmse": 7.0**0.5, "mae": 7 / 3, "max_error": 4.0, "bias": 1.0, "r2": -30.5, "sse": 21.0,
        "l1": 7.0, "l2": 21.0**0.5, "linf": 4.0,
    }  # fmt: skip
    assert {name: score(name, prediction, target) for name in expected} == expected


def test_hand_computed_weighted_values() -> None:
    prediction, target, weight = [1.0, -1.0, 5.0], [0.0, 1.0, 1.0], [2.0, 1.0, 1.0]
    expected = {
        "mse": 5.5, "rmse": 5.5**0.5, "mae": 2.0, "max_error": 4.0, "bias": 1.0, "r2": -21.0, "sse": 22.0,
        "l1": 7.0, "l2": 21.0**0.5, "linf": 4.0,
    }  # fmt: skip
    assert {name: score(name, prediction, target, weight) for name in expected} == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100)), min_size=1))
def test_rmse_is_the_correctly_rounded_root(pairs: list[tuple[float, float]]) -> None:
    result = Fraction(score("rmse", [p for p, _ in pairs], [t for _, t in pairs]))
    mean = sum((Fraction((p - t) * (p - t)) for p, t in pairs), Fraction(0)) / len(pairs)
    low, high = (Fraction(math.nextafter(float(result), end)) for end in (-math.inf, math.inf))
    assert max(Fraction(0), result + low) ** 2 <= 4 * mean <= (result + high) ** 2


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)), min_size=1))
def test_mae_and_bias_are_correctly_rounded_means(pairs: list[tuple[float, float]]) -> None:
    prediction, target = [p for p, _ in pairs], [t for _, t in pairs]
    residuals = [Fraction(p - t) for p, t in pairs]
    assert score("bias", prediction, target) == float(sum(residuals, Fraction(0)) / len(pairs))
    assert score("mae", prediction, target) == float(sum(map(abs, residuals), Fraction(0)) / len(pairs))


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12, 2.0**52])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_r2_is_exact_however_far_the_targets_are_from_zero(offset: float, columns: int, weighted: bool) -> None:
    rng = np.random.default_rng(9)
    target = offset + rng.normal(0.0, 1.0, (200, columns))
    prediction = target + rng.normal(0.0, 0.3, (200, columns))
    weight = rng.random(200) if weighted else None
    assert score("r2", prediction, target, weight) == exact_r2(prediction, target, weight)


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, allow_subnormal=False)] * 2), min_size=2).filter(
        lambda pairs: len({round(t, 3) for _, t in pairs}) > 1 and all(abs(t) > 1e-6 for _, t in pairs)
    )
)
def test_r2_of_any_moderate_values_is_that_of_fractions(pairs: list[tuple[float, float]]) -> None:
    both = np.array(pairs)
    assert score("r2", both[:, 0], both[:, 1]) == exact_r2(both[:, :1], both[:, 1:])


def test_r2_pools_columns_about_their_own_means() -> None:
    prediction, target = [[1.0, 10.0], [2.0, 12.0]], [[0.0, 10.0], [2.0, 14.0]]
    assert score("r2", prediction, target) == 1 - (1 + 4) / (2 + 8)


@pytest.mark.parametrize(
    "target", [[3.0, 3.0, 3.0], [0.1, 0.1, 0.1], [1e9 + 0.1] * 3, [7.0]], ids=["3", "0.1", "1e9", "one"]
)
def test_r2_of_a_constant_target_is_undefined(target: list[float]) -> None:
    assert math.isnan(score("r2", [t + 1.0 for t in target], target))
    assert math.isnan(score("r2", target, target))
    assert math.isnan(score("r2", target, target, [0.3 + row for row in range(len(target))]))


def test_r2_weighs_a_column_by_its_spread_also_when_one_is_constant() -> None:
    assert score("r2", [[1.0, 4.0], [3.0, 5.0]], [[0.0, 5.0], [4.0, 5.0]]) == 1 - 3 / 8


def test_r2_counts_only_rows_with_weight() -> None:
    assert score("r2", [1.0, 2.0, 9e9], [0.0, 2.0, -5.0], [1.0, 1.0, 0.0]) == 0.5


def test_r2_far_below_any_float_is_minus_infinity() -> None:
    # 1 - 1e306 / 5e-11 leaves the range of float64.
    assert score("r2", [1e153, 0.0], [0.0, 1e-5]) == -math.inf


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "max_error", "sse", "l1", "l2", "linf", "lp:3"])
def test_infinite_errors_give_infinite_metrics(name: str) -> None:
    assert score(name, [math.inf, 1.0], [0.0, 0.0]) == math.inf


@pytest.mark.parametrize("name", [*METRICS, "lp:3"])
def test_propagated_nan_makes_every_metric_nan(name: str) -> None:
    assert math.isnan(score(name, [math.nan, 1.0, 2.0], [0.0, 0.0, 1.0]))
    assert math.isnan(score(name, [1.0, 1.0, 2.0], [0.0, math.nan, 1.0]))


def test_bias_has_a_sign_and_infinities_of_both_signs_cancel_to_nan() -> None:
    assert score("bias", [-math.inf, 1.0], [0.0, 0.0]) == -math.inf
    assert math.isnan(score("bias", [-math.inf, math.inf], [0.0, 0.0]))


@pytest.mark.parametrize("scale", [-30, 30])
def test_metrics_scale_exactly_with_powers_of_two(scale: int) -> None:
    rng = np.random.default_rng(10)
    prediction, target, factor = rng.random(500), rng.random(500), 2.0**scale
    ratios = ("r2", "skill", "explained_variance", "pearson", "mape", "smape", "wape")
    degrees = dict.fromkeys(METRICS, 1) | {"mse": 2, "sse": 2} | dict.fromkeys(ratios, 0)
    degrees |= dict.fromkeys(("nrmse:range", "nrmse:mean", "nrmse:std"), 0)
    del degrees["msle"], degrees["rmsle"]
    for name, degree in degrees.items():
        assert score(name, factor * prediction, factor * target) == factor**degree * score(name, prediction, target)


def test_the_terms_needed_are_listed_once_without_plain_where_there_are_no_weights() -> None:
    everything = [METRICS[name] for name in ("mse", "mae", "bias", "r2", "l1", "l2")]
    plain = needed_terms(everything, weighted=False)
    assert plain == ("squared_error", "absolute_error", "error", "exact_squared_error", "target", "squared_target")
    weighted = needed_terms(everything, weighted=True)
    assert weighted == (*plain, "plain_absolute_error", "plain_exact_squared_error", "weight")


def test_the_loss_alone_needs_squares_and_weights() -> None:
    assert needed_terms((), weighted=False) == ("squared_error",)
    assert needed_terms((), weighted=True) == ("squared_error", "weight")
    assert needed_terms([metric_named("lp:3")], weighted=True) == ("squared_error", "power:3.0", "weight")


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_found_by_their_own_names(name: str) -> None:
    assert metric_named(name) is METRICS[name]


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown metric 'mapa'; choose from mse, rmse, .*linf, lp:P, .*all"):
        metric_named("mapa")


@pytest.mark.parametrize("name", ["lp:0.5", "lp:x", "lp:inf", "lp:nan", "lp:-1", "lp:"])
def test_a_norm_of_an_impossible_order_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="P in lp:P is a number of at least 1"):
        metric_named(name)


def test_norms_say_their_order() -> None:
    assert metric_named("lp:2.50").meaning == "residual norm of order 2.5, unweighted"
    assert metric_named("lp:1").name == "lp:1"


PAIRS = st.lists(st.tuples(*[st.floats(-1e6, 1e6, allow_subnormal=False)] * 2), min_size=1, max_size=30)


def fractions_of(pairs: list[tuple[float, float]]) -> tuple[list[Fraction], list[Fraction], int]:
    """Return the residuals as float64 has them, the targets, and their number."""
    return [Fraction(p - t) for p, t in pairs], [Fraction(t) for _, t in pairs], len(pairs)


def scored(name: str, pairs: list[tuple[float, float]], **options: Any) -> float:
    return score(name, [p for p, _ in pairs], [t for _, t in pairs], **options)


MOST = sys.float_info.max
BEYOND = Fraction(2) ** 1024
"""The number after the largest float64, if there were one."""


def assert_is_root(value: float, square: Fraction) -> None:
    """Check that a value is the root of a fraction, correctly rounded."""
    if math.isinf(value):
        assert square >= (BEYOND - Fraction(math.ulp(MOST)) / 2) ** 2
        return
    result, low = Fraction(value), Fraction(math.nextafter(value, -math.inf))
    high = BEYOND if value == MOST else Fraction(math.nextafter(value, math.inf))
    assert max(Fraction(0), result + low) ** 2 <= 4 * square <= (result + high) ** 2


@settings(deadline=None)
@given(PAIRS)
def test_wape_is_the_correctly_rounded_quotient_of_two_sums(pairs: list[tuple[float, float]]) -> None:
    residuals, targets, _ = fractions_of(pairs)
    errors, sizes = sum(map(abs, residuals), Fraction(0)), sum(map(abs, targets), Fraction(0))
    value = scored("wape", pairs)
    assert math.isnan(value) if sizes == 0 else value == rounded(Fraction(errors) / Fraction(sizes))


@settings(deadline=None)
@given(PAIRS)
def test_explained_variance_is_that_of_fractions(pairs: list[tuple[float, float]]) -> None:
    residuals, targets, count = fractions_of(pairs)
    rest, spread = (sum((x - sum(xs) / count) ** 2 for x in xs) for xs in (residuals, targets))
    value = scored("explained_variance", pairs)
    assert math.isnan(value) if spread == 0 else value == rounded(1 - Fraction(rest) / Fraction(spread))


@settings(deadline=None)
@given(PAIRS)
def test_normalized_errors_are_correctly_rounded_roots(pairs: list[tuple[float, float]]) -> None:
    residuals, targets, count = fractions_of(pairs)
    mse, mean = Fraction(sum(r**2 for r in residuals)) / count, Fraction(sum(targets)) / count
    scales = {
        "nrmse:range": (max(targets) - min(targets)) ** 2,
        "nrmse:mean": mean**2,
        "nrmse:std": Fraction(sum((t - mean) ** 2 for t in targets)) / count,
    }
    for name, square in scales.items():
        value = scored(name, pairs)
        if square == 0:
            assert math.isnan(value), name
        else:
            assert_is_root(value, mse / square)


@settings(deadline=None)
@given(PAIRS)
def test_pearson_is_the_correctly_rounded_correlation(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = ([Fraction(pair[side]) for pair in pairs] for side in (0, 1))
    a, b = ([x - Fraction(sum(xs)) / len(xs) for x in xs] for xs in (ours, theirs))
    together = sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))
    spreads = Fraction(sum(x * x for x in a)) * Fraction(sum(y * y for y in b))
    value = scored("pearson", pairs)
    if spreads == 0:
        assert math.isnan(value)
    else:
        assert_is_root(abs(value), together**2 / spreads)
        assert value * together >= 0


@settings(deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_medae_is_the_correctly_rounded_median(residuals: list[float]) -> None:
    sizes = sorted(abs(Fraction(r)) for r in residuals)
    middle = len(sizes) // 2
    expected = (sizes[middle] + sizes[-middle - 1]) / 2
    assert score("medae", residuals, [0.0] * len(residuals)) == float(expected)


@settings(deadline=None)
@given(PAIRS, st.integers(1, 8))
def test_mase_divides_by_the_mean_seasonal_difference(pairs: list[tuple[float, float]], season: int) -> None:
    residuals, _, count = fractions_of(pairs)
    target = [t for _, t in pairs]
    differences = [abs(Fraction(b - a)) for a, b in zip(target, target[season:], strict=False)]
    value = scored("mase", pairs, season=season)
    if sum(differences) == 0:
        assert math.isnan(value)
    else:
        mae, scale = sum(map(abs, residuals), Fraction(0)) / count, Fraction(sum(differences)) / len(differences)
        assert value == rounded(mae / scale)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(1, 120),
    st.lists(st.integers(0, 120), max_size=6),
    st.integers(1, 4),
    st.sampled_from([(), (2,)]),
)
@pytest.mark.parametrize("name", ["medae", "mase", "nrmse:range", "pearson"])
def test_states_of_chunks_joined_in_order_are_those_of_all_rows_by_group(
    name: str, seed: int, rows: int, cuts: list[int], groups: int, item: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    prediction, target = rng.normal(size=(rows, *item)), rng.normal(size=(rows, *item)).round(1)
    group = rng.integers(0, groups, rows)
    metric = metric_named(name, Options(season=int(rng.integers(1, 5))))
    rules = rules_for(metric, prediction.shape, weighted=False)
    state = LossState(rules, groups=groups)
    borders = sorted({0, rows, *(cut % rows for cut in cuts)})
    for start, stop in pairwise(borders):
        cut = slice(start, stop)
        part = Chunk(prediction[cut], target[cut], group=group[cut], groups=groups)
        state.merge(LossState.of(part, rules))
    for number, summary in enumerate(state.summaries()):
        own = group == number
        if own.any():
            alone = metric.value(summary_for(metric, prediction[own], target[own]))
            assert repr(metric.value(summary)) == repr(alone)
    if name != "mase":  # whose differences stay in their groups
        assert repr(metric.value(state.summary())) == repr(metric.value(summary_for(metric, prediction, target)))


@pytest.mark.parametrize("scale", [2.0**-700, 1.0, 2.0**700], ids=["tiny", "moderate", "huge"])
def test_what_is_relative_to_the_targets_does_not_depend_on_their_magnitude(scale: float) -> None:
    prediction, target = np.array([4.0, 2.0, 1.0]), np.array([1.0, 3.0, 9.0])
    names = ("r2", "skill", "explained_variance", "pearson", "nrmse:range", "nrmse:mean", "nrmse:std", "wape", "smape")
    for name in (*names, "mape", "mase"):
        assert score(name, scale * prediction, scale * target) == score(name, prediction, target), name
    # By SciPy 1.17; predictions that fall as the targets rise.
    assert score("pearson", scale * prediction, scale * target) == pytest.approx(
        stats.pearsonr(prediction, target).statistic, rel=1e-15
    )


def test_mase_of_several_columns_pools_their_differences() -> None:
    # Errors 1, 1, 0, 2, so mae 1; differences 2 and 6, so 4 on average.
    assert score("mase", [[1.0, 11.0], [2.0, 18.0]], [[0.0, 10.0], [2.0, 16.0]]) == 0.25


def test_psnr_is_ten_times_the_logarithm_of_peak_squared_over_mse() -> None:
    # scikit-image 0.25, peak_signal_noise_ratio, is the same formula; 10 log10(255**2 / 4) by hand.
    assert score("psnr", [2.0, 4.0], [0.0, 2.0], peak=255.0) == pytest.approx(10 * math.log10(65025 / 4), rel=1e-15)
    assert score("psnr", [2.0], [2.0], peak=1.0) == math.inf
    assert score("psnr", [math.inf], [2.0], peak=1.0) == -math.inf
    # The squares overflow, the ratio of one does not: 20 log10(1e300 / 1e10).
    assert score("psnr", [1e10], [0.0], peak=1e300) == pytest.approx(5800.0, rel=1e-12)


def test_a_relative_error_at_a_target_of_zero_is_undefined() -> None:
    assert math.isnan(score("mape", [1.0, 2.0], [0.0, 1.0]))
    assert math.isnan(score("mape", [0.0, 2.0], [0.0, 1.0]))
    assert math.isnan(score("wape", [1.0, 2.0], [0.0, 0.0]))


def test_a_symmetric_error_of_two_zeros_is_zero_and_nothing_overflows() -> None:
    assert score("smape", [0.0, 3.0], [0.0, 1.0]) == 0.5  # (0 + 2 * 2 / 4) / 2
    assert score("smape", [1e308], [-1e308]) == 2.0
    assert score("smape", [5e-324], [-5e-324]) == 2.0
    assert score("smape", [1e308], [0.0]) == 2.0


def test_logarithms_at_minus_one_are_infinite() -> None:
    assert score("msle", [-1.0], [0.0]) == math.inf
    assert score("rmsle", [0.0], [-1.0]) == math.inf
    assert math.isnan(score("msle", [-1.0], [-1.0]))
    assert math.isnan(score("msle", [-2.0], [0.0]))


@pytest.mark.parametrize(
    "name", ["explained_variance", "skill", "pearson", "nrmse:range", "nrmse:std", "mase"], ids=str
)
def test_what_is_relative_to_the_spread_of_targets_is_undefined_for_constant_ones(name: str) -> None:
    assert math.isnan(score(name, [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))


def test_pearson_of_constant_predictions_and_nrmse_about_a_mean_of_zero_are_undefined() -> None:
    assert math.isnan(score("pearson", [0.1, 0.1, 0.1], [1.0, 2.0, 3.0]))
    assert math.isnan(score("nrmse:mean", [1.0, 2.0], [-1.0, 1.0]))


def test_a_normalized_error_is_positive_for_targets_below_zero() -> None:
    assert score("nrmse:mean", [-1.0, -2.0], [-2.0, -3.0]) == 0.4


def test_mase_without_a_target_a_season_before_is_undefined() -> None:
    assert math.isnan(score("mase", [1.0, 2.0], [0.0, 5.0], season=2))


@pytest.mark.parametrize("name", ["RMSE", "nRMSE:Range", "LP:3", "Max_Error"])
def test_names_are_found_in_any_case(name: str) -> None:
    assert metric_named(name).name == name.lower()


@pytest.mark.parametrize("name", ["lp", "psnr:3", "mase:2", "nrmse", "nrmse:median", "all", ""])
def test_names_with_too_much_or_too_little_are_unknown(name: str) -> None:
    with pytest.raises(UsageError, match="unknown metric"):
        metric_named(name, Options(peak=1.0))


def test_all_are_those_that_need_nothing_more_and_go_with_the_weights() -> None:
    assert [metric.name for metric in metrics_named(["ALL"], Options(), weighted=False)] == [*METRICS]
    weighted = {metric.name for metric in metrics_named(["all"], Options(), weighted=True)}
    assert METRICS.keys() - weighted == {"medae", "pearson"}
    assert len(metrics_named(["all", "rmse", "lp:3", "MSE"], Options(), weighted=False)) == len(METRICS) + 1


def test_naming_a_metric_beside_all_keeps_its_errors() -> None:
    for names in (["all", "msle"], ["msle", "all"]):
        strict = {metric.name for metric in metrics_named(names, Options(), weighted=False) if metric.strict}
        assert strict == {"msle"}


@pytest.mark.parametrize("name", ["medae", "pearson", "mase", "psnr"])
def test_metrics_without_a_weighted_form_refuse_weights(name: str) -> None:
    with pytest.raises(UsageError, match=f"metric '{name}' has no weighted form"):
        metrics_named([name], Options(peak=1.0), weighted=True)


@pytest.mark.parametrize(("name", "options"), [("psnr", {}), ("psnr", {"peak": 0.0}), ("psnr", {"peak": math.inf}),
                                               ("mase", {"season": 0})])  # fmt: skip
def test_missing_and_impossible_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"peak|season"):
        metric_named(name, Options(**options))


@pytest.mark.parametrize("name", [*METRICS, "lp:3", "mase", "psnr"])
def test_metrics_can_be_pickled(name: str) -> None:
    metric = metric_named(name, Options(peak=2.0, season=2))
    again = pickle.loads(pickle.dumps(metric))
    prediction, target = np.array([1.0, 2.5, 3.0]), np.array([1.5, 2.0, 4.0])
    summary = summary_for(metric, prediction, target)
    assert again.value(pickle.loads(pickle.dumps(summary))) == metric.value(summary)
