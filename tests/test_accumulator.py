"""A score that grows with the data: exact, whatever the batches, their order, and the processes they come from.

What is expected is the score of all rows at once.
"""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msecli
from msecli import Accumulator, DataError, UsageError
from msecli.core.reduction import REDUCTIONS
from msecli.results.score import Result

NAN, INF = math.nan, math.inf
METRIC_NAMES = ["all", "lp:3"]
REDUCED = [name for name, reduction in REDUCTIONS.items() if not reduction.keeps_elements]
SIGNED = st.floats(-1e100, 1e100) | st.sampled_from([NAN, -1.0])
ROWS = st.lists(st.tuples(SIGNED, SIGNED, st.floats(0.125, 8.0)), min_size=1, max_size=40)
POLICIES: dict[str, Any] = {"nan_target": "omit", "nan_pred": "propagate", "ignore_index": -1.0}


def numbers(result: Result) -> tuple[Any, ...]:
    """Return what a score says, bit by bit; nan is equal to nan."""
    return repr(result.numbers()), result.status, repr(result.denominator), result.elements, result.rows.used


def batches_of(rows: list[tuple[float, float, float]], cuts: list[int]) -> list[list[tuple[float, float, float]]]:
    borders = sorted({0, len(rows), *(cut % (len(rows) + 1) for cut in cuts)})
    return [rows[start:stop] for start, stop in pairwise(borders)]


def updated(total: Accumulator, rows: list[tuple[float, float, float]], *, weighted: bool) -> Accumulator:
    prediction, target, weight = zip(*rows, strict=True)
    total.update(prediction, target, weight if weighted else None)
    return total


def whole(rows: list[tuple[float, float, float]], *, weighted: bool, **options: Any) -> Result:
    prediction, target, weight = (list(column) for column in zip(*rows, strict=True))
    return msecli.score(prediction, target, weight_file=weight if weighted else None, **options)


@settings(deadline=None)
@given(ROWS, st.lists(st.integers(0, 40), max_size=5), st.randoms(), st.sampled_from(REDUCED), st.booleans())
def test_batches_in_any_cut_and_order_have_the_score_of_all_rows(
    rows: list[tuple[float, float, float]], cuts: list[int], random: Any, reduction: str, weighted: bool
) -> None:
    options: dict[str, Any] = {"reduction": reduction, "metrics": METRIC_NAMES, **POLICIES}
    try:
        expected = numbers(whole(rows, weighted=weighted, **options))
    except DataError:
        expected = ()  # nothing is left to score
    batches = batches_of(rows, cuts)
    random.shuffle(batches)
    one = Accumulator(**options)
    several = [updated(Accumulator(**options), batch, weighted=weighted) for batch in batches]
    for batch in batches:
        updated(one, batch, weighted=weighted)
    random.shuffle(several)
    merged = Accumulator(**options)
    for other in several:
        merged.merge(pickle.loads(pickle.dumps(other)))
    for total in (one, merged):
        if expected:
            assert numbers(total.result()) == expected
        else:
            with pytest.raises(DataError, match="nothing left"):
                total.result()


def test_a_mean_is_the_fraction_rounded_once() -> None:
    random = np.random.default_rng(0)
    prediction, target = (np.ldexp(random.normal(size=90), random.integers(-60, 60, 90)) for _ in range(2))
    total = Accumulator()
    for start in range(0, 90, 7):
        total.update(prediction[start : start + 7], target[start : start + 7])
    residuals = (prediction - target).tolist()
    assert total.result().loss == float(sum(Fraction(r * r) for r in residuals) / 90)


def test_a_result_may_be_asked_for_again_and_again() -> None:
    total = Accumulator(metrics="rmse")
    total.update([1.0, 4.0], [1.0, 2.0])
    assert (total.result().loss, total.result().loss) == (2.0, 2.0)
    total.update([3.0], [0.0])
    assert total.result().numbers() == {"loss": 13 / 3, "rmse": pytest.approx(math.sqrt(13 / 3), rel=2e-16)}


def test_the_result_says_how_it_came_about() -> None:
    total = Accumulator(metrics="mae", reduction="batchmean", ignore_index=[-1, 7], nan_target="omit")
    total.update([[1.0, 2.0], [3.0, 4.0]], [[-1.0, 0.0], [NAN, 2.0]], weight=[1.0, 0.5])
    total.update([[1.0, 1.0]], [[7.0, 7.0]], weight=[9.0])
    result = total.result()
    # 1 * 4 + 0.5 * 4 over two used rows.
    assert (result.loss, result.reduction, result.denominator, result.denominator_name) == (3.0, "batchmean", 2, "rows")
    assert result.elements._asdict() == {
        "total": 6, "used": 2, "ignored": 3, "nan_target": 1, "nan_prediction": 0, "infinite": 0,
    }  # fmt: skip
    assert (result.rows.prediction, result.rows.matched, result.rows.used) == (3, 3, 2)
    assert result.signature == (
        "mse|columns:none|reduction:batchmean|weights:array|nan:omit|nan_pred:raise|pairing:position|ignore:-1.0,7.0|used:2/6|"
        f"acc:exact|msecli:{msecli.__version__}"
    )
    assert (result.inputs, result.settings["metrics"], result.to_dict()["loss"]) == ((), ["mae"], 3.0)


def test_weights_may_be_those_of_rows_or_of_elements() -> None:
    prediction, target = [[1.0, 2.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]
    rows, elements = Accumulator(), Accumulator()
    rows.update(prediction, target, weight=[2.0, 0.5])
    elements.update(prediction, target, weight=[[2.0, 2.0], [0.5, 0.5]])
    # The weighted squares 2, 8, 4.5 and 0 over the weights 2, 2, 0.5 and 0.5.
    assert rows.result().loss == elements.result().loss == 2.9


@pytest.mark.parametrize(
    ("policy", "prediction", "target", "expected"),
    [
        ({"nan_pred": "omit"}, [NAN, 2.0], [0.0, 0.0], 4.0),
        ({"nan_target": "omit"}, [1.0, 2.0], [NAN, 0.0], 4.0),
        ({"nan_pred": "propagate"}, [NAN, 2.0], [0.0, 0.0], NAN),
        ({"nan_target": "propagate"}, [1.0, 2.0], [NAN, 0.0], NAN),
        ({"ignore_index": NAN}, [1.0, 2.0], [NAN, 0.0], 4.0),
        ({}, [INF, 2.0], [0.0, 0.0], INF),
    ],
)
def test_missing_values_follow_the_policies(
    policy: dict[str, Any], prediction: list[float], target: list[float], expected: float
) -> None:
    total = Accumulator(**policy)
    total.update(prediction, target)
    assert repr(total.result().loss) == repr(expected)


def test_what_may_not_be_missing_is_told_with_its_row_in_the_end() -> None:
    total = Accumulator()
    total.update([1.0, 2.0], [1.0, 2.0])
    total.update([1.0, NAN], [NAN, 2.0])
    with pytest.raises(DataError) as raised:
        total.result()
    lines = str(raised.value).splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "prediction: 1 of 4 values missing, the first in row 4",
        "target: 1 of 4 values missing, the first in row 3",
    ]


def test_impossible_weights_are_told_in_the_end() -> None:
    total = Accumulator()
    total.update([1.0], [2.0], weight=[1.0])
    total.update([1.0], [2.0], weight=[-1.0])
    with pytest.raises(DataError, match="weight: the weight in row 2 is negative, infinite or missing"):
        total.result()
    zero = Accumulator()
    zero.update([1.0], [2.0], weight=[0.0])
    with pytest.raises(DataError, match="all weights are 0"):
        zero.result()


def test_nothing_has_no_score() -> None:
    for total in (Accumulator(), merged_from_nothing()):
        with pytest.raises(DataError, match="nothing left to score"):
            total.result()


def merged_from_nothing() -> Accumulator:
    total = Accumulator()
    total.merge(Accumulator())
    return total


def test_a_batch_that_is_refused_is_not_taken_in() -> None:
    total = Accumulator()
    total.update([1.0, 4.0], [1.0, 2.0])
    for prediction, target, weight, kind, message in (
        ([1.0], [1.0, 2.0], None, DataError, "shapes differ"),
        ([[1.0]], [[1.0]], None, DataError, r"rows of shape \(1,\) cannot follow rows of shape \(\)"),
        (["a"], [1.0], None, DataError, "text"),
        ([1.0], [1.0], [1.0], UsageError, "either all batches have weights, or none has"),
        ([1.0], [1.0], [1.0, 2.0], DataError, "weights have shape"),
    ):
        with pytest.raises(kind, match=message):
            total.update(prediction, target, weight)
        assert (total.result().loss, total.result().rows.used) == (2.0, 2)


def test_a_first_batch_that_is_refused_decides_nothing() -> None:
    total = Accumulator()
    with pytest.raises(DataError):
        total.update([[1.0]], [1.0, 2.0])
    total.update([3.0], [1.0])
    assert total.result().loss == 4.0


@pytest.mark.parametrize(
    "other", [{"metrics": "mae"}, {"reduction": "sum"}, {"nan_pred": "omit"}, {"ignore_index": 1.0}], ids=" ".join
)
def test_what_accumulates_something_else_cannot_be_merged(other: dict[str, Any]) -> None:
    total = Accumulator()
    with pytest.raises(UsageError, match="do not compute the same thing"):
        total.merge(Accumulator(**other))


def test_other_rows_or_weights_cannot_be_merged() -> None:
    total, wide, weighted = Accumulator(), Accumulator(), Accumulator()
    total.update([1.0], [0.0])
    wide.update([[1.0, 2.0]], [[0.0, 0.0]])
    weighted.update([1.0], [0.0], [1.0])
    with pytest.raises(DataError, match="cannot follow"):
        total.merge(wide)
    with pytest.raises(UsageError, match="weights"):
        total.merge(weighted)
    assert total.result().loss == 1.0


def test_merging_leaves_the_other_as_it_was() -> None:
    total, other = Accumulator(metrics="mae"), Accumulator(metrics="mae")
    other.update([2.0], [0.0])
    total.merge(other)
    total.update([4.0], [0.0])
    assert (other.result().loss, total.result().loss) == (4.0, 10.0)


def test_later_changes_of_the_arrays_do_not_change_the_score() -> None:
    prediction = np.array([2.0])
    total = Accumulator()
    total.update(prediction, [0.0])
    prediction[0] = 100.0
    assert total.result().loss == 4.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "none"}, "reduction 'none' keeps every element, so there is nothing to accumulate"),
        ({"reduction": "avg"}, "unknown reduction 'avg'"),
        ({"metrics": "msa"}, "unknown metric 'msa'"),
        ({"nan_target": "drop"}, "nan_target: 'drop' is not one of raise, omit, propagate"),
        ({"ignore_index": "x"}, "ignore_index: 'x' is text, not a number"),
    ],
)
def test_impossible_settings_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        Accumulator(**options)
