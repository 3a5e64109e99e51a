"""Delimited text, read in pieces of any size by any number of threads.

Expected cells are those that were written, and those that Python's csv module reads; line numbers are counted by hand.
"""

from __future__ import annotations

import contextlib
import csv
import gc
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.engines.local import LocalEngine
from msecli.errors import DataError, UsageError
from msecli.sources import open_source
from msecli.sources.base import Block, Reading, Selection, Source

WHOLE = 2 << 20
PIECES = (1, 7, 16, 64, WHOLE)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
MISSING = ("", "NA", "N/A", "null", "NULL")


@dataclass(frozen=True)
class Cells:
    """What was read: column v as numbers, column n as text (None is missing), and how many blank lines were skipped."""

    numbers: list[float | None]
    texts: list[str | None] = field(default_factory=list)
    blank: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Written:
    """A file's text, and the cells that went into it."""

    text: str
    cells: Cells
    wide: bool


def read(path: Path, piece: int = WHOLE, jobs: int = 1, reading: Reading | None = None, *, wide: bool = True) -> Cells:
    """Read columns v and, of a wide file, n."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.sources.csv.PIECE_BYTES", piece)
        source = open_source(path, reading)
        with LocalEngine(jobs) as engine:
            blocks = list(engine.run(source.parts(Selection(("v",), ("n",) if wide else ()))))
        source.verify()
    numbers = [None if math.isnan(value) else value for block in blocks for value in block.numbers["v"].tolist()]
    texts = [None if cell is None else str(cell) for block in blocks if wide for cell in block.labels["n"].to_pylist()]
    return Cells(numbers, texts, sum(note.count for block in blocks for note in block.notes))


def by_csv_module(text: str, *, wide: bool) -> Cells:
    """What Python's csv module reads behind the header."""
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    kept = [row or [""] for row in rows if row or not wide]
    numbers = [None if row[0] in MISSING else float(row[0]) for row in kept]
    texts = [None if row[1] in MISSING else row[1] for row in kept if wide]
    return Cells(numbers, texts, len(rows) - len(kept))


def save(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


NUMBERS = st.one_of(st.just(""), st.integers(-(10**6), 10**6).map(str), st.floats(-1e6, 1e6).map(repr), st.just("1e-3"))


def texts(line_end: str) -> st.SearchStrategy[str]:
    # A line feed in a file of carriage returns has a test of its own.
    return st.text('a1",\r #é' if line_end == "\r" else 'a1",\r\n #é', max_size=8)


@st.composite
def quoted(draw: st.DrawFn, cells: st.SearchStrategy[str]) -> tuple[str, str]:
    """A cell, and how it is written: in quotes where it must be, or may be."""
    cell = draw(cells)
    must = cell.startswith(('"', "#")) or any(mark in cell for mark in ",\r\n")
    if must or draw(st.booleans()):
        return cell, '"' + cell.replace('"', '""') + '"'
    return cell, cell


@st.composite
def wide_files(draw: st.DrawFn, comment: str = "") -> Written:
    """Columns v, n and m, with blank lines, and comments that begin with # where asked for."""
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = draw(st.sampled_from(["v,n,m", '"v",n,"m"', 'v,n,"m ""2"""']))
    text, numbers, names, blank = lines + line_end, [], [], 0
    for _ in range(draw(st.integers(1, 12))):
        for extra in draw(st.lists(st.sampled_from(["", comment] if comment else [""]), max_size=2)):
            text += extra + line_end
            blank += not extra
        cells = [draw(quoted(NUMBERS)), draw(quoted(texts(line_end))), draw(quoted(texts(line_end)))]
        text += ",".join(written for _, written in cells) + line_end
        numbers.append(float(cells[0][0]) if cells[0][0] else None)
        names.append(cells[1][0] if cells[1][0] not in MISSING else None)
    if draw(st.booleans()):
        text = text.removesuffix(line_end)
    return Written(text, Cells(numbers, names, blank), wide=True)


@st.composite
def narrow_files(draw: st.DrawFn) -> Written:
    """Column v alone: blank lines are missing values."""
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    cells = draw(st.lists(quoted(NUMBERS), min_size=1, max_size=20))
    text = "v" + line_end + "".join(written + line_end for _, written in cells)
    if cells[-1][1] and draw(st.booleans()):
        text = text.removesuffix(line_end)
    return Written(text, Cells([float(cell) if cell else None for cell, _ in cells]), wide=False)


@settings(deadline=None, max_examples=300)
@given(written=st.one_of(wide_files(), narrow_files()), piece=st.sampled_from(PIECES), jobs=st.sampled_from([1, 2]))
def test_cells_are_those_written_for_any_piece_and_jobs(folder: Path, written: Written, piece: int, jobs: int) -> None:
    path = save(folder, written.text)
    assert by_csv_module(written.text, wide=written.wide) == written.cells
    assert read(path, piece, jobs, wide=written.wide) == written.cells


@settings(deadline=None)
@given(written=wide_files(), piece=st.sampled_from(PIECES))
def test_blank_lines_are_counted_for_any_piece(folder: Path, written: Written, piece: int) -> None:
    assert read(save(folder, written.text), piece).blank == written.cells.blank


@settings(deadline=None, max_examples=200)
@given(
    written=wide_files(comment="# it's, a comment with 3,4"),
    piece=st.sampled_from(PIECES),
    jobs=st.sampled_from([1, 2]),
)
def test_comment_lines_are_left_out_for_any_piece(folder: Path, written: Written, piece: int, jobs: int) -> None:
    assert read(save(folder, written.text), piece, jobs, Reading(comment="#")) == written.cells


@settings(deadline=None, max_examples=200)
@given(written=wide_files(comment='#,"a'), piece=st.sampled_from(PIECES))
def test_quotes_in_comment_lines_open_nothing(folder: Path, written: Written, piece: int) -> None:
    assert read(save(folder, written.text), piece, reading=Reading(comment="#")) == written.cells


SOUP = st.lists(
    st.sampled_from(["1", "2.5", ",", '"', "\n", "\r\n", "\r", "a", '""', '",', '\n"', " ", "\n3,"]), max_size=40
)


def outcome(path: Path, piece: int, jobs: int = 1) -> Cells | None:
    try:
        return read(path, piece, jobs)
    except DataError:
        return None


def strictly(text: str) -> Cells | None:
    """The cells of a file that nobody could object to."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    except csv.Error:
        return None
    kept = [row for row in rows if row]
    if not kept or any(
        len(row) != 2 or not (row[0] in MISSING or NUMBER.fullmatch(row[0].strip(" \t"))) for row in kept
    ):
        return None
    return by_csv_module(text, wide=True)


@settings(deadline=None, max_examples=500)
@given(tokens=SOUP, piece=st.sampled_from(PIECES), jobs=st.sampled_from([1, 2]))
@example(tokens=list('1,"\n3,""\n'), piece=7, jobs=1)
@example(tokens=list('1,a"b\n3,"c""\n"\n'), piece=7, jobs=1)
def test_any_text_is_read_alike_for_any_piece(folder: Path, tokens: Sequence[str], piece: int, jobs: int) -> None:
    path = save(folder, "v,n\n" + "".join(tokens))
    assert outcome(path, piece, jobs) == outcome(path, WHOLE)


@settings(deadline=None, max_examples=500)
@given(tokens=SOUP)
def test_any_text_is_read_as_by_the_csv_module_or_refused_for_a_reason(folder: Path, tokens: Sequence[str]) -> None:
    text = "v,n\n" + "".join(tokens)
    found, strict = outcome(save(folder, text), WHOLE), strictly(text)
    if found is not None:
        assert found == by_csv_module(text, wide=True)
    if strict is not None:
        assert found == strict


ANY_BYTES = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.lists(
        st.sampled_from(
            [b"1", b",", b";", b'"', b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"#", b"a", b"\n\n", b"\x0b", b"e"]
        ),
        min_size=1,
        max_size=40,
    ).map(b"".join),
)
READINGS = [
    Reading(),
    Reading(header=False),
    Reading(header=True),
    Reading(comment="#"),
    Reading(delimiter=";", decimal=","),
    Reading(encoding="latin-1", header=True),
    Reading(encoding="utf-16-le"),
]


@settings(deadline=None, max_examples=1000)
@given(content=ANY_BYTES, reading=st.sampled_from(READINGS), piece=st.sampled_from([3, WHOLE]), named=st.booleans())
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes, reading: Reading, piece: int, named: bool) -> None:
    path = save(folder, (b"v,n\n" if named else b"") + content)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(DataError):
        patch.setattr("msecli.sources.csv.PIECE_BYTES", piece)
        source = open_source(path, reading)
        names = tuple(dict.fromkeys(column.name for column in source.columns or ()))
        for part in source.parts(Selection(names[:1], names[1:])):
            list(part())


@pytest.mark.parametrize("piece", PIECES)
def test_a_row_longer_than_a_piece_is_read_whole(tmp_path: Path, piece: int) -> None:
    path = save(tmp_path, f"v,n\n1,{'a' * 1000}\n2,b\n")
    assert read(path, piece) == Cells([1.0, 2.0], ["a" * 1000, "b"])


@pytest.mark.parametrize("piece", PIECES)
def test_integers_that_turn_to_fractions_are_float64_throughout(tmp_path: Path, piece: int) -> None:
    path = save(tmp_path, "v\n" + "1\n" * 50 + "1.5\n")
    assert read(path, piece, wide=False) == Cells([*([1.0] * 50), 1.5])


@pytest.mark.parametrize("piece", PIECES)
def test_an_index_that_turns_to_text_late_is_read_whole(tmp_path: Path, piece: int) -> None:
    rows = [f"1,{number}" for number in range(200)] + ["1,x7"]
    path = save(tmp_path, "v,n\n" + "\n".join(rows))
    assert read(path, piece).texts == [str(number) for number in range(200)] + ["x7"]


def refusal(path: Path, piece: int, reading: Reading | None = None, *, wide: bool = True) -> str:
    with pytest.raises(DataError) as caught:
        read(path, piece, 2, reading, wide=wide)
    return str(caught.value).removeprefix(str(path))


BODY = "1,a\n" * 500
BAD_LINES = [
    ("v,n\n" + BODY + "x,a\n" + BODY, 502, "'x' is not a number"),
    ("v,n\n" + BODY + "1\n" + BODY, 502, "2 columns expected, 1 found"),
    ("v,n\n" + BODY + "1,a,b\n" + BODY, 502, "2 columns expected, 3 found"),
    ("v,n\n" + BODY + "1,a,\n" + BODY, 502, "delimiter too many"),
    ("v,n\n" + BODY + "v,n\n" + BODY, 502, "repeats the header"),
    ("v,n\n" + BODY + '"x",a\n' + BODY, 502, "'x' is not a number"),
    ("v,n\n" + BODY + '1,"a\nb\nc"\nx,a\n' + BODY, 505, "'x' is not a number"),
    ("v,n\n" + BODY + "\n\nx,a\n" + BODY, 504, "'x' is not a number"),
    ("v,n\n" + BODY + '1,"a\n' + BODY, 502, "never closed"),
    ("v,n\n" + BODY + '"1,a\n' + BODY, 502, "never closed"),
    ("v,n\n" + BODY + '1,a\n1,"b', 503, "never closed"),
    ('v,"n"\n' + '1,"a"\n' * 500 + '1,"a\n' + BODY, 502, "never closed"),
    ("\n\nv,n\n" + BODY + "x,a\n", 504, "'x' is not a number"),
    ("v\n" + "1\n" * 500 + "\nx\n" + "1\n" * 500, 503, "'x' is not a number"),
    ("v\n" + "1\n" * 500 + "x", 502, "'x' is not a number"),
    ('v,n\n1,"\n"\n' + BODY + "x,a\n", 504, "'x' is not a number"),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(("text", "line", "words"), BAD_LINES)
def test_an_error_names_the_true_line(
    tmp_path: Path, *, text: str, line: int, words: str, piece: int, line_end: str
) -> None:
    path = save(tmp_path, text.replace("\n", line_end))
    message = refusal(path, piece, wide=text.lstrip().startswith(("v,n", 'v,"n')))
    assert message.startswith(f", line {line}: ")
    assert words in message


@pytest.mark.parametrize("piece", PIECES)
def test_an_error_behind_comments_names_the_true_line(tmp_path: Path, piece: int) -> None:
    path = save(tmp_path, "# one\nv,n\n" + "1,a\n# two\n" * 50 + "x,a\n")
    message = refusal(path, piece, Reading(comment="#"))
    assert message.startswith(", line 103: ")
    assert "'x' is not a number" in message


@pytest.mark.parametrize("piece", PIECES)
def test_a_byte_that_is_not_utf8_names_the_true_line(tmp_path: Path, piece: int) -> None:
    path = save(tmp_path, b"v,n\n" + BODY.encode() + b"1,\xe9\n" + BODY.encode())
    message = refusal(path, piece)
    assert message.startswith(", line 502: ")
    assert "0xE9" in message


def test_a_line_too_long_to_be_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.sources.csv.LONGEST_RECORD", 1 << 20)
    path = save(tmp_path, "v,n\n1,a\n2," + "a" * (3 << 20) + "\n3,b\n")
    message = refusal(path, 1 << 10)
    assert message.startswith(", line 3: ")
    assert "longer than 1 MiB" in message


@pytest.mark.parametrize("piece", [7, 64])
def test_a_quote_that_swallows_rows_is_refused(tmp_path: Path, piece: int) -> None:
    # RFC 4180: behind the closing quote comes a delimiter or the end of the line.
    path = save(tmp_path, 'v,n\n1,"a"\n2,"b\n3,"c"\n4,d\n')
    assert refusal(path, piece).startswith(", line 3: ")


@pytest.mark.parametrize("cell", ['"1\n"', "\x0b1", "1\x0c"])
def test_a_number_among_line_ends_is_named_in_the_error(tmp_path: Path, cell: str) -> None:
    message = refusal(save(tmp_path, f"v,n\n3,b\n{cell},a\n"), WHOLE)
    assert message.startswith(", line 3: ")
    assert "'v'" in message


@pytest.mark.parametrize("number", ["0" * 5000 + "9007199254740993", "1" * 5000])
def test_an_integer_of_5000_digits_is_read(tmp_path: Path, number: str) -> None:
    path = save(tmp_path, f"v,n\n{number},a\n")
    assert read(path).numbers == [float(number)]


def test_an_index_of_5000_digits_is_text(tmp_path: Path) -> None:
    assert read(save(tmp_path, f"v,n\n1,{'1' * 5000}\n")).texts == ["1" * 5000]


def notes(path: Path) -> list[tuple[str, int]]:
    blocks = read_parts(open_source(path))
    return [(note.code, note.count) for block in blocks for note in block.notes]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["9007199254740992", "1"], []),
        (["9007199254740993", "-9007199254740993", "9007199254740994"], [("rounded_integers", 2)]),
        (["9007199254740993.0", "1e300"], []),
        (["1e400", "-1e400", "1"], [("overflowed_numbers", 2)]),
        (["inf", "-inf", "Infinity"], []),
        (["inf", "1e999", "9007199254740993"], [("overflowed_numbers", 1), ("rounded_integers", 1)]),
        (["nan", "9007199254740993"], [("rounded_integers", 1)]),
    ],
)
def test_numbers_that_float64_cannot_hold_are_counted(
    tmp_path: Path, cells: list[str], expected: list[tuple[str, int]]
) -> None:
    assert notes(save(tmp_path, "v\n" + "\n".join(cells))) == expected


@pytest.mark.parametrize("word", ["NaN", "nan", "NAN", "-nan", "NA", "N/A", "null", "NULL", '""', ""])
def test_words_for_missing(tmp_path: Path, word: str) -> None:
    assert read(save(tmp_path, f"v\n1\n{word}\n2\n"), wide=False) == Cells([1.0, None, 2.0])


@pytest.mark.parametrize(
    ("word", "value"),
    [("+1", 1.0), ("1.", 1.0), (".5", 0.5), (" 1\t", 1.0), ("-0", 0.0), ("1E5", 1e5), ("inf", math.inf),
     ("-Infinity", -math.inf), ("+INF", math.inf), ("1e-400", 0.0), ("0x1p3", None)],
)  # fmt: skip
def test_words_for_numbers(tmp_path: Path, word: str, value: float | None) -> None:
    path = save(tmp_path, f"v,n\n{word},a\n")
    if value is None:
        assert "is not a number" in refusal(path, WHOLE)
    else:
        assert read(path).numbers == [value]


def test_na_values_are_added_to_the_list(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n-999,-999\nNA,?\n1,a\n")
    assert read(path, reading=Reading(na_values=("-999", "?"))) == Cells([None, None, 1.0], [None, None, "a"])


def test_a_decimal_comma(tmp_path: Path) -> None:
    path = save(tmp_path, "v;n\n1,5;a\n-,25;b\n3;c\n")
    assert read(path, reading=Reading(delimiter=";", decimal=",")).numbers == [1.5, -0.25, 3.0]


@pytest.mark.parametrize("lines", ["", "\n", "\n\n\r\n"])
def test_blank_lines_before_the_header_are_skipped(tmp_path: Path, lines: str) -> None:
    assert read(save(tmp_path, lines + "v\n1\n\n2\n"), wide=False) == Cells([1.0, None, 2.0])


@pytest.mark.parametrize(
    ("text", "expected"), [("\n1\n2\n", [None, 1.0, 2.0]), ("\n\n1\n", [None, None, 1.0]), ("1\n\n", [1.0, None])]
)
def test_without_a_header_every_blank_line_of_one_column_is_missing(
    tmp_path: Path, text: str, expected: list[float | None]
) -> None:
    source = open_source(save(tmp_path, text), Reading(header=False))
    values = [value for part in source.parts(Selection(("0",))) for block in part() for value in block.numbers["0"]]
    assert [None if math.isnan(value) else float(value) for value in values] == expected


def read_parts(source: Source) -> list[Block]:
    return [block for part in source.parts(Selection(("v",))) for block in part()]


def names(path: Path, reading: Reading | None = None) -> list[str]:
    return [column.name for column in open_source(path, reading).columns or ()]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("v,n", ["v", "n"]),
        ('"v","n"', ["v", "n"]),
        ('v,"a,b"', ["v", "a,b"]),
        ('v,"a\nb"', ["v", "a\nb"]),
        ('v,"a""b"', ["v", 'a"b']),
        ('v,5" pipe', ["v", '5" pipe']),
        (" v , n ", [" v ", " n "]),
        (",v", ["", "v"]),
        ("v,", ["v", ""]),
        ("v,é", ["v", "é"]),
    ],
)
def test_names_of_the_header(tmp_path: Path, header: str, expected: list[str]) -> None:
    assert names(save(tmp_path, f"{header}\n1,2\n")) == expected


def test_a_header_of_10_000_names_behind_a_blank_line(tmp_path: Path) -> None:
    expected = [f"column_{number}" for number in range(10_000)]
    assert names(save(tmp_path, "\n" + ",".join(expected) + "\n")) == expected


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    assert names(save(tmp_path, "1,a\n2,b\n"), Reading(header=False)) == ["0", "1"]


def test_a_header_of_numbers_is_taken_where_said(tmp_path: Path) -> None:
    assert names(save(tmp_path, "2020,2021\n1,2\n"), Reading(header=True)) == ["2020", "2021"]


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [
        (["1", "2"], True),
        (["", "NA"], True),
        (["", "a"], False),
        (["1", "2", "x"], True),
        (["a", "b", "1"], False),
        (["1,5", "2,5"], True),
        (["inf", "nan"], True),
        (["2020-01-01"], False),
        (["True"], False),
    ],
)
def test_a_column_is_numeric_if_most_of_its_cells_are(tmp_path: Path, cells: list[str], numeric: bool) -> None:
    source = open_source(save(tmp_path, "m,v\n" + "".join(f'a,"{cell}"\n' for cell in cells)))
    assert [column.numeric for column in source.columns or ()] == [False, numeric]


@pytest.mark.parametrize(
    "reading",
    [
        Reading(delimiter=";;"),
        Reading(delimiter=""),
        Reading(delimiter="é"),
        Reading(delimiter="\n"),
        Reading(delimiter='"'),
        Reading(decimal=","),
        Reading(decimal=";", delimiter=";"),
        Reading(decimal=".."),
        Reading(comment="//"),
        Reading(comment='"'),
        Reading(encoding="bogus"),
        Reading(encoding="base64"),
        Reading(encoding="rot13"),
        Reading(format="bogus"),
    ],
    ids=repr,
)
def test_impossible_ways_of_reading_are_usage_errors(tmp_path: Path, reading: Reading) -> None:
    with pytest.raises(UsageError):
        open_source(save(tmp_path, "v,n\n1,2\n"), reading)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "utf-8-sig"])
def test_other_encodings_are_read_as_said(tmp_path: Path, encoding: str) -> None:
    path = save(tmp_path, "v,n\r\n1,é\r\n\r\n2,ü".encode(encoding))
    assert read(path, 7, reading=Reading(encoding=encoding)) == Cells([1.0, 2.0], ["é", "ü"])


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-16", b"v,n\n1,2\n"),
        ("cp1252", b"v,n\n\x81,2\n"),
        ("utf-32", b"v,n\n1,2\n"),
        ("punycode", b"v-,n\n1,2\n"),
        ("utf-7", b"v,n\n+2AA-,2\n"),
    ],
)
def test_a_file_in_another_encoding_than_said_is_refused_and_closed(
    tmp_path: Path, encoding: str, content: bytes
) -> None:
    with pytest.raises(DataError, match=encoding):
        open_source(save(tmp_path, content), Reading(encoding=encoding))
    gc.collect()  # a file left open would raise its ResourceWarning here


def test_a_file_cut_off_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n" + "1,a\n" * 100)
    source = open_source(path)
    with path.open("r+b") as file:
        file.truncate(50)
    with pytest.raises(DataError, match=r"x\.csv"):
        read_parts(source)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n1,a\n")
    source = open_source(path)
    with path.open("a") as file:
        file.write("2,b\n")
    with pytest.raises(DataError, match="changed while it was read"):
        source.verify()


def test_a_changed_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n1,a\n".encode("utf-16"))
    source = open_source(path, Reading(encoding="utf-16"))
    path.write_bytes("v,n\n1,a\n2,b\n".encode("utf-16"))
    with pytest.raises(DataError, match="changed while it was read"):
        source.verify()


def test_tab_separated_text(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('v\tn\n1\t"a\tb"\n2\tc,d\n')
    assert read(path) == Cells([1.0, 2.0], ["a\tb", "c,d"])
    assert open_source(path).format == "tsv"
