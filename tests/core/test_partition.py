"""States of groups and batches.

Expected sums are those of a chunk of the group's rows alone, or `fractions.Fraction` sums; permutations are NumPy's.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.core.chunk import Chunk
from msecli.core.exact import Total
from msecli.core.metrics import METRICS, needed_terms
from msecli.core.partition import Batches, Partition
from msecli.core.state import LossState, Rules, Summary
from msecli.core.terms import EXTREMES

RULES = Rules(
    needed_terms((metric for metric in METRICS.values() if not metric.strict), weighted=True),
    tuple(EXTREMES),
    1,
    "omit",
    "omit",
    (-100.0,),
)


def random_chunk(seed: int, rows: int, *, width: int = 0) -> Chunk:
    """Return weighted rows with holes, of very different magnitudes."""
    rng = np.random.default_rng(seed)
    shape = (rows, width) if width else (rows,)
    prediction, target = (np.ldexp(rng.standard_normal(shape), rng.integers(-40, 40, shape)) for _ in range(2))
    target[rng.random(shape) < 0.1] = -100.0
    prediction[rng.random(shape) < 0.1] = np.nan
    return Chunk(prediction, target, weight=rng.random(rows))


def rows_of(chunk: Chunk, rows: Any) -> Chunk:
    """Return these rows alone."""
    assert chunk.weight is not None
    return Chunk(chunk.prediction[rows], chunk.target[rows], weight=chunk.weight[rows])


def partition_of(chunk: Chunk, labels: list[Hashable], cuts: list[int], rules: Rules = RULES) -> Partition:
    """Return the groups of a chunk that comes in parts, each of which numbers its labels in its own way."""
    partition = Partition(rules, weighted=True)
    borders = [0, *sorted(cut % (chunk.rows + 1) for cut in cuts), chunk.rows]
    for start, stop in pairwise(borders):
        keys = list(dict.fromkeys(reversed(labels[start:stop])))
        group = np.array([keys.index(label) for label in labels[start:stop]], dtype=np.int64)
        partition.merge(Partition.of(chunk.slice(start, stop), group, keys, rules=rules))
    return partition


LABELLED = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=6)


@settings(deadline=None)
@given(st.integers(0, 2**32), LABELLED, CUTS)
def test_a_group_is_what_its_rows_alone_are(seed: int, labels: list[Hashable], cuts: list[int]) -> None:
    chunk = random_chunk(seed, len(labels))
    summaries = partition_of(chunk, labels, cuts).summaries()
    assert set(summaries) == set(labels)
    for label, summary in summaries.items():
        rows = np.array([other == label for other in labels])
        assert summary == LossState.of(rows_of(chunk, rows), RULES).summary()


@settings(deadline=None)
@given(st.integers(0, 2**32), LABELLED, CUTS, CUTS)
def test_groups_do_not_depend_on_how_the_rows_were_cut(
    seed: int, labels: list[Hashable], cuts: list[int], others: list[int]
) -> None:
    chunk = random_chunk(seed, len(labels))
    assert partition_of(chunk, labels, cuts).summaries() == partition_of(chunk, labels, others).summaries()


@settings(deadline=None)
@given(st.integers(0, 2**32), LABELLED, CUTS)
def test_groups_add_up_to_the_whole(seed: int, labels: list[Hashable], cuts: list[int]) -> None:
    chunk = random_chunk(seed, len(labels))
    partition, whole = partition_of(chunk, labels, cuts), LossState.of(chunk, RULES).summary()
    assert partition.state.summary() == whole
    groups = list(partition.summaries().values())
    for term in RULES.terms:
        assert sum((group.sums[term] for group in groups), Total(0)) == whole.sums[term]
    assert sum(group.rows_used for group in groups) == whole.rows_used
    for name in EXTREMES:
        assert max(group.largest[name] for group in groups) == whole.largest[name]


@settings(deadline=None)
@given(st.integers(0, 2**32), LABELLED, CUTS)
def test_columns_of_groups_are_those_of_their_rows(seed: int, labels: list[Hashable], cuts: list[int]) -> None:
    chunk, rules = random_chunk(seed, len(labels), width=3), RULES._replace(columns=3)
    for label, summary in partition_of(chunk, labels, cuts, rules).summaries().items():
        rows = np.array([other == label for other in labels])
        expected = LossState.of(rows_of(chunk, rows), rules).summary()
        assert (summary, summary.columns) == (expected, expected.columns)


def test_the_means_of_groups_are_the_rounded_quotients_of_fractions() -> None:
    chunk, labels = random_chunk(3, 200), [f"g{row % 7}" for row in range(200)]
    rules = RULES._replace(nan_prediction="propagate")
    chunk = chunk._replace(prediction=np.nan_to_num(chunk.prediction))
    assert chunk.weight is not None
    for label, summary in partition_of(chunk, list(labels), [50, 51, 150], rules).summaries().items():
        rows = [row for row in range(200) if labels[row] == label and chunk.target[row] != -100]
        weights = chunk.weight[rows].tolist()
        residuals = (chunk.prediction[rows] - chunk.target[rows]).tolist()
        losses = [(r * r) * w for r, w in zip(residuals, weights, strict=True)]
        expected = sum(map(Fraction, losses)) / sum(map(Fraction, weights))
        assert summary.sums["squared_error"].over(summary.divisor) == float(expected)


def test_keys_are_numbered_as_they_come() -> None:
    partition = partition_of(random_chunk(0, 4), ["b", "a", "b", None], [2])
    assert partition.keys == {"a": 0, "b": 1, None: 2}
    assert list(partition.summaries()) == ["a", "b", None]


def test_an_empty_partition_has_no_groups_and_an_empty_whole() -> None:
    partition = Partition(RULES, weighted=False)
    whole = partition.state.summary()
    assert (partition.summaries(), whole.used, whole.rows) == ({}, 0, 0)
    assert whole.sums["squared_error"] == Total(0)


def test_very_many_groups_come_a_few_at_a_time() -> None:
    partition = Partition(Rules(), weighted=False)
    rng = np.random.default_rng(5)
    residual = rng.integers(-99, 99, 50_000).astype(np.float64)
    for start in range(0, 50_000, 1000):
        rows = slice(start, start + 1000)
        part = Chunk(residual[rows], np.zeros(1000), start)
        partition.merge(Partition.of(part, np.arange(1000), range(start, start + 1000), rules=Rules()))
    summaries: list[Summary] = list(partition.summaries().values())
    assert [summary.sums["squared_error"].value() for summary in summaries] == np.square(residual).tolist()
    assert [summary.used for summary in summaries] == [1] * 50_000


# Batches


def batches_of(batches: Batches, rows: int, blocks: list[int]) -> list[int | None]:
    """Return the batch of every row, None where it is dropped, asked for in blocks."""
    return list(_batches_of(batches, [0, *sorted(block % (rows + 1) for block in blocks), rows]))


def _batches_of(batches: Batches, borders: list[int]) -> Iterator[int | None]:
    for start, stop in pairwise(borders):
        codes, numbers = batches.of(start, stop - start)
        dropped = batches.dropped(start, stop - start)
        for row, code in enumerate(codes.tolist()):
            yield None if dropped is not None and dropped[row] else int(numbers[code])


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 60), st.lists(st.integers(0, 60), max_size=5))
def test_batches_are_rows_in_their_order(size: int, rows: int, blocks: list[int]) -> None:
    expected = [row // size for row in range(rows)]
    assert batches_of(Batches(size), rows, blocks) == expected
    assert batches_of(Batches(size, rows), rows, blocks) == expected


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 60), st.lists(st.integers(0, 60), max_size=5))
def test_a_last_batch_that_is_not_full_is_dropped(size: int, rows: int, blocks: list[int]) -> None:
    batches = Batches(size, rows, drop_last=True)
    expected = [row // size if row // size < rows // size else None for row in range(rows)]
    assert batches_of(batches, rows, blocks) == expected
    assert batches.full_rows == rows // size * size


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**63), st.lists(st.integers(0, 60), max_size=5))
def test_shuffled_batches_are_numpys_permutation_cut_up(size: int, rows: int, seed: int, blocks: list[int]) -> None:
    order = np.random.default_rng(seed).permutation(rows).tolist()
    found = batches_of(Batches(size, rows, seed=seed), rows, blocks)
    assert [found[row] for row in order] == [place // size for place in range(rows)]
    dropped = batches_of(Batches(size, rows, seed=seed, drop_last=True), rows, blocks)
    assert {row for row in range(rows) if dropped[row] is None} == set(order[rows // size * size :])


@pytest.mark.parametrize(("rows", "dropped"), [(9, None), (10, [9]), (11, [9, 10])])
def test_nothing_is_dropped_where_every_batch_is_full(rows: int, dropped: list[int] | None) -> None:
    mask = Batches(3, rows, drop_last=True).dropped(0, rows)
    assert (None if mask is None else np.flatnonzero(mask).tolist()) == dropped


def test_dropped_rows_are_not_there() -> None:
    chunk = Chunk(np.array([1.0, np.nan, 3.0]), np.zeros(3), weight=np.array([1.0, -1.0, 2.0]))
    chunk = chunk._replace(dropped=np.array([False, True, False]), group=np.array([0, 1, 0]), groups=2)
    state = LossState.of(chunk, Rules(("squared_error", "weight")))
    kept, gone = state.summaries()
    assert (kept.rows, kept.rows_used, kept.used, kept.sums["squared_error"].value()) == (2, 2, 2, 19.0)
    assert (gone.rows, gone.rows_used, gone.counts["total"], gone.counts["nan_prediction"]) == (0, 0, 0, 0)
    assert state.first_row == {}
