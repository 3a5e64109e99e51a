"""The worst elements of chunks; the reference sorts all of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_losses
from msecli.core.state import Rules
from msecli.core.worst import Element, Worst

OMIT = Rules(nan_target="omit", nan_prediction="omit")
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 3.5, math.inf, math.nan])


def worst_of(chunk: Chunk, rules: Rules, count: int) -> Worst:
    return Worst.of(chunk, element_losses(chunk, rules), count)


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=30),
    cuts=st.sets(st.integers(1, 29)),
    count=st.integers(1, 70),
    backwards=st.booleans(),
)
def test_chunks_in_any_order_give_what_sorting_all_elements_gives(
    rows: list[tuple[float, ...]], cuts: set[int], count: int, backwards: bool
) -> None:
    prediction, target = np.array(rows)[:, :2], np.array(rows)[:, 2:]
    bounds = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    parts = list(pairwise(bounds))
    worst = Worst(count)
    for start, stop in reversed(parts) if backwards else parts:
        worst.merge(worst_of(Chunk(prediction[start:stop], target[start:stop]), OMIT, count), start)
    with np.errstate(all="ignore"):
        losses = (prediction - target) ** 2
    expected = [
        Element(row, place, float(prediction[row, place]), float(target[row, place]), float(loss))
        for (row, place), loss in np.ndenumerate(losses)
        if not math.isnan(loss)
    ]
    expected.sort(key=lambda element: (-element.loss, element.row, element.place))
    assert worst.elements() == expected[:count]


def test_ignored_missing_and_dropped_elements_are_not_among_the_worst() -> None:
    chunk = Chunk(
        np.array([9.0, math.nan, 8.0, 1.0, 7.0]),
        np.array([0.0, 0.0, -1.0, 0.0, 0.0]),
        dropped=np.array([True, False, False, False, False]),
    )
    found = worst_of(chunk, OMIT._replace(ignore=(-1.0,)), 5).elements()
    assert [(element.row, element.loss) for element in found] == [(4, 49.0), (3, 1.0)]


def test_losses_are_weighted_as_those_of_the_sum() -> None:
    chunk = Chunk(np.array([3.0, 2.0, 1.0]), np.zeros(3), weight=np.array([0.0, 1.0, 5.0]))
    assert [(each.row, each.loss) for each in worst_of(chunk, Rules(), 2).elements()] == [(2, 5.0), (1, 4.0)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_equal_losses_the_first_rows_are_kept(count: int) -> None:
    found = worst_of(Chunk(np.ones(1000), np.zeros(1000)), Rules(), count).elements()
    assert [element.row for element in found] == list(range(count))
