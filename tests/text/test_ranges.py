"""Ranges of a text: every record is found once, in the range in which it begins, whoever reads which range first.

Texts are made of records, so where each begins is known from their lengths.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, chain, pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.kernel.interface import Dialect
from msecli.places.file import LocalFile, spooled
from msecli.text.ranges import Ranges
from msecli.text.survey import Stretch, Survey, stretches, surveyed

RECORDS = [
    b"1,2\n",
    b'1,"\n\n"\n',
    b'"a"",\n""",2\r\n',
    b'5" pipe,"x\n"\n',
    b'#"\n',
    b'a"\n',
    b"\n",
    b'"x"y,"\n"\n',
    b'"' + b"\n" * 40 + b'",1\n',
]
WHOLE = [record for record in RECORDS if not record.startswith((b'a"', b'"x"y'))]
"""Those without a fault: a field that is missing, text behind a closing quote."""
DIALECT = Dialect(2, comment="#")
TEXTS = st.lists(st.sampled_from(RECORDS), min_size=1, max_size=40)


def expected(records: list[bytes], size: int) -> list[bytes]:
    """Return the records that begin in each range."""
    begins = [0, *accumulate(map(len, records))]
    found: list[bytes] = [b""] * -(-begins[-1] // size)
    for begin, record in zip(begins, records, strict=False):
        found[begin // size] += record
    return found


def ranges_of(text: bytes, size: int) -> Ranges:
    return Ranges(spooled("x", [text]), DIALECT, 0, size)


@pytest.mark.slow
@settings(deadline=None)
@given(TEXTS, st.integers(1, 50), st.sampled_from([1, 7, 1 << 14]), st.randoms(use_true_random=False))
def test_ranges_are_read_in_any_order(records: list[bytes], size: int, margin: int, random: Random) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.text.ranges.MARGIN_BYTES", margin)
        ranges = ranges_of(b"".join(records), size)
        numbers = list(range(len(ranges)))
        random.shuffle(numbers)
        found = {number: bytes(ranges.read(number).text) for number in numbers}
    assert [found[number] for number in sorted(found)] == expected(records, size)


@settings(deadline=None, max_examples=30)
@given(TEXTS, st.integers(1, 50))
def test_threads_learn_from_each_other(records: list[bytes], size: int) -> None:
    ranges = ranges_of(b"".join(records), size)
    with ThreadPoolExecutor(4) as threads:
        found = [bytes(each.text) for each in threads.map(ranges.read, range(len(ranges)))]
    assert found == expected(records, size)


@settings(deadline=None)
@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=40), st.integers(1, 50), st.integers(1, 5))
def test_a_survey_finds_where_ranges_begin_and_how_many_rows_they_hold(
    records: list[bytes], size: int, together: int
) -> None:
    """Rows are the records that are neither comments nor blank lines."""
    found = list(surveyed(stretches_of(b"".join(records), size, together), of_each))
    begins = [begin for survey in found for begin in survey.begins]
    text = b"".join(records)
    assert [text[start:stop] for start, stop in pairwise([*begins, len(text)])] == expected(records, size)
    assert found[-1].end == len(text)
    rows: list[int] = [0] * -(-len(text) // size)
    for begin, record in zip(accumulate(map(len, records), initial=0), records, strict=False):
        rows[begin // size] += record not in {b'#"\n', b"\n"}
    assert [count for survey in found for count in survey.rows] == rows


def stretches_of(text: bytes, size: int, together: int) -> list[Stretch]:
    return stretches(spooled("x", [text]), DIALECT, 0, size, together)


def of_each(work: Callable[[Stretch], Iterator[Survey]], each: Sequence[Stretch]) -> Iterator[Survey]:
    return chain.from_iterable(map(work, each))


def test_a_survey_ends_where_there_is_a_fault() -> None:
    """The third range of 8 bytes holds a row with a field too many: the one row before it counts."""
    text = b"1,2\n3,4\n" * 2 + b"5,6\n1,2,3\n" + b"1,2\n" * 9
    (first, second) = surveyed(stretches_of(text, 8, 2), of_each)
    assert (first.begins, first.rows, first.end) == ((0, 8), (2, 2), 16)
    assert (second.begins, second.rows, second.end) == ((16,), (1,), None)


def test_another_process_finds_what_it_was_not_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"".join(RECORDS * 9))
    ranges = Ranges(LocalFile(str(tmp_path / "x.csv")), DIALECT, 0, 50)
    sent = [pickle.dumps((ranges, number)) for number in range(len(ranges))]
    del ranges
    found = {}
    for each in sent[1::2]:  # all of one process
        received, number = pickle.loads(each)
        found[number] = bytes(received.read(number).text)
    every = expected(RECORDS * 9, 50)
    assert found == {number: every[number] for number in range(1, len(every), 2)}


def test_every_range_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.text.ranges.MARGIN_BYTES", 100)
    ranges = ranges_of(b"".join(RECORDS * 50), 200)
    reads: Counter[int] = Counter()
    read = LocalFile.read

    def counted(file: LocalFile, size: int, offset: int) -> bytes:
        reads[offset] += 1
        return read(file, size, offset)

    monkeypatch.setattr(LocalFile, "read", counted)
    for number in range(len(ranges)):
        ranges.read(number)
    assert reads == {200 * number: 1 for number in range(len(ranges))}


def test_behind_a_record_that_is_too_long_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.text.ranges.LONGEST_RECORD", 1000)
    monkeypatch.setattr("msecli.text.ranges.MARGIN_BYTES", 10)
    ranges = ranges_of(b'1,2\n3,"' + b"\n" * 5000, 20)
    first = ranges.read(0)
    assert (first.begin, first.whole) == (0, False)
    assert bytes(first.text[:7]) == b'1,2\n3,"'
    assert [bytes(ranges.read(number).text) for number in range(1, len(ranges))] == [b""] * (len(ranges) - 1)
