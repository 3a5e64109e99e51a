"""Columns that are only compared.

Expected codes and groups are those of a Python dict over the rows; the rest is spelled out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.arrow import columns
from msecli.arrow.columns import number_labels
from msecli.formats.base import LabelArray
from msecli.pairing.labels import codes_of, first_difference, group_codes, missing, shown_keys, sort_key, vary

LABELS = st.none() | st.sampled_from(["a", "b", "ab", "", "7", "007", "-1", "é"])
NUMBERS = st.none() | st.integers(-2, 12) | st.sampled_from([-(2**63), 2**63 - 1])


def column(labels: list[Any]) -> LabelArray:
    texts = any(isinstance(label, str) for label in labels)
    return columns.labels(pa.array(labels, pa.string() if texts else pa.int64()), "k")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([1, 2], [1, 2]),
        (["a", None], ["a", None]),
        ([1, None], ["1", None]),
        (["7", "10"], [7, 10]),
        ([], []),
    ],
)
def test_equal_columns_do_not_differ(left: list[Any], right: list[Any]) -> None:
    assert first_difference(column(left), column(right)) is None


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2, 3], [1, 4, 5], (1, 2, 4)),
        (["a", "b"], ["b", "a"], (0, "a", "b")),
        (["a", None], ["a", "b"], (1, None, "b")),
        ([1, 7], ["1", "007"], (1, "7", "007")),
    ],
)
def test_the_first_difference_is_found_with_both_labels(
    left: list[Any], right: list[Any], expected: tuple[int, Any, Any]
) -> None:
    assert first_difference(column(left), column(right)) == expected


def test_a_slice_of_a_column_is_compared_as_a_column() -> None:
    whole = column([9, 1, 2, None])
    assert first_difference(whole[1:3], column([1, 2])) is None
    assert first_difference(whole[2:], column([2, 3])) == (1, None, 3)


@settings(deadline=None)
@given(st.lists(LABELS) | st.lists(NUMBERS) | st.lists(st.integers(-2, 9)))
def test_codes_say_which_labels_are_equal(labels: list[Any]) -> None:
    codes, dictionary = codes_of(column(labels))
    found = dictionary.tolist()
    assert [found[code] for code in codes.tolist()] == labels
    assert len(set(found)) == len(dictionary) == len(set(labels))


@pytest.mark.parametrize("labels", [[5, 7, 7, 5], [-3, -1, -3, -1, -3], [4], [2**63 - 1, 2**63 - 2, 2**63 - 1]])
def test_codes_of_integers_leave_out_those_that_are_not_there(labels: list[int]) -> None:
    codes, dictionary = codes_of(column([0, *labels, 99])[1:-1])
    assert dictionary.tolist() == sorted(set(labels))
    assert [dictionary[code] for code in codes.tolist()] == labels


def test_codes_of_a_slice_are_those_of_its_rows() -> None:
    codes, dictionary = codes_of(column(["x", "a", None, "a"])[1:])
    assert [dictionary.tolist()[code] for code in codes.tolist()] == ["a", None, "a"]


WHOLE = st.integers(-20, 20) | st.integers(-(10**17), 10**17)


@given(st.lists(WHOLE.map(float) | st.just(math.nan), max_size=9))
def test_whole_floats_are_labels_as_python_writes_them(values: list[float]) -> None:
    for numbers in (values, [*values, -0.0], [*values, 0.5], [*values, math.inf]):
        found = number_labels(np.array(numbers), "k").tolist()
        assert found == [None if math.isnan(number) else repr(number) for number in numbers]


@settings(deadline=None)
@given(st.lists(st.tuples(LABELS, NUMBERS, LABELS)), st.integers(1, 3))
def test_groups_are_the_distinct_rows_of_labels(rows: list[tuple[Any, ...]], width: int) -> None:
    rows = [row[:width] for row in rows]
    codes, keys = group_codes([column([row[number] for row in rows]) for number in range(width)])
    texts = [tuple(None if label is None else str(label) for label in row) for row in rows]
    assert [keys[code] for code in codes.tolist()] == texts
    assert sorted(map(repr, keys)) == sorted(map(repr, set(texts)))


def test_labels_of_several_columns_do_not_run_into_each_other() -> None:
    _, keys = group_codes([column(["a", "ab"]), column(["bc", "c"])])
    assert keys == [("a", "bc"), ("ab", "c")]


@pytest.mark.parametrize("labels", [[1, None, 3], ["a", None, ""], [None, None], ["a"]])
def test_missing_labels_are_nulls_and_not_empty_texts(labels: list[Any]) -> None:
    for held in (column(labels), column([*labels, *labels])[1:]):
        absent = missing(held)
        found = [False] * len(held) if absent is None else absent.tolist()
        assert found == [label is None for label in held.tolist()]


def test_a_column_of_nothing_but_nulls_is_missing() -> None:
    absent = missing(pa.nulls(3))
    assert absent is not None
    assert absent.tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["7", "10", "-3", "0"], [7, 10, -3, 0]),
        (["7", None], [7, None]),
        (["7", "007"], ["7", "007"]),
        (["7", "x"], ["7", "x"]),
        (["1.0", "2"], ["1.0", "2"]),
        (["-", "1"], ["-", "1"]),
        (["--5"], ["--5"]),
        (["-0"], ["-0"]),
        (["+1"], ["+1"]),
        (["٣"], ["٣"]),
        (["²"], ["²"]),
        (["", "1"], ["", "1"]),
    ],
    ids=repr,
)
def test_labels_that_are_all_whole_numbers_are_shown_as_numbers(labels: list[str | None], expected: list[Any]) -> None:
    assert shown_keys([(label,) for label in labels]) == [(label,) for label in expected]


def test_a_label_of_very_many_digits_is_shown_as_it_is() -> None:
    # Python refuses to read more than 4300 digits as an integer.
    digits = "1" * 5000
    assert shown_keys([(digits,)]) in ([(digits,)], [(10**5000 // 9,)])


def test_each_column_is_shown_in_its_own_way() -> None:
    assert shown_keys([("1", "a"), ("2", None)]) == [(1, "a"), (2, None)]


def test_no_keys_are_shown_as_none() -> None:
    assert shown_keys([]) == []


def test_keys_are_sorted_by_number_or_text_with_missing_ones_last() -> None:
    numbers: list[tuple[Any, ...]] = [(10, "b"), (None, "a"), (9, None), (9, "b"), (9, "a"), (-1, "z")]
    assert sorted(numbers, key=sort_key) == [(-1, "z"), (9, "a"), (9, "b"), (9, None), (10, "b"), (None, "a")]
    texts: list[tuple[Any, ...]] = [("10",), (None,), ("9",), ("",)]
    assert sorted(texts, key=sort_key) == [("",), ("10",), ("9",), (None,)]


@pytest.mark.parametrize(
    ("labels", "several"),
    [
        (["a", "b", "a"], True),
        (["a", "a", "a"], False),
        (["ab", "a", "ab"], True),
        (["aa", "a", "aaa", "aa"], True),
        (["", "", ""], False),
        (["", "a", ""], True),
        (["é"], False),
        ([None, "a", None], True),
        ([None, None], False),
    ],
)
def test_labels_vary_if_any_is_another(labels: list[str | None], *, several: bool) -> None:
    column = pa.array(labels, pa.string())
    assert vary(column) == several
    assert vary(pa.array(["x", *labels, "y"], pa.string())[1:-1]) == several
