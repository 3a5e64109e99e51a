"""The metrics. Expected values come from scikit-learn, NumPy, and `fractions.Fraction` where a value is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from msecli.core.chunk import Chunk
from msecli.core.metrics import METRICS, metric_named, needed_terms
from msecli.core.state import LossState, Rules, Summary
from msecli.errors import UsageError

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
}
NORMS = {f"lp:{order}": norm(float(order)) for order in ("1", "1.5", "2", "3", "7.25")}


def summary_for(name: str, prediction: Array, target: Array, weight: Array | None = None) -> Summary:
    metric = metric_named(name)
    columns = math.prod(prediction.shape[1:]) if metric.by_column else 1
    rules = Rules(
        needed_terms([metric], weighted=weight is not None), metric.largest, columns, "propagate", "propagate"
    )
    return LossState.of(Chunk(prediction, target, weight=weight), rules).summary()


def score(name: str, prediction: object, target: object, weight: object = None) -> float:
    weights = None if weight is None else np.array(weight, dtype=np.float64)
    p, t = np.array(prediction, dtype=np.float64), np.array(target, dtype=np.float64)
    return metric_named(name).value(summary_for(name, p, t, weights))


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
    rng = np.random.default_rng(8)
    target = rng.normal(5.0, 3.0, shape)
    prediction = target + rng.normal(0.1, 1.0, shape)
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
    assert {name: score(name, prediction, target) for name in METRICS} == expected


def test_hand_computed_weighted_values() -> None:
    prediction, target, weight = [1.0, -1.0, 5.0], [0.0, 1.0, 1.0], [2.0, 1.0, 1.0]
    expected = {
        "mse": 5.5, "rmse": 5.5**0.5, "mae": 2.0, "max_error": 4.0, "bias": 1.0, "r2": -21.0, "sse": 22.0,
        "l1": 7.0, "l2": 21.0**0.5, "linf": 4.0,
    }  # fmt: skip
    assert {name: score(name, prediction, target, weight) for name in METRICS} == expected


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
    degrees = dict.fromkeys(METRICS, 1) | {"mse": 2, "sse": 2, "r2": 0}
    for name, degree in degrees.items():
        assert score(name, factor * prediction, factor * target) == factor**degree * score(name, prediction, target)


def test_the_terms_needed_are_listed_once_without_plain_where_there_are_no_weights() -> None:
    everything = METRICS.values()
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
    with pytest.raises(UsageError, match=r"unknown metric 'mape'; choose from mse, rmse, .*linf, lp:P"):
        metric_named("mape")


@pytest.mark.parametrize("name", ["lp:0.5", "lp:x", "lp:inf", "lp:nan", "lp:-1", "lp:"])
def test_a_norm_of_an_impossible_order_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="P in lp:P is a number of at least 1"):
        metric_named(name)


def test_norms_say_their_order() -> None:
    assert metric_named("lp:2.50").meaning == "residual norm of order 2.5, unweighted"
    assert metric_named("lp:1").name == "lp:1"
