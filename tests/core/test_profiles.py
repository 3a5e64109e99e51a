"""Profiles of columns: those of pieces join to that of the whole, which pandas describes the same."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msecli.core.profiles import Profile, profile_of
from msecli.pairing.profiles import label_profile

NAN, INF = math.nan, math.inf

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-5, 5).map(float)


@given(st.lists(st.lists(numbers, min_size=1, max_size=20), min_size=1, max_size=5), st.integers(1, 8))
def test_summaries_of_pieces_join_to_that_of_the_whole(pieces: list[list[float]], most: int) -> None:
    joined = reduce(Profile.joined, [profile_of(np.array(piece), most) for piece in pieces])
    whole = profile_of(np.concatenate([np.array(piece) for piece in pieces]), most)
    assert joined.distinct == whole.distinct
    # NaN is equal to nothing, and sets of equal values may be shown in different orders.
    assert repr(replace(joined, distinct=None)) == repr(replace(whole, distinct=None))


@given(st.lists(st.lists(st.none() | st.text("ab", max_size=2), min_size=1), min_size=1, max_size=4), st.integers(1, 8))
def test_summaries_of_labels_join_as_well(pieces: list[list[str | None]], most: int) -> None:
    joined = reduce(Profile.joined, [label_profile(pa.array(piece, pa.string()), most) for piece in pieces])
    whole = [label for piece in pieces for label in piece]
    known = {label for label in whole if label is not None}
    assert joined.count == len(whole)
    assert joined.missing == whole.count(None)
    assert joined.distinct == (frozenset[Any](known) if len(known) <= most else None)
    assert (joined.minimum, joined.maximum) == (min(known, default=None), max(known, default=None))


@given(st.lists(numbers, min_size=1, max_size=50))
def test_numbers_are_described_as_pandas_describes_them(values: list[float]) -> None:
    """Pandas 3.1.1; the mean by Python's fractions, because pandas rounds on the way."""
    found, series = profile_of(np.array(values)), pd.Series(values)
    present = [value for value in values if not math.isnan(value)]
    assert found.missing == int(series.isna().sum())
    assert found.infinite == int(np.isinf(series).sum())
    assert found.distinct is not None
    assert len(found.distinct) == series.nunique()
    if present:
        assert (found.minimum, found.maximum) == (series.min(), series.max())
    if present and not found.infinite:
        expected = Fraction(sum(map(Fraction, present)), len(present))
        assert found.mean == float(expected)


def test_more_distinct_values_than_wanted_are_not_counted_wherever_they_are() -> None:
    assert profile_of(np.array([1.0, 2.0, 3.0]), 3).distinct == frozenset([1.0, 2.0, 3.0])
    assert profile_of(np.array([1.0, 2.0, 3.0, 4.0]), 3).distinct is None
    assert profile_of(np.array([1.0] * 100 + [2.0, 3.0, 4.0]), 3).distinct is None
    assert label_profile(np.array([7] * 100 + [2, 3, 4]), 3).distinct is None
    assert label_profile(pa.array(["a", None, "b", "c"]), 3).distinct == frozenset(["a", "b", "c"])


@pytest.mark.parametrize(
    ("values", "unique"),
    [([1, 2, 3], True), ([3, 1, 2], True), ([1, 2, 2], False), ([1, NAN, 2], False), ([-INF, 0, INF], True)],
)
def test_values_are_unique_if_none_is_there_twice_or_missing(values: list[float], unique: bool) -> None:
    assert profile_of(np.array(values, dtype=np.float64)).unique is unique


def test_of_very_many_values_only_rising_ones_are_known_to_be_unique() -> None:
    assert profile_of(np.arange(9.0), 3).unique is True
    assert profile_of(np.arange(9.0)[::-1], 3).unique is None
    halves = [profile_of(half, 3) for half in (np.arange(9.0), np.arange(9.0, 18.0), np.arange(8.0, 18.0))]
    assert halves[0].joined(halves[1]).unique is True
    assert halves[0].joined(halves[2]).unique is None
    assert halves[1].joined(halves[0]).unique is None


def test_integers_beyond_float64_are_told_apart_as_labels() -> None:
    found = label_profile(np.array([2**60, 2**60 + 1]))
    assert (found.minimum, found.maximum) == (2**60, 2**60 + 1)
    assert found.distinct == frozenset([2**60, 2**60 + 1])
