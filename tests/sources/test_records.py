"""Where records end.

Expected places come from a plain reading of the text, character by character, by RFC 4180 with Arrow's freedoms: a
quote opens at the start of a field only, a doubled one inside is a literal one.
"""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.sources.records import GUESSES, Dialect, cut_records, guess_cut, quoted_spans, without_comments

COMMAS = Dialect()
BUFFERS = st.text('"a,\n\r#', max_size=40).map(str.encode)


def quoted_by_character(buffer: bytes, delimiter: bytes = b",") -> list[bool]:
    """Whether a line end at each place would be inside quotes; the last entry is for the end of the buffer."""
    inside, start, marks, place = False, True, [], 0
    while place < len(buffer):
        mark = buffer[place : place + 1]
        doubled = inside and buffer[place : place + 2] == b'""'
        marks += [inside] * (2 if doubled else 1)
        if mark == b'"' and not doubled and (inside or start):
            inside = not inside
            start = False
        elif not inside:
            start = mark in (b"\n", b"\r", delimiter)
        place += 2 if doubled else 1
    return [*marks, inside]


def inside_spans(buffer: bytes, dialect: Dialect = COMMAS) -> list[bool]:
    """The same from the spans of quotes."""
    opened, closed = quoted_spans(buffer, dialect)
    ends = [*closed.tolist(), len(buffer) + 1][: len(opened)]
    spans = list(zip(opened.tolist(), ends, strict=True))
    return [any(first < place < last for first, last in spans) for place in range(len(buffer) + 1)]


@settings(max_examples=1000)
@given(BUFFERS)
@example(b'a""b,"x"')
@example(b'"a""b",""\n"""",x')
@example(b'""a"\n"b')
@example(b'5" pipe,"6"" pipe"\n')
def test_spans_hold_the_same_line_ends_as_by_character(buffer: bytes) -> None:
    expected, found = quoted_by_character(buffer), inside_spans(buffer)
    places = [place for place, mark in enumerate(buffer) if mark in b"\n\r,"]
    assert [found[place] for place in places] == [expected[place] for place in places]
    assert found[-1] == expected[-1]


ROWS = st.lists(st.lists(st.text('a",\n', max_size=4), min_size=2, max_size=2), min_size=1, max_size=8)


@settings(max_examples=1000)
@given(ROWS, st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.floats(0, 1))
def test_a_guess_is_the_cut_where_quotes_are_around_fields(rows: list[list[str]], quoting: int, share: float) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    buffer = text.getvalue().encode()
    buffer = buffer[: round(share * len(buffer))]
    end, quoted = guess_cut(buffer)
    expected = cut_records(buffer, COMMAS).end
    assert end == expected or (end == 0 and buffer.count(b'"') > 2 * GUESSES)
    assert quoted or b'"' not in buffer[:end]


@settings(max_examples=1000)
@given(BUFFERS)
def test_a_cut_is_behind_the_last_line_end_outside_quotes(buffer: bytes) -> None:
    inside = quoted_by_character(buffer)
    # What follows a carriage return at the very end is not known, and may be its line feed.
    feeds = [place + 1 for place, mark in enumerate(buffer) if mark == 0x0A]
    returns = [place + 1 for place, mark in enumerate(buffer[:-1]) if mark == 0x0D and buffer[place + 1] != 0x0A]
    ends = [end for end in (*feeds, *returns) if not inside[end - 1]]
    cut = cut_records(buffer, COMMAS)
    assert cut.end == max(ends, default=0)
    assert (cut.open_quote is not None) == inside[-1]
    assert cut.quoted == (b'"' in buffer)


@given(BUFFERS)
def test_the_open_quote_is_where_the_last_span_began(buffer: bytes) -> None:
    inside = quoted_by_character(buffer)
    place = cut_records(buffer, COMMAS).open_quote
    if place is not None:
        assert buffer[place : place + 1] == b'"'
        assert not inside[place]
        assert all(inside[place + 1 :])


@settings(max_examples=500)
@given(BUFFERS, BUFFERS)
def test_reading_on_from_a_cut_is_reading_it_all(first: bytes, second: bytes) -> None:
    cut = cut_records(first, COMMAS).end
    whole = quoted_by_character(first + second)
    assert quoted_by_character((first + second)[cut:]) == whole[cut:]


@pytest.mark.parametrize(
    ("buffer", "end", "open_quote"),
    [
        (b"", 0, None),
        (b"a", 0, None),
        (b"a\n", 2, None),
        (b"a\nb", 2, None),
        (b'"a\n"', 0, None),
        (b'"a\n"\nb', 5, None),
        (b'x\n"a\nb', 2, 2),
        (b'x\ny,"a\nb\n', 2, 4),
        (b'a"\nb"\n', 6, None),
        (b'"a""\n', 0, 0),
        (b'x\n"a\n""b\n', 2, 2),
    ],
)
def test_cuts_by_hand(buffer: bytes, end: int, open_quote: int | None) -> None:
    cut = cut_records(buffer, COMMAS)
    assert (cut.end, cut.open_quote) == (end, open_quote)


@pytest.mark.parametrize("delimiter", [b"\t", b";", b"|"])
def test_a_quote_opens_behind_the_delimiter_of_the_dialect(delimiter: bytes) -> None:
    buffer = b"a" + delimiter + b'"b\n"\n'
    assert cut_records(buffer, Dialect(delimiter)).end == len(buffer)
    assert cut_records(buffer[:-2], Dialect(delimiter)).open_quote == 2
    assert cut_records(buffer[:-2].replace(delimiter, b","), Dialect(delimiter)).open_quote is None


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [
        (b"a\n#b\nc\n", b"a\nc\n"),
        (b"#b\n", b""),
        (b"#b", b""),
        (b"a\n #b\n", b"a\n #b\n"),
        (b"a,#b\n", b"a,#b\n"),
        (b'"a\n#b"\n#c\n', b'"a\n#b"\n'),
        (b'#"\na\n#b\n', b"a\n"),
        (b'#,"\na\n#,"\n"#"\n', b'a\n"#"\n'),
        (b'"a""\n#b"\n#c', b'"a""\n#b"\n'),
        (b'"a"\n#"b\n"\n#c"\n', b'"a"\n"\n#c"\n'),
        (b"a\r\n#b\r\nc\r\n", b"a\r\nc\r\n"),
    ],
)
def test_comments_by_hand(buffer: bytes, expected: bytes) -> None:
    assert without_comments(buffer, Dialect(comment=b"#")) == expected


@given(BUFFERS)
def test_without_a_comment_character_nothing_is_left_out(buffer: bytes) -> None:
    assert without_comments(buffer, COMMAS) == buffer


@settings(max_examples=500)
@given(st.lists(st.lists(st.text('"a,\n #', max_size=5), min_size=2, max_size=2), max_size=6), st.data())
def test_comments_between_records_leave_the_records(rows: list[list[str]], data: st.DataObject) -> None:
    written, clean = "", ""
    for row in rows:
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        clean += stream.getvalue()
        comment = data.draw(st.sampled_from(["", "#\n", '# "a\n', '#,"\n', "# a,b\n"]))
        written += comment + stream.getvalue()
    assert without_comments(written.encode(), Dialect(comment=b"#")) == clean.encode()
