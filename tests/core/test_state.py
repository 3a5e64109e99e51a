"""The state of a loss.

Expected values are `fractions.Fraction` sums of the float64 per-element losses, divided with one rounding, and
counts by hand.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.arrays import IntArray
from msecli.core.chunk import Chunk
from msecli.core.exact import BLOCK, ONE, Total
from msecli.core.metrics import METRICS, metric_named, needed_terms
from msecli.core.reduction import REDUCTIONS, reduction_named
from msecli.core.state import LossState, Policy, Rules, Summary
from msecli.core.terms import EXTREMES
from msecli.core.verdict import Where, check_usable
from msecli.errors import DataError, UsageError

NAN = math.nan
# Logarithms of the chunks' negative numbers are nan, which equals nothing.
EVERYTHING = [
    *(metric for metric in METRICS.values() if not metric.strict),
    metric_named("lp:3"),
    metric_named("lp:1.5"),
]
POLICIES: tuple[Policy, ...] = ("raise", "omit", "propagate")


def rules(*, weighted: bool, columns: int = 1, policy: Policy = "omit", ignore: tuple[float, ...] = ()) -> Rules:
    return Rules(needed_terms(EVERYTHING, weighted=weighted), tuple(EXTREMES), columns, policy, policy, ignore)


def random_chunk(seed: int, shape: tuple[int, ...], *, weights: str = "no", holes: bool = False) -> Chunk:
    """Return rows of very different magnitudes, with weights "no", by "row" or by "element", and missing elements."""
    rng = np.random.default_rng(seed)

    def values() -> Any:
        return np.ldexp(rng.standard_normal(shape), rng.integers(-40, 40, shape))

    prediction, target = values(), values()
    weight = {"no": None, "row": rng.random(shape[:1]), "element": rng.random(shape)}[weights]
    if holes:
        prediction[rng.random(shape) < 0.1] = NAN
        target[rng.random(shape) < 0.1] = NAN
        target[rng.random(shape) < 0.1] = -100.0
    return Chunk(prediction, target, weight=weight)


CHUNKS = st.builds(
    random_chunk,
    st.integers(0, 2**32),
    st.sampled_from([(1,), (57,), (300,), (40, 1), (40, 3), (11, 2, 3)]),
    weights=st.sampled_from(["no", "row", "element"]),
    holes=st.booleans(),
)


def state_of_parts(chunk: Chunk, cuts: list[int], rules: Rules, random: Random) -> LossState:
    borders = [0, *sorted(cut % (chunk.rows + 1) for cut in cuts), chunk.rows]
    parts = [LossState.of(chunk.slice(start, stop), rules) for start, stop in pairwise(borders)]
    while len(parts) > 1:
        part = parts.pop(random.randrange(len(parts)))
        parts[random.randrange(len(parts))].merge(part)
    return parts[0]


def mean(summary: Summary) -> float:
    return summary.sums["squared_error"].over(summary.divisor)


def fraction_mean(losses: list[float], weights: list[float] | None = None) -> float:
    numerator = sum(map(Fraction, losses), Fraction(0))
    return float(numerator / (len(losses) if weights is None else sum(map(Fraction, weights), Fraction(0))))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e150, 1e150), st.floats(-1e150, 1e150)), min_size=1))
def test_the_mean_is_the_rounded_quotient_of_the_fractions(pairs: list[tuple[float, float]]) -> None:
    prediction, target = (np.array(side) for side in zip(*pairs, strict=True))
    summary = LossState.of(Chunk(prediction, target), Rules()).summary()
    assert mean(summary) == fraction_mean([(p - t) * (p - t) for p, t in pairs])


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-1e100, 1e100)] * 2, st.floats(1e-50, 1e50)), min_size=1))
def test_the_weighted_mean_is_the_rounded_quotient_of_the_fractions(rows: list[tuple[float, float, float]]) -> None:
    prediction, target, weight = (np.array(side) for side in zip(*rows, strict=True))
    rule = Rules(("squared_error", "weight"))
    summary = LossState.of(Chunk(prediction, target, weight=weight), rule).summary()
    assert mean(summary) == fraction_mean([((p - t) * (p - t)) * w for p, t, w in rows], weight.tolist())


@settings(deadline=None, max_examples=150)
@given(
    CHUNKS,
    st.booleans(),
    st.sampled_from([(), (-100.0,)]),
    st.lists(st.integers(0, 300), max_size=8),
    st.randoms(use_true_random=False),
)
def test_chunks_in_any_split_and_order_equal_the_whole(
    chunk: Chunk, by_column: bool, ignore: tuple[float, ...], cuts: list[int], random: Random
) -> None:
    columns = math.prod(chunk.prediction.shape[1:]) if by_column else 1
    rule = rules(weighted=chunk.weight is not None, columns=columns, ignore=ignore)
    whole, parts = LossState.of(chunk, rule), state_of_parts(chunk, cuts, rule, random)
    assert parts.summary() == whole.summary()
    assert parts.first_row == whole.first_row


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 200_000), max_size=5), st.randoms(use_true_random=False))
def test_chunks_of_many_blocks_equal_the_whole(seed: int, cuts: list[int], random: Random) -> None:
    chunk = random_chunk(seed, (200_000,), weights="row", holes=True)
    rule = rules(weighted=True, ignore=(-100.0,))
    assert state_of_parts(chunk, cuts, rule, random).summary() == LossState.of(chunk, rule).summary()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_the_order_of_the_rows_does_not_matter(seed: int, holes: bool) -> None:
    chunk = random_chunk(seed, (200, 2), weights="row", holes=holes)
    assert chunk.weight is not None
    order = np.random.default_rng(seed).permutation(200)
    shuffled = Chunk(chunk.prediction[order], chunk.target[order], weight=chunk.weight[order])
    rule = rules(weighted=True, columns=2)
    assert LossState.of(shuffled, rule).summary() == LossState.of(chunk, rule).summary()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["no", "element"]))
def test_masked_elements_count_as_if_they_were_deleted(seed: int, weights: str) -> None:
    chunk = random_chunk(seed, (100,), weights=weights, holes=True)
    kept = np.isfinite(chunk.prediction) & np.isfinite(chunk.target) & (chunk.target != -100.0)
    weight = None if chunk.weight is None else chunk.weight[kept]
    deleted = Chunk(chunk.prediction[kept], chunk.target[kept], weight=weight)
    masked = LossState.of(chunk, rules(weighted=weights != "no", ignore=(-100.0,))).summary()
    expected = LossState.of(deleted, rules(weighted=weights != "no")).summary()
    assert (masked.sums, masked.largest, masked.used) == (expected.sums, expected.largest, expected.used)


@given(
    st.lists(st.tuples(st.integers(-999, 999), st.integers(-999, 999), st.integers(0, 5)), min_size=1).filter(
        lambda rows: any(w for _, _, w in rows)
    )
)
def test_whole_weights_are_repeats(rows: list[tuple[int, int, int]]) -> None:
    prediction, target, weight = (np.array(side, dtype=np.float64) for side in zip(*rows, strict=True))
    times = weight.astype(np.int64)
    weighted = LossState.of(Chunk(prediction, target, weight=weight), Rules(("squared_error", "weight"))).summary()
    repeated = LossState.of(Chunk(prediction.repeat(times), target.repeat(times)), Rules()).summary()
    assert weighted.sums["squared_error"] == repeated.sums["squared_error"]
    assert weighted.divisor == repeated.divisor
    assert mean(weighted) == mean(repeated)


def test_weights_far_apart_are_not_rounded_together() -> None:
    chunk = Chunk(np.ones(4), np.zeros(4), weight=np.array([2.0**53, 1.0, 1.0, 0.0]))
    summary = LossState.of(chunk, Rules(("squared_error", "weight"))).summary()
    assert summary.sums["squared_error"].value() == 9007199254740994.0
    assert summary.divisor == 9007199254740994 * ONE
    assert mean(summary) == 1.0


def test_every_element_is_counted_for_its_reason() -> None:
    prediction = np.array([[1.0, NAN, 3.0], [NAN, NAN, math.inf], [NAN, 2.0, 0.0], [NAN, 0.0, NAN]])
    target = np.array([[1.0, 2.0, NAN], [NAN, -1.0, 1.0], [-1.0, -1.0, 5.0], [NAN, -1.0, 7.0]])
    state = LossState.of(Chunk(prediction, target, first_row=10), rules(weighted=False, columns=3, ignore=(-1.0,)))
    summary = state.summary()
    assert summary.counts == {
        "total": 12, "used": 3, "ignored": 4, "nan_target": 3, "nan_prediction": 4, "infinite": 1
    }  # fmt: skip
    assert [column.counts["used"] for column in summary.columns] == [1, 0, 2]
    assert [column.counts["ignored"] for column in summary.columns] == [1, 3, 0]
    assert summary.rows_used == 3
    assert state.first_row == {"nan_prediction": 10, "nan_target": 10, "infinite_prediction": 11}


def test_an_infinity_counts_only_where_its_element_is_used() -> None:
    chunk = Chunk(np.array([math.inf, math.inf, 1.0, -math.inf]), np.array([NAN, -1.0, math.inf, 2.0]))
    assert LossState.of(chunk, rules(weighted=False, ignore=(-1.0,))).summary().counts["infinite"] == 2


def test_an_ignored_nan_is_not_missing() -> None:
    summary = LossState.of(Chunk(np.array([1.0, NAN]), np.array([NAN, 2.0])), Rules(ignore=(NAN,))).summary()
    assert summary.counts["ignored"] == 1
    assert (summary.counts["nan_target"], summary.counts["nan_prediction"]) == (0, 1)


def test_several_ignored_values_are_all_left_out() -> None:
    chunk = Chunk(np.array([0.0, 0.0, 0.0, 2.0]), np.array([-100.0, 255.0, 0.0, 1.0]))
    summary = LossState.of(chunk, Rules(ignore=(-100.0, 255.0, -0.0))).summary()
    assert (summary.used, summary.counts["ignored"]) == (1, 3)
    assert mean(summary) == 1.0


@pytest.mark.parametrize("policy", POLICIES)
def test_nan_in_the_sum_comes_only_from_propagation(policy: Policy) -> None:
    chunk = Chunk(np.array([1.0, 2.0]), np.array([0.0, NAN]))
    total = LossState.of(chunk, Rules(nan_target=policy)).summary().sums["squared_error"]
    assert math.isnan(total.value()) == (policy == "propagate")
    assert total.units == ONE


def test_the_largest_residual_is_kept_for_each_column() -> None:
    chunk = Chunk(np.array([[1.0, -7.0], [2.0, 5.0], [-4.0, NAN]]), np.zeros((3, 2)))
    summary = LossState.of(chunk, rules(weighted=False, columns=2)).summary()
    assert (summary.largest["residual"], [column.largest["residual"] for column in summary.columns]) == (
        7.0,
        [4.0, 7.0],
    )


@settings(deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_each_column_has_the_sums_of_its_own_elements(seed: int, holes: bool) -> None:
    chunk = random_chunk(seed, (50, 3), weights="row", holes=holes)
    summary = LossState.of(chunk, rules(weighted=True, columns=3)).summary()
    for column, cell in enumerate(summary.columns):
        alone = Chunk(chunk.prediction[:, column], chunk.target[:, column], weight=chunk.weight)
        expected = LossState.of(alone, rules(weighted=True)).summary()
        assert (cell.sums, cell.counts, cell.largest) == (expected.sums, expected.counts, expected.largest)


def test_wide_rows_are_cut_into_pieces_without_loss() -> None:
    chunk = random_chunk(1, (3, BLOCK + 5), weights="row")
    losses = chunk.prediction - chunk.target
    assert chunk.weight is not None
    losses = (losses * losses) * chunk.weight[:, np.newaxis]
    summary = LossState.of(chunk, Rules(("squared_error", "weight"))).summary()
    assert summary.sums["squared_error"].value() == math.fsum(losses.ravel())


def test_the_arrays_of_a_chunk_are_only_read() -> None:
    chunk = random_chunk(2, (70_000, 2), weights="element", holes=True)
    assert chunk.weight is not None
    for array in (chunk.prediction, chunk.target, chunk.weight):
        array.setflags(write=False)
    summary = LossState.of(chunk, rules(weighted=True, columns=2)).summary()
    assert summary.counts["total"] == 140_000


def test_memory_layout_does_not_matter() -> None:
    chunk = random_chunk(3, (500, 6), weights="element", holes=True)
    assert chunk.weight is not None
    other = Chunk(np.asfortranarray(chunk.prediction), chunk.target.T.copy().T, weight=np.asfortranarray(chunk.weight))
    rule = rules(weighted=True, columns=6)
    assert LossState.of(other, rule).summary() == LossState.of(chunk, rule).summary()


def test_an_empty_state_changes_nothing_it_is_merged_with() -> None:
    chunk, rule = random_chunk(4, (20, 2), holes=True), rules(weighted=False, columns=2)
    state = LossState(rule)
    state.merge(LossState.of(chunk, rule))
    state.merge(LossState.of(chunk.slice(0, 0), rule))
    assert state.summary() == LossState.of(chunk, rule).summary()


@pytest.mark.parametrize("bad", [-1.0, math.inf, NAN])
def test_the_first_bad_weight_is_remembered_by_its_row(bad: float) -> None:
    weight = np.ones(100_000)
    weight[[70_000, 99_999]] = bad
    chunk = Chunk(np.ones(100_000), np.zeros(100_000), first_row=5, weight=weight)
    assert LossState.of(chunk, Rules(("squared_error", "weight"))).first_row == {"weight": 70_005}


def test_weights_of_unused_elements_do_not_matter() -> None:
    chunk = Chunk(np.array([1.0, 2.0, 3.0]), np.array([NAN, -1.0, 1.0]), weight=np.array([NAN, -5.0, 2.0]))
    rule = Rules(("squared_error", "weight"), nan_target="omit", ignore=(-1.0,))
    state = LossState.of(chunk, rule)
    assert state.first_row.keys() == {"nan_target"}
    assert state.summary().sums["weight"] == Total(2 * ONE)


def test_the_reductions_divide_by_what_they_say() -> None:
    chunk = Chunk(np.array([[1.0, 2.0], [NAN, NAN], [3.0, NAN]]), np.zeros((3, 2)))
    summary = LossState.of(chunk, rules(weighted=False)).summary()
    divisors = {name: reduction_named(name).divisor(summary) for name in REDUCTIONS}
    assert divisors == {"mean": 3 * ONE, "sum": ONE, "batchmean": 2 * ONE, "none": ONE}


def test_an_unknown_reduction_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown reduction 'avg'; choose from mean, sum, batchmean, none"):
        reduction_named("avg")


def test_all_problems_are_reported_together_with_their_first_rows() -> None:
    weight = np.array([1.0, 1.0, 1.0, -1.0])
    chunk = Chunk(np.array([1.0, NAN, NAN, 1.0]), np.array([1.0, 1.0, NAN, 1.0]), weight=weight)
    state = LossState.of(chunk, Rules(("squared_error", "weight")))
    with pytest.raises(DataError) as caught:
        check_usable(state, state.summary(), Where("a", "b", "c"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("a: 2 of 4 values missing, the first in row 2")
    assert lines[1].startswith("b: 1 of 4 values missing, the first in row 3")
    assert lines[2].startswith("c: the weight in row 4 is negative, infinite or missing")


def test_nothing_left_to_score_is_an_error_that_says_why() -> None:
    chunk = Chunk(np.array([1.0, 2.0]), np.array([NAN, -1.0]))
    state = LossState.of(chunk, Rules(nan_target="omit", ignore=(-1.0,)))
    with pytest.raises(
        DataError, match=r"nothing left to score: of 2 elements, 1 element is ignored and 1 target is missing"
    ):
        check_usable(state, state.summary(), Where())


def test_policies_of_the_two_sides_are_independent() -> None:
    chunk = Chunk(np.array([1.0, NAN, 3.0]), np.array([0.0, 0.0, NAN]))
    omit_target = LossState.of(chunk, Rules(nan_target="omit"))
    with pytest.raises(DataError, match="prediction: 1 of 3"):
        check_usable(omit_target, omit_target.summary(), Where())
    both = LossState.of(chunk, Rules(nan_target="omit", nan_prediction="propagate")).summary()
    assert both.used == 2
    assert math.isnan(mean(both))


def in_groups(chunk: Chunk, seed: int, groups: int) -> tuple[Chunk, IntArray]:
    codes = np.random.default_rng(seed).integers(0, groups, chunk.rows)
    return Chunk(chunk.prediction, chunk.target, chunk.first_row, chunk.weight, codes, groups), codes


@settings(deadline=None)
@given(CHUNKS, st.integers(0, 2**32), st.booleans())
def test_each_group_has_the_summary_of_its_own_rows(chunk: Chunk, seed: int, by_column: bool) -> None:
    grouped, codes = in_groups(chunk, seed, 4)
    columns = math.prod(chunk.prediction.shape[1:]) if by_column else 1
    rule = rules(weighted=chunk.weight is not None, columns=columns)
    summaries = LossState.of(grouped, rule).summaries()
    for group, summary in enumerate(summaries):
        rows = codes == group
        weight = None if chunk.weight is None else chunk.weight[rows]
        alone = LossState.of(Chunk(chunk.prediction[rows], chunk.target[rows], weight=weight), rule).summary()
        assert summary == alone or not rows.any()
    assert sum(summary.rows for summary in summaries) == chunk.rows


@settings(deadline=None)
@given(CHUNKS, st.integers(0, 2**32), st.booleans())
def test_all_groups_together_are_the_whole(chunk: Chunk, seed: int, by_column: bool) -> None:
    columns = math.prod(chunk.prediction.shape[1:]) if by_column else 1
    rule = rules(weighted=chunk.weight is not None, columns=columns)
    state, whole = LossState.of(in_groups(chunk, seed, 5)[0], rule), LossState.of(chunk, rule)
    assert state.summary() == state.pooled(range(5)) == whole.summary()
    assert state.first_row == whole.first_row


@settings(deadline=None)
@given(
    CHUNKS, st.integers(0, 2**32), st.lists(st.integers(0, 300), max_size=8), st.randoms(use_true_random=False)
)  # fmt: skip
def test_groups_numbered_as_they_are_met_merge_to_those_of_the_whole(
    chunk: Chunk, seed: int, cuts: list[int], random: Random
) -> None:
    grouped, codes = in_groups(chunk, seed, 6)
    rule = rules(weighted=chunk.weight is not None)
    borders = [0, *sorted(cut % (chunk.rows + 1) for cut in cuts), chunk.rows]
    parts = list(pairwise(borders))
    random.shuffle(parts)
    merged, number = LossState(rule, groups=0), dict[int, int]()
    for start, stop in parts:
        labels, local = np.unique(codes[start:stop], return_inverse=True)
        here = np.array([number.setdefault(label, len(number)) for label in labels.tolist()], dtype=np.int64)
        rows = grouped.slice(start, stop)
        part = Chunk(rows.prediction, rows.target, rows.first_row, rows.weight, local, len(labels))
        merged.merge(LossState.of(part, rule), here)
    expected, found = LossState.of(grouped, rule).summaries(), merged.summaries()
    assert [found[number[label]] for label in sorted(number)] == [expected[label] for label in sorted(number)]


def test_a_propagated_nan_is_the_largest_residual_in_whichever_column_it_is() -> None:
    for prediction in ([[1.0, NAN], [2.0, 3.0]], [[NAN, 1.0], [2.0, 3.0]]):
        chunk = Chunk(np.array(prediction), np.zeros((2, 2)))
        assert math.isnan(
            LossState.of(chunk, rules(weighted=False, columns=2, policy="propagate")).summary().largest["residual"]
        )
        assert math.isnan(LossState.of(chunk, rules(weighted=False, policy="propagate")).summary().largest["residual"])
