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

from msecli.text.records import (
    Dialect,
    count_blank_lines,
    count_lines,
    likely_record_end,
    line_end,
    quotes_of,
    record_end,
    records,
    stray_text,
    without_comments,
)

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
    opened, closed = quotes_of(buffer, dialect)
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


def line_ends(buffer: bytes, *, last: bool) -> list[int]:
    """Return where lines end. What follows a carriage return at the very end is not known, and may be its line feed."""
    feeds = [place + 1 for place, mark in enumerate(buffer) if mark == 0x0A]
    returns = [
        place + 1 for place, mark in enumerate(buffer) if mark == 0x0D and buffer[place + 1 : place + 2] != b"\n"
    ]
    return sorted(end for end in (*feeds, *returns) if last or buffer[end - 1 :] != b"\r")


@settings(max_examples=500)
@given(BUFFERS, st.integers(0, 40), st.booleans())
@example(b"a\r\nb", 2, False)
@example(b"a\r", 1, False)
def test_a_line_ends_at_a_place_or_behind_it(buffer: bytes, position: int, last: bool) -> None:
    expected = next((end for end in line_ends(buffer, last=last) if end > position), None)
    assert line_end(buffer, position, last=last) == expected


@settings(max_examples=1000)
@given(BUFFERS, st.integers(0, 40), st.booleans())
def test_a_record_ends_at_a_line_end_outside_quotes(buffer: bytes, position: int, last: bool) -> None:
    inside = quoted_by_character(buffer)
    expected = next((end for end in line_ends(buffer, last=last) if end > position and not inside[end - 1]), None)
    assert record_end(buffer, position, quotes_of(buffer, COMMAS), last=last) == expected


def test_a_likely_end_of_a_record_is_found_from_within_quotes() -> None:
    buffer = b'1,"a note\nof two lines","x"\n' * 20
    for start in range(20):
        # In the first field, in its number, in its quotes, behind the line end within them.
        assert likely_record_end(buffer[start:], COMMAS, last=False) == len(buffer) // 20 - start


@settings(max_examples=500)
@given(BUFFERS)
def test_the_unclosed_quote_is_where_the_last_quotes_began(buffer: bytes) -> None:
    inside = quoted_by_character(buffer)
    place = quotes_of(buffer, COMMAS).unclosed
    assert (place is not None) == inside[-1]
    if place is not None:
        assert buffer[place : place + 1] == b'"'
        assert not inside[place]
        assert all(inside[place + 1 :])


@settings(max_examples=500)
@given(BUFFERS, BUFFERS)
def test_reading_on_from_the_end_of_a_record_is_reading_it_all(first: bytes, second: bytes) -> None:
    whole = quoted_by_character(first + second)
    end = record_end(first, 0, quotes_of(first, COMMAS), last=False)
    if end is not None:
        assert quoted_by_character((first + second)[end:]) == whole[end:]


@pytest.mark.parametrize(
    ("buffer", "end", "unclosed"),
    [
        (b"", None, None),
        (b"a", None, None),
        (b"a\n", 2, None),
        (b"a\nb", 2, None),
        (b'"a\n"', None, None),
        (b'"a\n"\nb', 5, None),
        (b'x\n"a\nb', 2, 2),
        (b'x\ny,"a\nb\n', 2, 4),
        (b'a"\nb"\n', 3, None),
        (b'"a""\n', None, 0),
        (b'x\n"a\n""b\n', 2, 2),
    ],
)
def test_first_records_by_hand(buffer: bytes, end: int | None, unclosed: int | None) -> None:
    quotes = quotes_of(buffer, COMMAS)
    assert record_end(buffer, 0, quotes, last=False) == end
    assert quotes.unclosed == unclosed


@pytest.mark.parametrize("delimiter", [b"\t", b";", b"|"])
def test_a_quote_opens_behind_the_delimiter_of_the_dialect(delimiter: bytes) -> None:
    buffer = b"a" + delimiter + b'"b\n"\n'
    dialect = Dialect(delimiter)
    assert record_end(buffer, 0, quotes_of(buffer, dialect), last=False) == len(buffer)
    assert quotes_of(buffer[:-2], dialect).unclosed == 2
    assert quotes_of(buffer[:-2].replace(delimiter, b","), dialect).unclosed is None


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [
        (b'"a"b,1\n', 3),
        (b'"a",1\n', None),
        (b'1,"a"\r\n', None),
        (b'1,"a"', None),
        (b'"a""b",1\n', None),
        (b'1,"a\n2,"b"\n', 8),
        (b'"a";1\n', 3),
        (b'5" pipe,"x"\n', None),
        (b'"a', None),
    ],
)
def test_text_behind_a_closing_quote_by_hand(buffer: bytes, expected: int | None) -> None:
    assert stray_text(buffer, quotes_of(buffer, COMMAS), COMMAS) == expected


@settings(max_examples=500)
@given(BUFFERS.filter(lambda buffer: b'"' not in buffer))
def test_records_without_quotes_are_the_lines(buffer: bytes) -> None:
    # bytes.splitlines knows LF, CR and CRLF, and nothing else.
    lines = buffer.splitlines(keepends=True)
    found = list(records(buffer, COMMAS))
    assert [buffer[record.start : record.end] for record in found] == lines
    assert [record.line for record in found] == list(range(len(lines)))
    assert [record.blank for record in found] == [not line.strip(b"\r\n") for line in lines]
    assert [b",".join(record.fields) for record in found] == [line.rstrip(b"\r\n") for line in lines]
    assert count_lines(buffer) == sum(line.endswith((b"\n", b"\r")) for line in lines)


@settings(max_examples=500)
@given(BUFFERS)
def test_blank_lines_are_the_records_that_are(buffer: bytes) -> None:
    # The first line belongs to a record ahead of it: a text that is counted begins behind a line end.
    text = b"x\n" + buffer
    found = [record for record in records(text, COMMAS) if record.blank]
    if stray_text(text, quotes_of(text, COMMAS), COMMAS) is None:
        assert count_blank_lines(text, COMMAS) == len(found)


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
