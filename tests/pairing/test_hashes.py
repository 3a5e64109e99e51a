"""Hashes of keys: labels that may be equal have equal hashes, and it is known how labels are written."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from msecli.pairing.hashes import CANONICAL, OTHER, SAMPLED, _mixed, dealt, hashes_of, share_of_different
from msecli.pairing.labels import common_codes


def hashed(values: list[Any], kind: Any = None) -> tuple[list[int], Any]:
    hashes, (written,) = hashes_of([np.array(values) if kind is None else pa.array(values, kind)])
    return hashes.tolist(), written


@pytest.mark.parametrize("number", [0, 1, -1, 7, 123456789012345678, 2**63 - 1, -(2**63)])
def test_an_integer_and_the_ways_to_write_it_have_one_hash(number: int) -> None:
    texts = [str(number), f"{number}.0", f"{number}.000"]
    found = {*hashed([number])[0], *hashed([number], pa.int64())[0], *hashed(texts, pa.string())[0]}
    assert len(found) == 1


def test_unsigned_integers_have_the_hashes_of_their_digits() -> None:
    assert hashed([2**64 - 1, 5], pa.uint64())[0] == hashed([str(2**64 - 1), "5"], pa.string())[0]


SAME = [
    ("1.5", "1.50"),
    ("-0", "0"),
    ("2024-03-01", "2024-03-01 00:00", "2024-03-01T00:00:00.000"),
    ("2024-03-01T12:00:00Z", "2024-03-01 14:00+02:00"),
    ("a word that is longer than eight bytes",),
    ("",),
    ("007",),
    ("2024-03-01x",),
    ("é",),
]


def test_texts_have_equal_hashes_just_where_their_values_are_equal() -> None:
    words = [word for words in SAME for word in words]
    hashes = dict(zip(words, hashed(words, pa.string())[0], strict=True))
    for ours, theirs in combinations(words, 2):
        equal = any(ours in words and theirs in words for words in SAME)
        assert (hashes[ours] == hashes[theirs]) == equal, (ours, theirs)
        codes, _ = common_codes(pa.array([ours]), pa.array([theirs]))
        assert hashes[ours] == hashes[theirs] or codes[0] != codes[1]


def test_the_hash_of_a_text_does_not_depend_on_what_is_around_it() -> None:
    words = ["abcdefgh", "abcdefghi", "a", "ab\0", "ab", "x" * 40]
    together = hashed(words, pa.string())[0]
    assert together == [hashed([word], pa.string())[0][0] for word in words]
    assert hashes_of([pa.array(["?", *words])[1:]])[0].tolist() == together
    assert len(set(together)) == len(words)


def test_columns_of_a_key_are_hashed_in_order() -> None:
    one, two = np.array([1, 2]), np.array([2, 1])
    hashes = hashes_of([one, two])[0]
    assert hashes[0] != hashes[1]
    assert hashes_of([pa.array(["1", "2"]), pa.array(["2.0", "1.0"])])[0].tolist() == hashes.tolist()


def test_hashes_are_known_numbers() -> None:
    # The first two numbers of SplitMix64, begun with 0: its state moves on by the same step. The first one is hashed
    # as a column, and again as a key of columns.
    first, second = _mixed(np.array([0, 0x9E3779B97F4A7C15], dtype=np.uint64))
    assert (first, second) == (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4)
    assert hashed([0])[0] == _mixed(np.array([first])).tolist()


@pytest.mark.parametrize(
    ("values", "kind", "decimal", "instant", "ways"),
    [
        ([1, None], pa.int64(), True, False, {CANONICAL}),
        ([None], pa.string(), True, True, set()),
        (["1", "2.5", None], pa.string(), True, False, {CANONICAL}),
        (["1", "2.50"], pa.string(), True, False, {CANONICAL, OTHER}),
        (["2024-03-01", "2024-03-02"], pa.string(), False, True, {"0000-00-00"}),
        (["2024-03-01 00:00+01"], pa.string(), False, True, {OTHER}),
    ],
)
def test_it_is_known_how_labels_are_written(
    values: list[Any], kind: Any, decimal: bool, instant: bool, ways: set[str]
) -> None:
    written = hashed(values, kind)[1]
    assert (written.kind, written.missing) == (str(kind), None in values)
    assert (written.decimal, written.instant, written.ways) == (decimal, instant, ways)
    assert written.one_to_one == (len(ways) == 1 and OTHER not in ways)


def test_words_have_no_value() -> None:
    written = hashed(["a", "1"], pa.string())[1]
    assert (written.decimal, written.instant) == (False, False)
    assert not hashed(["2024-13-01 10:00+00:00", "2024-03-01"], pa.string())[1].instant


@pytest.mark.parametrize("buckets", [1, 2, 7, 70_000])
def test_rows_are_dealt_once_in_order_and_equal_hashes_together(buckets: int) -> None:
    hashes = _mixed(np.arange(50_000, dtype=np.uint64) % 20_000)
    rows = np.flatnonzero(hashes % 3 > 0)
    found = dealt(rows, hashes, buckets)
    assert len(found) == buckets
    assert np.sort(np.concatenate(found)).tolist() == rows.tolist()
    assert all((np.diff(each) > 0).all() for each in found)
    owner = np.zeros(len(hashes), dtype=np.int64)
    for number, each in enumerate(found):
        owner[each] = number
    # Rows that are 20,000 apart have the same hash.
    both = rows[np.isin(rows + 20_000, rows)]
    assert (owner[both] == owner[both + 20_000]).all()
    sizes = np.array([each.size for each in found])
    assert buckets > 100 or (np.abs(sizes - rows.size / buckets) < 0.1 * rows.size).all()


@pytest.mark.parametrize("times", [1, 2, 10, 100_000])
def test_the_share_of_different_hashes_is_known_roughly(times: int) -> None:
    hashes = _mixed(np.arange(100_000, dtype=np.uint64) // np.uint64(times))
    assert share_of_different(hashes) == pytest.approx(1 / times, rel=0.1)


def test_the_share_of_different_hashes_is_known_where_one_of_them_is_most() -> None:
    """The one ends in zeros, so that it is among those that are looked at, or it does not."""
    others = _mixed(np.arange(1000, dtype=np.uint64))
    for most in (SAMPLED * 5, SAMPLED * 5 + 1):
        hashes = np.concatenate([others, np.full(99_000, most, dtype=np.uint64)])
        assert share_of_different(hashes) == pytest.approx(0.01, rel=0.2)
    assert share_of_different(others[:0]) == 0
