"""Numbers read without a parser.

Expected numbers are what Python's float reads in the fields that were written. That any text has the same numbers or
the same error with and without a parser is tested in `tests/fuzz`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from msecli.arrow import functions
from msecli.text.plain import plain_numbers
from msecli.text.records import Dialect, Text
from tests.files import held, opened, write
from tests.fuzz.sizes import reading_in

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT")


def numbers(text: str, width: int, columns: Sequence[int], delimiter: bytes = b",") -> list[list[float]] | None:
    """Return the numbers of columns, or None if a parser is needed."""
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    found = plain_numbers(Text(data, Dialect(delimiter), width, '"' in text, "\r" in text), columns, MISSING)
    return None if found is None else [column.tolist() for column in found]


def cell(value: float) -> float | None:
    return None if math.isnan(value) else value


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
def test_quotes_in_odd_places_need_a_parser(text: str) -> None:
    assert numbers(text, 2, [1]) is None


def test_a_long_file_is_read_without_a_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def parser(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("msecli.formats.csv._parsed", parser)
    found = held(opened(write(tmp_path / "long.csv", "v,w\n" + "0.25,0.5\n" * 300_000)), ["v", "w"], jobs=2)
    assert {name: set(values.tolist()) for name, values in found.numbers.items()} == {"v": {0.25}, "w": {0.5}}
    assert (len(found.numbers["v"]), len(found.blocks) > 1, found.warnings) == (300_000, True, [])


def test_quotes_in_odd_places_far_down_cut_no_record(tmp_path: Path) -> None:
    """A part ends behind the line feed that is inside quotes, if the quote of the pipe is counted."""
    rows = ['5" pipe,1,"a\nb",2', 'c,3,"d\ne",4'] * 50
    path = write(tmp_path / "odd.csv", "n,v,m,w\n" + 'x,1,"y",2\n' * 50 + "\n".join(rows) + "\n")
    for part in range(100, 140):
        with reading_in({"part": part, "short": 0}):
            found = held(opened(path), ["v", "w"], jobs=2).numbers
        assert found["v"].tolist() == [1.0] * 50 + [1.0, 3.0] * 50
        assert found["w"].tolist() == [2.0] * 50 + [2.0, 4.0] * 50


def test_functions_of_arrow_are_those_of_its_public_module() -> None:
    import pyarrow.compute as pc

    for name in ("CastOptions", "DictionaryEncodeOptions", "SetLookupOptions", "call_function"):
        assert getattr(functions, name) is getattr(pc, name)
