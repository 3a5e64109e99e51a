"""Trails: lines are known of pieces that were parsed in any order, and only what nobody needs any more is forgotten."""

from __future__ import annotations

import pickle
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msecli.places.stream import StreamFile
from msecli.text.trail import Parsed, Trail, line_number

PIECES = st.lists(st.sampled_from([b"a\n", b"b\r\nc\n", b"", b"d", b"\n\n", b"e\rf\n"]), min_size=1, max_size=20)


@given(PIECES, st.randoms(use_true_random=False))
def test_lines_are_counted_in_whatever_order_pieces_are_parsed(pieces: list[bytes], random: Random) -> None:
    # A line end of two characters is in one piece.
    text, begins = b"\n" + b"".join(pieces) + b"z", [1, *accumulate(map(len, pieces), initial=1)][1:]
    with pytest.MonkeyPatch.context() as patch:
        file = StreamFile("x", [text[at : at + 1] for at in range(len(text))])
        expected = [line_number(StreamFile("y", [text]), begin) for begin in begins]
        trail = Trail(file, 1)
        trail.once()
        patch.setattr("msecli.places.stream.KEPT_BYTES", 0)
        order, done = [*range(len(pieces))], set[int]()
        random.shuffle(order)
        for number in order:
            # What has not been parsed is there to be read, and its line to be told.
            assert file.read(len(pieces[number]), begins[number]) == pieces[number]
            assert trail.line(begins[number]) == expected[number]
            lines = line_number(StreamFile("y", [pieces[number] + b"z"]), len(pieces[number])) - 1
            trail.parsed(number, Parsed(len(pieces[number]), lines, begins[number + 1], rows_are_lines=True))
            done.add(number)
            in_order = next(each for each in range(len(pieces) + 1) if each not in done)
            for each in range(in_order):
                if pieces[each]:
                    assert trail.line_of_row(begins[each], 3) == expected[each] + 3
        assert trail.line(begins[-1]) == expected[-1]


def test_nothing_is_noted_of_what_is_kept() -> None:
    trail = Trail(StreamFile("x", [b"a\nb\nc\n"]), 0)
    trail.parsed(0, Parsed(2, 1, 2, rows_are_lines=True))
    assert trail.line_of_row(0, 0) is None
    assert [trail.line(at) for at in (0, 2, 4)] == [1, 2, 3]
    assert pickle.loads(pickle.dumps(trail)).line(4) == 3
