"""Numbers read without a parser.

Expected numbers are what Python's float reads in the cells that were written, and, for any text at all, what the
parser of Arrow finds in the same file: with or without it, a file has the same numbers or the same error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.engines.local import LocalEngine
from msecli.errors import DataError
from msecli.sources import kernels, open_source
from msecli.sources.base import Reading, Selection
from msecli.sources.fields import OddQuotesError, plain_numbers
from msecli.sources.records import Dialect, Text

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT")
NEVER = 1 << 60
WHOLE = 2 << 20
PIECES = (5, 16, 64)

Found = tuple[list[list[float | None]], list[tuple[str, str, int]]] | str


def numbers(text: str, width: int, columns: Sequence[int], delimiter: bytes = b",") -> list[list[float]] | None:
    """Return the numbers of columns, or None if a parser is needed."""
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    found = plain_numbers(Text(data, Dialect(delimiter), width, '"' in text, "\r" in text), columns, MISSING)
    return None if found is None else [column.tolist() for column in found]


def cell(value: float) -> float | None:
    return None if math.isnan(value) else value


def check_same(path: Path, piece: int, jobs: int, reading: Reading | None = None) -> None:
    """Check that a file has the same numbers or the same error, and in pieces the same numbers or an error."""
    expected = read(path, NEVER, WHOLE, 1, reading)
    assert read(path, 0, WHOLE, jobs, reading) == expected
    found = read(path, 0, piece, jobs, reading)
    # Of two errors the one that is met first depends on the pieces.
    assert found == expected or (isinstance(found, str) and isinstance(expected, str))


def read(path: Path, short: int, piece: int, jobs: int, reading: Reading | None = None) -> Found:
    """Return the numbers of columns v and w and the notes, or the error; files above `short` bytes without a parser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.sources.csv.PIECE_BYTES", piece)
        patch.setattr("msecli.sources.csv.SHORT_FILE", short)
        try:
            source = open_source(path, reading)
            with LocalEngine(jobs) as engine:
                blocks = list(engine.run(source.parts(Selection(("v", "w")))))
        except DataError as error:
            return str(error)
    values = [[cell(value) for block in blocks for value in block.numbers[name].tolist()] for name in ("v", "w")]
    notes: dict[tuple[str, str], int] = {}
    for note in (note for block in blocks for note in block.notes):
        notes[note.code, note.where] = notes.get((note.code, note.where), 0) + note.count
    return values, [(*key, count) for key, count in sorted(notes.items())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fields")


CELLS = st.one_of(
    st.floats(-1e300, 1e300).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["", "NA", "null", "nan", "-inf", "1e400", "7", " 7", "7 ", "+7", ".5", '"7"', "x", "1,5"]),
)
USUAL = st.one_of(st.floats(-1e6, 1e6).map(repr), st.integers(-999, 999).map(str), st.just(""))
TEXTS = st.sampled_from(["", "a", "a b", '"a, b"', '"a\nb"', '"say ""a"""', '""', '"a', 'a"', '5" pipe', "é", "a\rb"])


@st.composite
def files(draw: st.DrawFn, numbers: st.SearchStrategy[str], texts: st.SearchStrategy[str]) -> str:
    """Columns n, v, m and w, of which v and w are numbers."""
    line_end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    rows = draw(st.lists(st.tuples(texts, numbers, texts, numbers), min_size=1, max_size=12))
    lines = ["n,v,m,w", *(",".join(row) for row in rows)]
    if draw(st.integers(0, 9)) == 0:
        lines.insert(draw(st.integers(1, len(lines))), draw(st.sampled_from(["", "1,2,3", "1,2,3,4,5", '"', ","])))
    return line_end.join(lines) + draw(st.sampled_from([line_end, line_end, ""]))


@settings(deadline=None, max_examples=600)
@given(
    text=st.one_of(files(USUAL, st.sampled_from(["", "a", '"a, b"', '"say ""a"""'])), files(CELLS, TEXTS)),
    piece=st.sampled_from(PIECES),
    jobs=st.sampled_from([1, 2, 3]),
)
@example(text='n,v,m,w\na,1,"b\nc",2\n5" x,3,"d",4\n"e",5,f"f,6\n', piece=16, jobs=2)
@example(text='n,v,m,w\nx,1,y"\n,2\n', piece=16, jobs=1)
def test_a_file_has_the_same_numbers_with_and_without_a_parser(folder: Path, text: str, piece: int, jobs: int) -> None:
    path = folder / "file.csv"
    path.write_text(text, newline="")
    check_same(path, piece, jobs)


SOUP = ["1", "2.5", ",", ",", '"', "\n", "\n", "\r\n", "\r", "a", '""', '",', '\n"', " ", "NA", "\n3,", "nan", "1e999"]


@settings(deadline=None, max_examples=800)
@given(tokens=st.lists(st.sampled_from(SOUP), max_size=40), piece=st.sampled_from(PIECES), jobs=st.sampled_from([1, 2]))
def test_any_text_has_the_same_numbers_with_and_without_a_parser(
    folder: Path, tokens: list[str], piece: int, jobs: int
) -> None:
    path = folder / "soup.csv"
    path.write_text("v,w\n" + "".join(tokens), newline="")
    check_same(path, piece, jobs)


@settings(deadline=None)
@given(text=files(USUAL, TEXTS), reading=st.sampled_from([Reading(na_values=("7", "-")), Reading(comment="#")]))
def test_ways_of_reading_are_the_same_with_and_without_a_parser(folder: Path, text: str, reading: Reading) -> None:
    path = folder / "ways.csv"
    path.write_text(text, newline="")
    check_same(path, 64, 2, reading)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|", " "])
def test_numbers_are_those_that_float_reads(line_end: str, delimiter: str) -> None:
    chance = np.random.default_rng(1)
    values = chance.uniform(-1, 1, (1000, 5)) * 10.0 ** chance.integers(-300, 300, (1000, 5))
    rows = [[repr(value) for value in row] for row in values.tolist()]
    text = "".join(delimiter.join(row) + line_end for row in rows)
    found = numbers(text, 5, [0, 2, 4], delimiter.encode())
    assert found == [[float(row[column]) for row in rows] for column in (0, 2, 4)]


@pytest.mark.parametrize("word", MISSING)
def test_missing_numbers_need_no_parser(word: str) -> None:
    found = numbers(f"1,{word}\n{word},2\n", 2, [0, 1])
    assert found is not None
    assert [[cell(value) for value in column] for column in found] == [[1.0, None], [None, 2.0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,"b, c",1\n"d\ne",f,2\n', [1.0, 2.0]),
        ('"a ""b""",,1\n"""",x,2\n', [1.0, 2.0]),
        ('"a","b",1\r\n"c","d\r",2\r\n', None),
        ('"a","b",1\n"c","d\r",2\n', None),
        ("a,b,inf\nc,d,-Infinity\n", [math.inf, -math.inf]),
        ("a,b,1\nc,d,2", None),
        ("a,b,1\nc,2\n", None),
        ("a,b,1\n\nc,d,2\n", None),
        ("a,b,1\r\nc,d,2\n", None),
        ("a,b\rc,1\n", None),
        ("a,b, 1\n", None),
        ('a,b,"1"\n', None),
        ("a,b,one\n", None),
        ("a,b,--\n", None),
        ("", None),
    ],
)
def test_what_needs_a_parser(text: str, expected: list[float] | None) -> None:
    assert numbers(text, 3, [2]) == (None if expected is None else [expected])


@pytest.mark.parametrize("text", ['5" pipe,1\n', '"a"b,1\n', '"a,1\n', 'a",1\n"b,2\n', 'x,"a\ny"z,1\n', '1,"\n'])
def test_quotes_in_odd_places_are_noticed(text: str) -> None:
    with pytest.raises(OddQuotesError):
        numbers(text, 2, [1])


def test_a_long_file_is_read_without_a_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parser(*_: object) -> None:
        raise AssertionError("parsed")

    path = tmp_path / "long.csv"
    path.write_text("v,w\n" + "0.25,0.5\n" * 200_000)
    monkeypatch.setattr("msecli.sources.csv._parsed", parser)
    found = read(path, 1 << 20, WHOLE, 2)
    assert found == ([[0.25] * 200_000, [0.5] * 200_000], [])


def test_quotes_in_odd_places_far_down_cut_no_record(tmp_path: Path) -> None:
    """The first piece is cut behind the line feed that is inside quotes, if the quote of the pipe is counted."""
    rows = ['5" pipe,1,"a\nb",2', 'c,3,"d\ne",4'] * 50
    path = tmp_path / "odd.csv"
    path.write_text("n,v,m,w\n" + 'x,1,"y",2\n' * 50 + "\n".join(rows) + "\n")
    for piece in range(100, 140):
        assert read(path, 0, piece, 2) == ([[1.0] * 50 + [1.0, 3.0] * 50, [2.0] * 50 + [2.0, 4.0] * 50], [])


def test_functions_of_arrow_are_those_of_its_public_module() -> None:
    import pyarrow.compute as pc

    for name in ("CastOptions", "DictionaryEncodeOptions", "SetLookupOptions", "call_function"):
        assert getattr(kernels, name) is getattr(pc, name)
