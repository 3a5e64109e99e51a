"""Rows dealt into buckets by their keys: which of them, and where to. Expected numbers are counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from msecli.formats.base import Selection
from msecli.scoring.buckets import Deal
from msecli.scoring.plan import make_plan
from msecli.scoring.request import Request
from msecli.scoring.spans import Span

BUCKETS, MANY = 7, 200_000


def dealt(keys: list[int]) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return the numbers of the rows in each bucket of a table whose rows are counted from 100."""
    table = pd.DataFrame({"id": keys, "pred": 1.0, "target": 2.0})
    (source,) = make_plan(Request.of(predictions=table, pred="pred", target="target")).sources
    span = Span((source.parts(Selection(("pred",), ("id",))),), 100)
    told, pieces = Deal(("x",), (("id",),), BUCKETS).deal((0, span))
    assert told[0].read.rows == len(keys)
    return [np.empty(0, dtype=np.int64) if piece is None else piece.rows for piece in pieces]


@pytest.mark.parametrize("rows", [1000, MANY])
def test_every_row_is_in_the_bucket_of_its_key(rows: int) -> None:
    order = np.random.default_rng(1).permutation(rows // 2)
    keys = np.concatenate([order, order[::-1]]).tolist()
    found = dealt(keys)
    assert sorted(np.concatenate(found).tolist()) == list(range(100, 100 + rows))
    of_bucket = [{keys[row - 100] for row in each.tolist()} for each in found]
    assert sum(map(len, of_bucket)) == rows // 2
    assert all((np.diff(each) > 0).all() for each in found)
    # As evenly as chance has it: half as many, or twice, are beyond any.
    assert all(rows / BUCKETS / 2 < len(each) < rows / BUCKETS * 2 for each in found)


@pytest.mark.parametrize("rows", [1000, MANY])
def test_of_keys_that_are_in_many_rows_the_first_and_the_last_row_are_dealt(rows: int) -> None:
    found = np.concatenate(dealt((np.arange(rows) % 9).tolist()))
    assert sorted(found.tolist()) == [*range(100, 109), *range(100 + rows - 9, 100 + rows)]
