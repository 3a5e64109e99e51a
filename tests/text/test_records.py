"""Records one by one: the lines of text without quotes; with quotes and comments they are tested with the kernels."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.text.records import Dialect, count_lines, records


@settings(max_examples=500)
@given(st.text("a,\n\r#", max_size=40).map(str.encode))
def test_records_without_quotes_are_the_lines(buffer: bytes) -> None:
    # bytes.splitlines knows LF, CR and CRLF, and nothing else.
    lines = buffer.splitlines(keepends=True)
    found = list(records(buffer, Dialect()))
    assert [buffer[record.start : record.end] for record in found] == lines
    assert [record.line for record in found] == list(range(len(lines)))
    assert [record.blank for record in found] == [not line.strip(b"\r\n") for line in lines]
    assert [b",".join(record.fields) for record in found] == [line.rstrip(b"\r\n") for line in lines]
    assert count_lines(buffer) == sum(line.endswith((b"\n", b"\r")) for line in lines)
