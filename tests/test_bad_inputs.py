"""The table of bad and odd inputs, end to end through the command line.

The first number of a case is its row in that table. Losses of the accepted cases are worked out by hand: most files
hold residuals of 0 and 1, or a number and itself.
"""

from __future__ import annotations

import codecs
import datetime as dt
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from msecli.formats.csv import PART_BYTES
from tests.files import npy_bytes, parquet_bytes

Run = Callable[..., Any]

USAGE, DATA, READ_WRITE = 2, 3, 4
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """Files, arguments, and what the run must end with: for errors the words of the one message."""

    name: str
    files: Mapping[str, bytes | str]
    arguments: tuple[str, ...]
    code: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Accepted:
    """Files, arguments, the loss that must be printed, and the words of the warnings (none: no warning)."""

    name: str
    files: Mapping[str, bytes | str]
    arguments: tuple[str, ...]
    loss: float
    words: tuple[str, ...] = field(default=())


def npy(values: Any, dtype: Any = None) -> bytes:
    return npy_bytes(np.asanyarray(values, dtype))


def npy_header(text: str, data: bytes = bytes(24), version: tuple[int, int] = (1, 0)) -> bytes:
    header = text.encode("latin-1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + data


def npy_shape(shape: str) -> bytes:
    return npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}")


def values_only(column: Any) -> dict[str, bytes]:
    """A Parquet file whose prediction column is this one, and whose targets are 1."""
    return {"x.parquet": parquet_bytes({"yhat": column, "y": [1.0] * len(column)})}


def cell(text: str) -> dict[str, bytes | str]:
    """Two one-column files; the second prediction is this text, the targets are 1."""
    return {"p.csv": f"yhat\n1\n{text}\n1\n", "t.csv": "y\n1\n1\n1\n"}


def corrupt_page() -> bytes:
    data = bytearray(
        parquet_bytes({"yhat": np.arange(64.0), "y": np.zeros(64)}, compression="none", use_dictionary=False)
    )
    place = data.index(np.float64(17.0).tobytes())
    data[place : place + 8] = np.float64(18.0).tobytes()
    return bytes(data)


TWO = ("p.csv", "t.csv")
OMIT = ("--nan-pred", "omit", "--nan-policy", "omit")
PLAIN = "yhat,y\n1,2\n3,3\n"
T3 = "y\n1\n2\n3\n"
GOOD_PARQUET = parquet_bytes({"yhat": [1.0, 2.0], "y": [1.0, 3.0]})
LONG_TEXT = "n" * 200_000

FILES = [
    Case(
        "01 missing, with a near name",
        {"pred.csv": PLAIN},
        ("pred.cvs",),
        READ_WRITE,
        ("pred.cvs", "no such file", "pred.csv"),
    ),
    Case("01 missing folder", {}, ("nowhere/x.csv",), READ_WRITE, ("nowhere/x.csv", "no such file", "folder nowhere")),
    Case(
        "01 both missing, told together",
        {},
        ("a.csv", "b.csv"),
        READ_WRITE,
        ("a.csv: no such file", "b.csv: no such file"),
    ),
    Case("01 a folder with hidden files", {".x": b"a"}, (".",), READ_WRITE, (".: ", "folder", "1 hidden file")),
    Case("01 a name too long", {}, ("n" * 300,), READ_WRITE, ("nnn", "name too long")),
    Case(
        "01 missing beside bad data: both are told",
        {"p.csv": ""},
        ("p.csv", "b.csv"),
        READ_WRITE,
        ("p.csv", "empty", "b.csv"),
    ),
    Case("02 empty CSV", {"x.csv": b""}, ("x.csv",), DATA, ("x.csv", "empty")),
    Case("02 empty TSV", {"x.tsv": b""}, ("x.tsv",), DATA, ("x.tsv", "empty")),
    Case("02 empty NPY", {"x.npy": b"", "t.npy": npy([1.0])}, ("x.npy", "t.npy"), DATA, ("x.npy", "empty")),
    Case("02 empty Parquet", {"x.parquet": b""}, ("x.parquet",), DATA, ("x.parquet", "empty")),
    Case("02 /dev/null", {}, ("/dev/null",), DATA, ("/dev/null", "empty")),
    Case("02 empty standard input", {}, ("-",), DATA, ("-: ", "empty")),
    Case("02 nothing but blank lines", {"x.csv": "\n\n\r\n"}, ("x.csv",), DATA, ("x.csv", "blank")),
    Case("02 nothing but a byte order mark", {"x.csv": b"\xef\xbb\xbf"}, ("x.csv",), DATA, ("x.csv",)),
    Case("03 header only", {"x.csv": "yhat,y\n"}, ("x.csv",), DATA, ("x.csv", "no rows")),
    Case("03 header only, no line end", {"x.csv": "yhat,y"}, ("x.csv",), DATA, ("x.csv", "no rows")),
    Case("03 header and blank lines", {"x.csv": "yhat,y\n\n\n"}, ("x.csv",), DATA, ("x.csv", "no rows")),
    Case("03 header only, one column", {"p.csv": "yhat\n", "t.csv": "y\n"}, TWO, DATA, ("p.csv", "no rows")),
    Case("03 header only, TSV", {"x.tsv": "yhat\ty\n"}, ("x.tsv",), DATA, ("x.tsv", "no rows")),
    Case("03 NPY of zero rows", {"x.npy": npy(np.zeros((0, 3)))}, ("x.npy", "x.npy"), DATA, ("x.npy", "(0, 3)")),
    Case(
        "03 Parquet of zero rows",
        {"x.parquet": parquet_bytes({"yhat": pa.array([], pa.float64()), "y": pa.array([], pa.float64())})},
        ("x.parquet",),
        DATA,
        ("x.parquet", "no rows"),
    ),
    Case("03 Parquet without columns", {"x.parquet": parquet_bytes({})}, ("x.parquet",), DATA, ("x.parquet",)),
    Case("04 header missing", {"x.csv": "1,2\n3,4.5\n"}, ("x.csv",), DATA, ("x.csv", "'1,2'", "--no-header")),
    Case(
        "04 header missing, one column",
        {"p.csv": "1\n2.5\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv", "'1'", "--no-header pred"),
    ),
    Case(
        "05 a misspelt column",
        {"x.csv": PLAIN},
        ("x.csv", "-p", "yhta", "-t", "y"),
        DATA,
        ("x.csv", "'yhta'", "did you mean 'yhat'", "'y'"),
    ),
    Case(
        "05 a column like no other",
        {"x.csv": PLAIN},
        ("x.csv", "-p", "zz", "-t", "y"),
        DATA,
        ("x.csv", "'zz'", "'yhat'", "'y'"),
    ),
    Case(
        "05 a column not in a Parquet file",
        {"x.parquet": GOOD_PARQUET},
        ("x.parquet", "-p", "zz"),
        DATA,
        ("x.parquet", "'zz'", "'yhat'", "'y'"),
    ),
    Case(
        "05 a column beyond an array's last",
        {"x.npy": npy(np.zeros((2, 2)))},
        ("x.npy", "-p", "0", "-t", "2"),
        DATA,
        ("x.npy", "'2'", "'0'", "'1'"),
    ),
    Case(
        "06 a duplicate column, named",
        {"x.csv": "y,y,yhat\n3,4,5\n"},
        ("x.csv", "-t", "y"),
        DATA,
        ("x.csv", "2 columns", "'y'"),
    ),
    Case(
        "06 a duplicate column, by rule",
        {"x.csv": "y,y,yhat\n3,4,5\n"},
        ("x.csv",),
        DATA,
        ("x.csv", "2 columns", "'y'"),
    ),
    Case(
        "06 a duplicate column of a Parquet file",
        {"x.parquet": parquet_bytes(pa.Table.from_arrays([pa.array([1.0])] * 3, ["yhat", "yhat", "y"]))},
        ("x.parquet", "-p", "yhat"),
        DATA,
        ("x.parquet", "2 columns", "'yhat'"),
    ),
    Case(
        "06 a column named twice",
        {"x.csv": PLAIN},
        ("x.csv", "-p", "yhat", "-p", "yhat", "-t", "y", "-t", "y"),
        DATA,
        ("x.csv", "'yhat'", "twice"),
    ),
    Case(
        "07 two names that differ in blanks",
        {"x.csv": " yhat,yhat ,y\n1,1,1\n"},
        ("x.csv", "-p", "yhat", "-t", "y"),
        DATA,
        ("x.csv", "' yhat'", "'yhat '"),
    ),
    Case("08 semicolons", {"x.csv": "yhat;y\n1;2\n"}, ("x.csv",), DATA, ("x.csv", "one column", "';'", "--delimiter")),
    Case("08 tabs", {"x.csv": "yhat\ty\n1\t2\n"}, ("x.csv",), DATA, ("x.csv", "one column", r"'\t'", "--delimiter")),
    Case("08 bars", {"x.csv": "yhat|y\n1|2\n"}, ("x.csv",), DATA, ("x.csv", "one column", "'|'", "--delimiter")),
    Case(
        "08 commas in a TSV",
        {"x.tsv": "yhat,y\n1,2\n"},
        ("x.tsv",),
        DATA,
        ("x.tsv", "one column", "'yhat,y'", "--delimiter ,"),
    ),
    Case(
        "09 a short row",
        {"x.csv": "yhat,y,n\n1,2,a\n1,2\n3,5,b\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "3 columns expected, 2 found"),
    ),
    Case(
        "09 a long row",
        {"x.csv": "yhat,y\n1,2\n1,2\n3,5,7\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 4", "2 columns expected, 3 found"),
    ),
    Case(
        "09 a short row in a TSV",
        {"x.tsv": "yhat\ty\n1\t2\n1\n"},
        ("x.tsv",),
        DATA,
        ("x.tsv, line 3", "2 columns expected, 1 found"),
    ),
    Case(
        "09 a trailing comma in one row",
        {"x.csv": "yhat,y\r\n1,2\r\n1,2,\r\n3,5\r\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "delimiter"),
    ),
    Case(
        "09 a trailing comma in every row",
        {"x.csv": "yhat,y\n1,2,\n3,5,\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 2", "delimiter"),
    ),
    Case(
        "09 a short row behind a quoted line end",
        {"x.csv": 'yhat,y,n\n1,2,"a\nb"\n1,2\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 4", "3 columns expected, 2 found"),
    ),
    Case(
        "09 a short row behind a blank line",
        {"x.csv": "yhat,y,n\n1,2,a\n\n\n1,2\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 5", "3 columns expected, 2 found"),
    ),
    Case(
        "09 a row of blanks",
        {"x.csv": "yhat,y\n1,2\n   \n3,5\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "2 columns expected, 1 found"),
    ),
    Case(
        "10 unclosed quote in a wanted column",
        {"x.csv": 'yhat,y,n\n1,2,a\n"3,5,b\n4,9,c\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in the middle column",
        {"x.csv": 'yhat,n,y\n1,a,2\n3,"b,5\n4,c,9\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in an unwanted column",
        {"x.csv": 'yhat,y,n,m\n1,2,a,a\n3,5,"b,b\n4,9,c,c\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in the last column",
        {"x.csv": 'yhat,y,n\n1,2,a\n3,5,"b\n4,9,c\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in the last cell",
        {"x.csv": 'yhat,y,n\n1,2,a\n3,5,"b'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 a quote as the last byte",
        {"x.csv": 'yhat,y,n\n1,2,a\n3,5,"'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in the first row",
        {"x.csv": 'yhat,y,n\n1,2,"a\n3,5,b\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 2", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote in the only column",
        {"p.csv": 'yhat\n1\n"2\n3\n', "t.csv": T3},
        TWO,
        DATA,
        ("p.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote among quoted cells",
        {"x.csv": 'yhat,y,n\n1,2,"a"\n3,5,"b""\n4,9,c\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote before a doubled one on another line",
        {"x.csv": 'yhat,y,n\n1,2,a\n1,2,"a\nb""c\n3,4,d\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote before another quoted cell",
        {"x.csv": 'yhat,y,n\n1,2,"a"\n3,5,"b\n4,9,"c"\n5,5,d\n'},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "quote"),
    ),
    Case(
        "10 unclosed quote in the header",
        {"x.csv": 'yhat,y,"n\n1,2,a\n3,5,b\n'},
        ("x.csv", "-p", "yhat", "-t", "y"),
        DATA,
        ("x.csv, line 1", "quote"),
    ),
    Case(
        "10 unclosed quote in the header of a large file",
        {"x.csv": 'yhat,y,"n\n' + "1,2,ab\n" * 30_000},
        ("x.csv", "-p", "yhat", "-t", "y"),
        DATA,
        ("x.csv, line 1", "quote"),
    ),
    Case(
        "10 unclosed quote after 5 MB",
        {"x.csv": "yhat,y,n\n" + "1,2,x\n" * 900_000 + '1,2,"x\n' + "1,2,x\n" * 9},
        ("x.csv",),
        DATA,
        ("x.csv, line 900002", "quote", "never closed"),
    ),
    Case(
        "10 unclosed quote before 5 MB",
        {"x.csv": 'yhat,y,n\n1,2,"x\n' + "1,2,x\n" * 900_000},
        ("x.csv",),
        DATA,
        ("x.csv, line 2", "quote", "never closed"),
    ),
    Case(
        "12 a cell too long for Python's csv module, and a bad one",
        {"x.csv": f"yhat,y,n\n1,2,{LONG_TEXT}\nx,2,n\n"},
        ("x.csv", "-p", "yhat"),
        DATA,
        ("x.csv, line 3", "'yhat'", "'x'"),
    ),
]
ROWS = [
    Case(
        "13 a blank line at the start",
        {"p.csv": "yhat\n\n1\n2\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv", "'yhat'", "1 of 3 values missing", "row 1", "--nan-pred omit"),
    ),
    Case(
        "13 a blank line in the middle",
        {"p.csv": "yhat\n1\n\n2\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv", "'yhat'", "1 of 3 values missing", "row 2", "--nan-pred omit"),
    ),
    Case(
        "13 a blank line at the end",
        {"p.csv": "yhat\n1\n2\n\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv", "'yhat'", "1 of 3 values missing", "row 3", "--nan-pred omit"),
    ),
    Case(
        "13 a blank line, CRLF",
        {"p.csv": T3, "t.csv": "y\r\n1\r\n\r\n2\r\n"},
        TWO,
        DATA,
        ("t.csv", "'y'", "1 of 3 values missing", "row 2", "--nan-target omit"),
    ),
    Case(
        "13 a blank line, CR only",
        {"p.csv": T3, "t.csv": "y\r1\r\r2\r"},
        TWO,
        DATA,
        ("t.csv", "'y'", "1 of 3 values missing", "row 2", "--nan-target omit"),
    ),
    Case(
        "13 a blank line, no final line end",
        {"p.csv": "yhat\n1\n\n2", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv", "1 of 3 values missing", "row 2"),
    ),
    Case(
        "13 a blank first line without a header",
        {"p.csv": "\n1\n2\n", "t.csv": "1\n2\n3\n"},
        (*TWO, "--no-header"),
        DATA,
        ("p.csv", "1 of 3 values missing", "row 1"),
    ),
    Case(
        "13 a blank line makes a row",
        {"p.csv": "yhat\n1\n\n2\n3\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv has 4", "t.csv has 3"),
    ),
    Case(
        "13 missing on both sides, told together",
        {"x.csv": "yhat,y\n1,\n,2\n,\n3,3\n"},
        ("x.csv",),
        DATA,
        (
            "column 'yhat': 2 of 4 values missing, the first in row 2",
            "column 'y': 2 of 4 values missing, the first in row 1",
            "--nan-pred omit",
            "--nan-target omit",
        ),
    ),
    Case(
        "13 a null in a Parquet file",
        values_only(pa.array([1, None, 3])),
        ("x.parquet", "-p", "yhat"),
        DATA,
        ("x.parquet", "'yhat'", "1 of 3 values missing", "row 2", "--nan-pred omit"),
    ),
    Case(
        "13 NaN in an array",
        {"p.npy": npy([1.0, np.nan]), "t.npy": npy([1.0, 2.0])},
        ("p.npy", "t.npy"),
        DATA,
        ("p.npy", "1 of 2 values missing", "row 2", "--nan-pred omit"),
    ),
    Case(
        "15 a matrix against a vector",
        {"p.npy": npy(np.zeros((3, 2))), "t.npy": npy(np.zeros(3))},
        ("p.npy", "t.npy"),
        DATA,
        ("p.npy", "(2,)", "t.npy", "()", "broadcast"),
    ),
    Case(
        "15 a row against a column",
        {"p.npy": npy(np.zeros((1, 3))), "t.npy": npy(np.zeros((3, 1)))},
        ("p.npy", "t.npy"),
        DATA,
        ("p.npy", "t.npy"),
    ),
    Case(
        "15 images of different shapes",
        {"p.npy": npy(np.zeros((3, 2, 4))), "t.npy": npy(np.zeros((3, 4, 2)))},
        ("p.npy", "t.npy"),
        DATA,
        ("p.npy", "(2, 4)", "t.npy", "(4, 2)"),
    ),
    Case(
        "15 a table against an array of more columns",
        {"t.csv": "a,b\n1,2\n", "p.npy": npy(np.zeros((1, 3)))},
        ("p.npy", "t.csv"),
        DATA,
        ("p.npy", "t.csv", "'a'", "'b'"),
    ),
    Case(
        "46 all ignored",
        {"x.csv": "yhat,y\n1,2\n3,2\n"},
        ("x.csv", "--ignore-index", "2"),
        DATA,
        ("nothing left to score", "2 elements are ignored"),
    ),
    Case(
        "46 all omitted",
        {"x.csv": "yhat,y\n1,\n,2\n"},
        ("x.csv", *OMIT),
        DATA,
        ("nothing left to score", "1 target is missing", "1 prediction is missing"),
    ),
    Case(
        "46 all omitted, with reduction none",
        {"x.csv": "yhat,y\n1,\n,2\n"},
        ("x.csv", *OMIT, "-r", "none"),
        DATA,
        ("nothing left to score",),
    ),
]
CELLS = [
    Case(
        f"17 missing: {text!r}",
        cell(text),
        TWO,
        DATA,
        ("p.csv", "'yhat'", "1 of 3 values missing", "row 2", "--nan-pred omit"),
    )
    for text in (
        "",
        '""',
        "NaN",
        "nan",
        "NAN",
        "-nan",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "null",
        "NULL",
        "None",
        "<NA>",
        "NaT",
    )
] + [
    Case(f"{row} {text}", cell(text), TWO, DATA, ("p.csv, line 3", "'yhat'", "is not a number", *words))
    for row, text, words in (
        ("18", "-", ("'-'", "--na-values")),
        ("18", ".", ("'.'", "--na-values")),
        ("18", "?", ("'?'", "--na-values")),
        ("18", "missing", ("'missing'", "--na-values")),
        ("18", "#missing", ("'#missing'", "--na-values")),
        ("18", "   ", ("'   '", "--na-values")),
        ("20", '"1,5"', ("'1,5'", "--decimal pred=, --delimiter pred=,")),
        ("20", '"1,234.5"', ("'1,234.5'", "as 1234.5", "--thousands pred=,")),
        ("20", "1_0", ("'1_0'", "underscore")),
        ("21", "5%", ("'5%'", "%")),
        ("21", "$3", ("'$3'", "currency")),
        ("21", "3 €", ("'3 €'", "currency")),
        ("21", "1d5", ("'1d5'", "Fortran")),
        ("21", "\u22121", ("'\u22121'", "U+2212")),
        ("21", "\uff15", ("'\uff15'", "U+FF15")),
        ("20", "1\u00a0000", ("as 1000", "--thousands 'pred= '")),
        ("20", '"1,896"', ("as 1.896, use --decimal pred=,", "as 1896, use --thousands pred=,")),
        ("21", "\u0663", ("U+0663",)),
        ("21", "1e", ("'1e'",)),
        ("21", "1e5.0", ("'1e5.0'",)),
        ("21", "--1", ("'--1'",)),
        ("21", "1 2", ("'1 2'",)),
        ("21", "x" * 1000, ("'" + "x" * 40 + "…'",)),
        ("22", "0x1F", ("'0x1F'", "hexadecimal")),
        ("24", "True", ("'True'", "truth value", "1 and 0")),
        ("24", "false", ("'false'", "truth value", "1 and 0")),
        ("25", "2020-01-01", ("'2020-01-01'", "date")),
        ("25", "12:30", ("'12:30'", "time")),
        ("27", "# x", ("--comment",)),
    )
]
TEXT = [
    Case(
        "20 a decimal comma between semicolons",
        {"x.csv": "yhat;y\n1,5;2\n"},
        ("x.csv", "--delimiter", ";"),
        DATA,
        ("x.csv, line 2", "'1,5'", "--decimal ,"),
    ),
    Case(
        "20 a decimal point where a comma is said",
        {"x.csv": "yhat;y\n1,5;2\n2.5;2\n"},
        ("x.csv", "--delimiter", ";", "--decimal", ","),
        DATA,
        ("x.csv, line 3", "'yhat'", "'2.5'", "is not a number"),
    ),
    Case(
        "24 text named as a column",
        {"x.csv": "n,y\nab,2\n"},
        ("x.csv", "-p", "n", "-t", "y"),
        DATA,
        ("x.csv, line 2", "'n'", "'ab'", "is not a number"),
    ),
    Case(
        "25 dates named as a column",
        {"x.csv": "d,y\n2020-01-01,2\n"},
        ("x.csv", "-p", "d", "-t", "y"),
        DATA,
        ("x.csv, line 2", "'d'", "date"),
    ),
    Case("26 a repeated header", {"x.csv": PLAIN + PLAIN}, ("x.csv",), DATA, ("x.csv, line 4", "repeats the header")),
    Case(
        "26 a repeated header, CRLF",
        {"x.csv": (PLAIN + PLAIN).replace("\n", "\r\n")},
        ("x.csv",),
        DATA,
        ("x.csv, line 4", "repeats the header"),
    ),
    Case(
        "26 a repeated header, CR only",
        {"x.csv": (PLAIN + PLAIN).replace("\n", "\r")},
        ("x.csv",),
        DATA,
        ("x.csv, line 4", "repeats the header"),
    ),
    Case(
        "26 a repeated header of one column",
        {"p.csv": "yhat\n1\nyhat\n2\n", "t.csv": T3},
        TWO,
        DATA,
        ("p.csv, line 3", "repeats the header"),
    ),
    Case(
        "27 a comment line",
        {"x.csv": "yhat,y\n1,2\n# hello\n3,5\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "# hello", "--comment '#'"),
    ),
    Case(
        "27 a comment line with a comma",
        {"x.csv": "yhat,y\n1,2\n# hello, you\n3,5\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "--comment '#'"),
    ),
    Case(
        "27 a comment line as the first",
        {"x.csv": "# hello\nyhat,y\n1,2\n3,5\n"},
        ("x.csv",),
        DATA,
        ("x.csv", "# hello", "--comment '#'"),
    ),
    Case(
        "27 the line of an error behind comments",
        {"x.csv": "# a\nyhat,y\n# b\n1,2\n3,x\n4,4\n5,5\n"},
        ("x.csv", "--comment", "#"),
        DATA,
        ("x.csv, line 5", "'y'", "'x'"),
    ),
    Case("27 nothing but comments", {"x.csv": "# a\n# b\n"}, ("x.csv", "--comment", "#"), DATA, ("x.csv",)),
    Case("29 UTF-16 with a mark", {"x.csv": PLAIN.encode("utf-16")}, ("x.csv",), DATA, ("x.csv", "--encoding utf-16")),
    Case(
        "29 UTF-16, big-endian, with a mark",
        {"x.csv": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be")},
        ("x.csv",),
        DATA,
        ("x.csv", "--encoding utf-16"),
    ),
    Case(
        "29 UTF-16 without a mark",
        {"x.csv": PLAIN.encode("utf-16-le")},
        ("x.csv",),
        DATA,
        ("x.csv", "utf-16-le", "--encoding"),
    ),
    Case(
        "29 UTF-16, big-endian, without a mark",
        {"x.csv": PLAIN.encode("utf-16-be")},
        ("x.csv",),
        DATA,
        ("x.csv", "utf-16-be", "--encoding"),
    ),
    Case("29 UTF-32", {"x.csv": PLAIN.encode("utf-32")}, ("x.csv",), DATA, ("x.csv", "--encoding utf-32")),
    Case(
        "29 Latin-1 in a wanted column",
        {"x.csv": "yhat,y\n1,2\né,3\n4,4\n5,5\n".encode("latin-1")},
        ("x.csv",),
        DATA,
        ("x.csv, line 3", "0xE9", "--encoding cp1252"),
    ),
    Case(
        "29 Latin-1 in the header",
        {"x.csv": "yhat,y,é\n1,2,3\n".encode("latin-1")},
        ("x.csv",),
        DATA,
        ("x.csv, line 1", "0xE9", "--encoding cp1252"),
    ),
    Case(
        "29 an encoding nobody knows",
        {"x.csv": PLAIN},
        ("x.csv", "--encoding", "bogus"),
        USAGE,
        ("--encoding", "'bogus'", "utf-16"),
    ),
    Case(
        "29 not in the encoding that was said",
        {"x.csv": b"yhat,y\n\x81,2\n"},
        ("x.csv", "--encoding", "cp1252"),
        DATA,
        ("x.csv", "cp1252", "--encoding"),
    ),
    Case(
        "29 not in ASCII, as was said",
        {"x.csv": "yhat,y\né,2\n3,3\n4,4\n"},
        ("x.csv", "--encoding", "ascii"),
        DATA,
        ("x.csv",),
    ),
    Case(
        "29 not in UTF-16, as was said",
        {"x.csv": PLAIN},
        ("x.csv", "--encoding", "utf-16"),
        DATA,
        ("x.csv", "utf-16", "--encoding"),
    ),
    Case(
        "29 a codec that is no text encoding",
        {"x.csv": PLAIN},
        ("x.csv", "--encoding", "base64"),
        USAGE,
        ("--encoding", "'base64'"),
    ),
    Case(
        "29 a codec from text to text",
        {"x.csv": PLAIN},
        ("x.csv", "--encoding", "rot13"),
        USAGE,
        ("--encoding", "'rot13'"),
    ),
    Case(
        "29 half a UTF-16 character at the end",
        {"x.csv": PLAIN.encode("utf-16") + b"3"},
        ("x.csv", "--encoding", "utf-16"),
        DATA,
        ("x.csv", "utf-16"),
    ),
    Case("30 NUL bytes", {"x.csv": b"yhat,y\n1,2\n\0,3\n"}, ("x.csv",), DATA, ("x.csv", "NUL")),
    Case(
        "30 NUL bytes late in a file",
        {"x.csv": b"yhat,y\n" + b"1,2\n" * 30_000 + b"\0,3\n"},
        ("x.csv",),
        DATA,
        ("x.csv, line 30002", "'yhat'"),
    ),
    Case("30 prose", {"x.csv": "<html>" + "prose " * 1000}, ("x.csv",), DATA, ("x.csv", "HTML")),
    Case(
        "30 a JSON document",
        {"x.csv": json.dumps({"yhat": list(range(9000)), "y": "b" * 5000})},
        ("x.csv",),
        DATA,
        ("x.csv",),
    ),
    Case(
        "30 a pickle",
        {"x.npy": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0]\x94(K\x01K\x02e."},
        ("x.npy", "x.npy"),
        DATA,
        ("x.npy", "pickle", "never loaded", "numpy.save(FILE, array)"),
    ),
    Case("30 text named .parquet", {"x.parquet": PLAIN}, ("x.parquet",), DATA, ("x.parquet",)),
    Case("30 text named .npy", {"x.npy": PLAIN}, ("x.npy", "x.npy"), DATA, ("x.npy",)),
    Case(
        "30 Parquet said to be CSV",
        {"x.parquet": GOOD_PARQUET},
        ("x.parquet", "--input-format", "csv"),
        DATA,
        ("x.parquet", "not text"),
    ),
    Case(
        "30 a format nobody knows",
        {"x.csv": PLAIN},
        ("x.csv", "--input-format", "parqet"),
        USAGE,
        ("--input-format", "'parqet'", "did you mean 'parquet'"),
    ),
] + [
    Case(
        f"30 {words[0]} named {suffix}",
        {f"x{suffix}": magic + b"abcdefgh" * 9},
        (f"x{suffix}", f"x{suffix}"),
        DATA,
        (f"x{suffix}", *words),
    )
    for suffix in (".csv", ".tsv", ".parquet", ".npy")
    for magic, *words in (
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"PK\x03\x04", "ZIP"),
        (b"ARROW1\0\0", "Arrow"),
    )
]
PARQUET = [
    Case(
        "33 footer cut off", {"x.parquet": GOOD_PARQUET[:-10]}, ("x.parquet",), DATA, ("x.parquet", "incomplete copy")
    ),
    Case(
        "33 half a file",
        {"x.parquet": GOOD_PARQUET[: len(GOOD_PARQUET) // 2]},
        ("x.parquet",),
        DATA,
        ("x.parquet", "incomplete copy"),
    ),
    Case("33 nothing but the magic", {"x.parquet": b"PAR1"}, ("x.parquet",), DATA, ("x.parquet", "incomplete copy")),
    Case(
        "33 nothing but both magics",
        {"x.parquet": b"PAR1PAR1"},
        ("x.parquet",),
        DATA,
        ("x.parquet", "incomplete copy"),
    ),
    Case(
        "33 an empty footer",
        {"x.parquet": b"PAR1\0\0\0\0PAR1"},
        ("x.parquet",),
        DATA,
        ("x.parquet", "incomplete copy"),
    ),
    Case(
        "33 garbage between the magics",
        {"x.parquet": b"PAR1" + b"x" * 100 + b"PAR1"},
        ("x.parquet",),
        DATA,
        ("x.parquet", "incomplete copy"),
    ),
    Case(
        "33 a garbage footer",
        {"x.parquet": b"PAR1" + bytes(range(100)) + struct.pack("<I", 100) + b"PAR1"},
        ("x.parquet",),
        DATA,
        ("x.parquet", "incomplete copy"),
    ),
    Case("33 bytes behind the footer", {"x.parquet": GOOD_PARQUET + b"zz"}, ("x.parquet",), DATA, ("x.parquet",)),
    Case("33 bytes before the magic", {"x.parquet": b"zz" + GOOD_PARQUET}, ("x.parquet",), DATA, ("x.parquet",)),
    Case("34 a changed page", {"x.parquet": corrupt_page()}, ("x.parquet",), DATA, ("x.parquet",)),
    Case(
        "36 an encrypted footer",
        {"x.parquet": b"PARE" + GOOD_PARQUET[4:-4] + b"PARE"},
        ("x.parquet",),
        DATA,
        ("x.parquet", "encrypted"),
    ),
    Case(
        "36 a column name that is not UTF-8",
        {
            "x.parquet": parquet_bytes({"yhat": [1.0], "yyyy": [1.0]}, store_schema=False).replace(
                b"yyyy", b"yy\xff\xfe"
            )
        },
        ("x.parquet", "-p", "yhat"),
        DATA,
        ("x.parquet",),
    ),
] + [
    Case(
        f"{row} {name}",
        values_only(column),
        ("x.parquet", "-p", "yhat", "-t", "y"),
        DATA,
        ("x.parquet", "'yhat'", *words),
    )
    for row, name, column, words in (
        ("37", "nothing but nulls", pa.nulls(3), ("3 of 3 values missing", "row 1")),
        (
            "37",
            "a dictionary of strings",
            pa.array(["1", "2"]).dictionary_encode(),
            ("dictionary", "text is not a number"),
        ),
        ("38", "strings", pa.array(["1", "2"]), ("string", "text is not a number")),
        ("38", "large strings", pa.array(["1", "2"], pa.large_string()), ("large_string", "text is not a number")),
        ("38", "string views", pa.array(["1", "2"], pa.string_view()), ("string_view", "text is not a number")),
        ("38", "bytes", pa.array([b"1", b"2"]), ("binary", "bytes are not numbers")),
        (
            "38",
            "bytes of one size",
            pa.array([b"1", b"2"], pa.binary(1)),
            ("fixed_size_binary[1]", "bytes are not numbers"),
        ),
        ("38", "lists of other lengths", pa.array([[1.0], [2.0, 3.0]]), ("row 2", "2 values", "1 value")),
        ("38", "lists of texts", pa.array([["1"], ["2"]]), ("list", "one number per row")),
        ("38", "lists", pa.array([[1.0, 2.0]] * 3), ("(2,)", "shapes differ", "()")),
        ("38", "structs", pa.array([{"a": 1.0}]), ("struct", "one number per row")),
        ("38", "maps", pa.array([[("a", 1.0)]], pa.map_(pa.string(), pa.float64())), ("map", "one number per row")),
        ("25", "timestamps", pa.array([dt.datetime(2020, 1, 1)]), ("timestamp", "dates and times")),  # noqa: DTZ001
        ("25", "dates", pa.array([dt.date(2020, 1, 1)]), ("date32", "dates and times")),
        ("25", "times", pa.array([dt.time(1)]), ("time64", "dates and times")),
        ("25", "durations", pa.array([dt.timedelta(1)]), ("duration", "dates and times")),
    )
]
NPY = [
    Case(f"{row} {name}", {"x.npy": data, "t.npy": npy([1.0, 2.0, 3.0])}, ("x.npy", "t.npy"), DATA, ("x.npy", *words))
    for row, name, data, words in (
        ("39", "truncated", npy([1.0, 2.0, 3.0])[:-1], ("truncated", "(3,)", "152 bytes", "has 151")),
        ("39", "header only", npy([1.0, 2.0, 3.0])[:128], ("truncated", "has 128")),
        ("39", "header cut off", npy([1.0, 2.0, 3.0])[:40], ("header",)),
        ("39", "header length cut off", b"\x93NUMPY\x01\x00\x76", ("header",)),
        ("39", "nothing but the magic", b"\x93NUMPY", ("header",)),
        ("39", "wrong magic", b"\x93NUMPX" + npy([1.0])[6:], ("magic",)),
        ("39", "72 TiB", npy_shape("(10000000000000,)"), ("truncated", "(10000000000000,)")),
        ("39", "more than an int64 of bytes", npy_shape("(4611686018427387904, 4611686018427387904)"), ("truncated",)),
        ("39", "negative", npy_shape("(-3,)"), ("(-3,)", "shape")),
        ("39", "twice negative", npy_shape("(-3, -1)"), ("(-3, -1)", "shape")),
        ("39", "a float", npy_shape("(3.0,)"), ("shape",)),
        ("39", "a truth value", npy_shape("(True,)"), ("shape",)),
        ("39", "no tuple", npy_shape("3"), ("shape",)),
        ("39", "none", npy_shape("None"), ("shape",)),
        ("39", "a number without end", npy_shape(f"({'9' * 5000},)"), ("header",)),
        ("39", "no dictionary", npy_header("3"), ("header",)),
        ("39", "code", npy_header("__import__('os').abort()"), ("header",)),
        (
            "39",
            "an unclosed parenthesis",
            npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,"),
            ("header",),
        ),
        ("39", "an unclosed string", npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': '''"), ("header",)),
        ("39", "too deep", npy_header("(" * 9000), ("header",)),
        ("39", "a missing key", npy_header("{'descr': '<f8', 'shape': (3,)}"), ("header",)),
        (
            "39",
            "a key too many",
            npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': 1}"),
            ("header",),
        ),
        (
            "39",
            "an impossible dtype",
            npy_header("{'descr': '<f99', 'fortran_order': False, 'shape': (3,), }"),
            ("header",),
        ),
        (
            "39",
            "an order that is no truth value",
            npy_header("{'descr': '<f8', 'fortran_order': 7, 'shape': (3,), }"),
            ("header",),
        ),
        (
            "39",
            "a header of 20 kB",
            npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" + " " * 20_000),
            ("header",),
        ),
        (
            "39",
            "an unknown version",
            npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", version=(4, 0)),
            ("version",),
        ),
        ("40", "a byte too many", npy([1.0, 2.0, 3.0]) + b"x", ("1 bytes follow", "(3,)")),
        ("40", "two arrays", npy([1.0, 2.0, 3.0]) * 2, ("152 bytes follow", "(3,)")),
        ("41", "objects", npy(np.array([1, None, {}], dtype=object)), ("pickled", "never loaded")),
        ("42", "complex", npy([1, 2, 3], "c16"), ("complex",)),
        ("42", "structured", npy(np.zeros(3, dtype=[("a", "f8"), ("b", "f8")])), ("'a' (float64)", "'b' (float64)")),
        ("42", "bytes without a type", npy(np.zeros(3, dtype="V2")), ("|V2", "bfloat16", "float32")),
        (
            "42",
            "objects in a structure",
            npy(np.zeros(3, dtype=[("a", "f8"), ("b", "O")])),
            ("pickled", "never loaded"),
        ),
        ("42", "dates", npy([1, 2, 3], "M8[s]"), ("dates",)),
        ("42", "time differences", npy([1, 2, 3], "m8[s]"), ("time differences",)),
        ("42", "text", npy(["1", "2", "3"]), ("text",)),
        ("42", "bytes", npy([b"1", b"2", b"3"]), ("text",)),
        ("43", "0-dimensional", npy(3.0), ("0-dimensional",)),
    )
]
USAGES = [
    Case(
        "20 decimal mark and delimiter alike",
        {"x.csv": PLAIN},
        ("x.csv", "--decimal", ","),
        USAGE,
        ("--decimal", "--delimiter"),
    ),
    Case(
        "20 a delimiter of two characters",
        {"x.csv": PLAIN},
        ("x.csv", "--delimiter", ";;"),
        USAGE,
        ("--delimiter", "';;'"),
    ),
    Case("20 a quote as delimiter", {"x.csv": PLAIN}, ("x.csv", "--delimiter", '"'), USAGE, ("--delimiter",)),
    Case(
        "20 a decimal mark that is not ASCII",
        {"x.csv": PLAIN},
        ("x.csv", "--decimal", "·"),
        USAGE,
        ("--decimal", "'·'"),
    ),
    Case(
        "48 the output is the input",
        {"x.csv": PLAIN},
        ("x.csv", "-o", "x.csv", "--overwrite"),
        USAGE,
        ("-o x.csv", "input"),
    ),
    Case(
        "48 the output is the second input",
        {"p.csv": T3, "t.csv": T3},
        (*TWO, "-o", "./t.csv", "--overwrite"),
        USAGE,
        ("-o ./t.csv", "input t.csv"),
    ),
    Case(
        "48 the gradient is the input",
        {"p.npy": npy([1.0]), "t.npy": npy([1.0])},
        ("p.npy", "t.npy", "--grad", "p.npy", "--overwrite"),
        USAGE,
        ("--grad p.npy", "input p.npy"),
    ),
    Case(
        "48 two outputs of one name",
        {"x.csv": PLAIN},
        ("x.csv", "--grad", "g.npy", "--grad-target", "./g.npy"),
        USAGE,
        ("--grad-target", "--grad"),
    ),
    Case(
        "48 the output exists",
        {"x.csv": PLAIN, "o.json": "old"},
        ("x.csv", "-o", "o.json"),
        USAGE,
        ("-o o.json", "exists", "--overwrite"),
    ),
    Case(
        "49 no such folder",
        {"x.csv": PLAIN},
        ("x.csv", "-o", "nowhere/o.json"),
        READ_WRITE,
        ("nowhere/o.json", "folder"),
    ),
    Case(
        "49 a file for a folder",
        {"x.csv": PLAIN},
        ("x.csv", "-o", "x.csv/o.json"),
        READ_WRITE,
        ("x.csv/o.json", "cannot write"),
    ),
    Case(
        "49 a folder of the kernel",
        {"x.csv": PLAIN},
        ("x.csv", "-o", "/proc/o.json"),
        READ_WRITE,
        ("/proc/o.json", "cannot write"),
    ),
    Case("51 standard input twice", {}, ("-", "-"), USAGE, ("standard input", "once")),
    Case(
        "an unknown suffix of -o",
        {"x.csv": PLAIN},
        ("x.csv", "-o", "o.xyz"),
        USAGE,
        ("-o o.xyz", "'.xyz'", ".json", ".parquet"),
    ),
    Case("no suffix of -o", {"x.csv": PLAIN}, ("x.csv", "-o", "o"), USAGE, ("-o o", "suffix", ".json")),
    Case(
        "an unknown suffix of --grad",
        {"x.csv": PLAIN},
        ("x.csv", "--grad", "o.xyz"),
        USAGE,
        ("--grad o.xyz", "'.xyz'", ".npy"),
    ),
    Case(
        "none with a gradient",
        {"x.csv": PLAIN},
        ("x.csv", "-r", "none", "--grad", "g.npy"),
        USAGE,
        ("none", "gradient", "sum"),
    ),
    Case(
        "none with a gradient of the target",
        {"x.csv": PLAIN},
        ("x.csv", "-r", "none", "--grad-target", "g.npy"),
        USAGE,
        ("none", "gradient"),
    ),
    Case(
        "none with a gradient, before files are looked for",
        {},
        ("x.csv", "-r", "none", "--grad", "g.npy"),
        USAGE,
        ("none", "gradient"),
    ),
    Case(
        "unequal numbers of -p and -t",
        {"x.csv": PLAIN},
        ("x.csv", "-p", "yhat", "-p", "y", "-t", "y"),
        USAGE,
        ("2 prediction columns", "1 target column"),
    ),
    Case("an unknown metric", {"x.csv": PLAIN}, ("x.csv", "-m", "rmse,bogus"), USAGE, ("'bogus'", "rmse")),
]
CASES = [*FILES, *ROWS, *CELLS, *TEXT, *PARQUET, *NPY, *USAGES]

ACCEPTED = [
    Accepted(
        "07 blanks around named columns",
        {"x.csv": " yhat, y\n3,4\n"},
        ("x.csv", "-p", "yhat", "-t", "y"),
        1.0,
        ("x.csv", "' yhat'", "' y'", "blanks"),
    ),
    Accepted("11 line ends inside quotes", {"x.csv": 'n,yhat,y\n"a\nb",1,2\n"c\r\nd",3,4\n'}, ("x.csv",), 1.0),
    Accepted(
        "11 doubled quotes and line ends in the header",
        {"x.csv": 'yhat,y,"n\n""m"""\n1,2,x\n3,4,x\n'},
        ("x.csv", "-p", "yhat", "-t", "y"),
        1.0,
    ),
    Accepted(
        "11 stray quotes in the middle of cells", {"x.csv": 'yhat,y,n\n1,2,5" pipe\n3,4,"6"" pipe"\n'}, ("x.csv",), 1.0
    ),
    Accepted("11 a stray quote in the middle of a name", {"x.csv": 'yhat,y,5" pipe\n1,2,x\n3,4,x\n'}, ("x.csv",), 1.0),
    Accepted("11 every cell quoted", {"x.csv": '"yhat","y"\n"1","2"\n"3","4"\n'}, ("x.csv",), 1.0),
    Accepted("12 a cell of 5 MB", {"x.csv": f"yhat,n,y\n1,{'n' * 5 * MIB},2\n3,n,4\n"}, ("x.csv",), 1.0),
    Accepted(
        "12 a cell of 5 MB, quoted", {"x.csv": 'yhat,n,y\n1,"' + "n\n" * 3 * MIB + '",2\n3,n,4\n'}, ("x.csv",), 1.0
    ),
    Accepted("12 a name of 200 kB", {"x.csv": f"yhat,y,{LONG_TEXT}\n1,2,x\n"}, ("x.csv",), 1.0),
    Accepted(
        "12 a cell of 200 kB beside a large number",
        {"x.csv": f"yhat,y,n\n1e18,1e18,{LONG_TEXT}\n1,3,n\n"},
        ("x.csv",),
        2.0,
    ),
    Accepted(
        "13 blank lines among columns",
        {"x.csv": "yhat,y\n1,2\n\n3,4\n\n\n"},
        ("x.csv",),
        1.0,
        ("x.csv", "blank lines were skipped (3 in all)"),
    ),
    Accepted(
        "13 blank lines among columns, CRLF",
        {"x.csv": "yhat,y\r\n\r\n1,2\r\n\r\n3,4\r\n"},
        ("x.csv",),
        1.0,
        ("x.csv", "blank lines were skipped (2 in all)"),
    ),
    Accepted(
        "13 blank lines among columns, CR only",
        {"x.csv": "yhat,y\r1,2\r\r3,4\r"},
        ("x.csv",),
        1.0,
        ("x.csv", "blank lines were skipped"),
    ),
    Accepted(
        "13 blank lines are told apart from empty cells",
        {"x.csv": "yhat,y\n1,2\n,\n\n3,4\n"},
        ("x.csv", *OMIT),
        1.0,
        ("blank lines were skipped",),
    ),
    Accepted("13 a blank line omitted", {"p.csv": "yhat\n2\n\n4\n", "t.csv": T3}, (*TWO, *OMIT), 1.0),
    Accepted("13 the final line end is no row", {"p.csv": "yhat\n1\n2\n3\n", "t.csv": "y\n1\n2\n3"}, TWO, 0.0),
    Accepted(
        "15 a column against a vector",
        {"p.npy": npy([[1.0], [2.0]]), "t.npy": npy([1.0, 4.0])},
        ("p.npy", "t.npy"),
        2.0,
    ),
    Accepted(
        "15 a column against a table", {"p.npy": npy([[1.0], [2.0]]), "t.csv": "y\n1\n4\n"}, ("p.npy", "t.csv"), 2.0
    ),
    Accepted(
        "16 integers that turn to fractions late",
        {"p.csv": "yhat\n" + "1\n" * 1_500_000 + "1.5\n", "t.csv": "y\n" + "1\n" * 1_500_001},
        (*TWO, "-r", "sum"),
        0.25,
    ),
    Accepted("18 a word said to be missing", cell("?"), (*TWO, "--na-values", "?,-", *OMIT), 0.0),
    Accepted("19 infinite", cell("inf"), TWO, np.inf, ("p.csv", "'yhat'", "infinite values, the first in row ")),
    Accepted("19 finite text that overflows", cell("1e400"), TWO, np.inf, ("p.csv", "'yhat'", "too large")),
    Accepted("19 finite text that vanishes", cell("1e-400"), (*TWO, "-r", "sum"), 1.0),
    Accepted(
        "20 a decimal comma, as said",
        {"x.csv": "yhat;y\n1,5;2\n1,5;2,5\n"},
        ("x.csv", "--delimiter", ";", "--decimal", ","),
        0.625,
    ),
    Accepted(
        "21 signs, points and blanks", {"p.csv": "yhat\n+1\n .5\n2. \n-1E0\n", "t.csv": "y\n1\n0.5\n2\n-1\n"}, TWO, 0.0
    ),
    Accepted(
        "23 integers beyond 2**53",
        {"p.csv": "yhat\n9007199254740993\n9007199254740992\n", "t.csv": "y\n9007199254740992\n9007199254740992\n"},
        TWO,
        0.0,
        ("p.csv", "'yhat'", "2**53"),
    ),
    Accepted(
        "23 integers beyond 2**53 in an array",
        {"p.npy": npy([2**53 + 1, 2**63 - 1], "i8"), "t.npy": npy([2.0**53, 2.0**63])},
        ("p.npy", "t.npy"),
        0.0,
        ("p.npy", "2**53", "(2 in all)"),
    ),
    Accepted(
        "24 an array of truth values", {"p.npy": npy([True, False]), "t.npy": npy([1.0, 1.0])}, ("p.npy", "t.npy"), 0.5
    ),
    Accepted(
        "27 comments, as said", {"x.csv": "# a\nyhat,y\n# b,c,d\n1,2\n#\n3,4\n# e"}, ("x.csv", "--comment", "#"), 1.0
    ),
    Accepted(
        "27 quotes in comments", {"x.csv": '# a, "b\nyhat,y\n# a,"b\n1,2\n#,"\n3,4\n'}, ("x.csv", "--comment", "#"), 1.0
    ),
    Accepted(
        "27 stray quotes in comments, without a header",
        {"x.csv": '# 5" long\n1,3\n3,5\n# 6" wide\n5,5\n7,7\n'},
        ("x.csv", "--comment", "#", "--no-header", "-p", "0", "-t", "1"),
        2.0,
    ),
    Accepted(
        "27 64 KiB of comments first",
        {"x.csv": ("#" * 69 + "\n") * 1000 + "yhat,y\n1,2\n"},
        ("x.csv", "--comment", "#"),
        1.0,
    ),
    Accepted(
        "27 a header across the first 64 KiB",
        {"x.csv": "#" * 65_530 + "\nprediction,target\n1,2\n"},
        ("x.csv", "--comment", "#"),
        1.0,
    ),
    Accepted("28 a byte order mark", {"x.csv": b"\xef\xbb\xbfyhat,y\n1,2\n"}, ("x.csv",), 1.0),
    Accepted("28 a byte order mark before a quote", {"x.csv": b'\xef\xbb\xbf"yhat","y"\n1,2\n'}, ("x.csv",), 1.0),
    Accepted("28 CR only", {"x.csv": "yhat,y\r1,2\r3,4\r"}, ("x.csv",), 1.0),
    Accepted("28 CRLF", {"x.csv": "yhat,y\r\n1,2\r\n3,4\r\n"}, ("x.csv",), 1.0),
    Accepted("28 CR, LF and CRLF", {"x.csv": "yhat,y\r1,2\n3,4\r\n5,6"}, ("x.csv",), 1.0),
    Accepted("28 CR only, LF inside quotes", {"x.csv": 'yhat,y,n\r1,2,"a\nb"\r3,4,c\r'}, ("x.csv",), 1.0),
    Accepted("29 UTF-16, as said", {"x.csv": PLAIN.encode("utf-16")}, ("x.csv", "--encoding", "utf-16"), 0.5),
    Accepted(
        "29 UTF-16 without a mark, as said",
        {"x.csv": PLAIN.encode("utf-16-le")},
        ("x.csv", "--encoding", "utf-16-le"),
        0.5,
    ),
    Accepted(
        "29 Latin-1, as said", {"x.csv": "é,yhat,y\nü,1,2\n".encode("latin-1")}, ("x.csv", "--encoding", "latin-1"), 1.0
    ),
    Accepted("29 UTF-8", {"x.csv": "é,yhat,y\nü,1,2\n"}, ("x.csv",), 1.0),
    Accepted("30 Parquet named .csv", {"x.csv": GOOD_PARQUET}, ("x.csv",), 0.5, ("x.csv", ".csv", "parquet")),
    Accepted("30 Parquet named .npy", {"x.npy": GOOD_PARQUET}, ("x.npy",), 0.5, ("x.npy", ".npy", "parquet")),
    Accepted(
        "30 NPY named .csv",
        {"p.csv": npy([1.0]), "t.npy": npy([3.0])},
        ("p.csv", "t.npy"),
        4.0,
        ("p.csv", ".csv", "npy"),
    ),
    Accepted("30 Parquet without a suffix", {"x": GOOD_PARQUET}, ("x",), 0.5),
    Accepted("30 text without a suffix", {"x": PLAIN}, ("x",), 0.5),
    Accepted("30 text named .npy, as said", {"x.npy": PLAIN}, ("x.npy", "--input-format", "csv"), 0.5),
    Accepted("37 integers with a null", values_only(pa.array([3, None, 3])), ("x.parquet", *OMIT), 4.0),
    Accepted(
        "37 large integers with a null",
        {"x.parquet": parquet_bytes({"yhat": pa.array([2**53 - 1, None]), "y": pa.array([2**53 - 3, None])})},
        ("x.parquet", *OMIT),
        4.0,
    ),
    Accepted(
        "37 decimal128",
        values_only(pa.array([Decimal("1.50"), None], pa.decimal128(10, 2))),
        ("x.parquet", *OMIT),
        0.25,
    ),
    Accepted("37 float16", values_only(pa.array([1.5, 1.5], pa.float16())), ("x.parquet",), 0.25),
    Accepted(
        "37 uint64 beyond 2**53",
        {"x.parquet": parquet_bytes({"yhat": pa.array([2**53 + 1, 2**64 - 1], pa.uint64()), "y": [2.0**53, 2.0**64]})},
        ("x.parquet",),
        0.0,
        ("x.parquet", "'yhat'", "2**53", "(2 in all)"),
    ),
    Accepted("37 a dictionary", values_only(pa.array([1.0, 2.0, 1.0, 2.0]).dictionary_encode()), ("x.parquet",), 0.5),
    Accepted("37 truth values with a null", values_only(pa.array([True, None, False])), ("x.parquet", *OMIT), 0.5),
    Accepted(
        "38 a nested column beside the wanted ones",
        {"x.parquet": parquet_bytes({"s": [[1], [2]], "yhat": [1.0, 2.0], "y": [1.0, 3.0]})},
        ("x.parquet",),
        0.5,
    ),
    Accepted("43 big-endian", {"p.npy": npy([1, 2], ">f8"), "t.npy": npy([1.0, 4.0])}, ("p.npy", "t.npy"), 2.0),
    Accepted(
        "43 Fortran order",
        {"p.npy": npy(np.asfortranarray(np.arange(6.0).reshape(3, 2))), "t.npy": npy(np.arange(6.0).reshape(3, 2))},
        ("p.npy", "t.npy"),
        0.0,
    ),
    Accepted(
        "43 three dimensions",
        {
            "p.npy": npy(np.arange(24.0).reshape(2, 3, 4)),
            "t.npy": npy(np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))),
        },
        ("p.npy", "t.npy"),
        0.0,
    ),
    Accepted("43 float16", {"p.npy": npy([1.5, 2], "f2"), "t.npy": npy([1.0, 2.0])}, ("p.npy", "t.npy"), 0.125),
    Accepted("43 longdouble", {"p.npy": npy([1.5, 2], "g"), "t.npy": npy([1.0, 2.0])}, ("p.npy", "t.npy"), 0.125),
    Accepted(
        "43 a header of Python 2",
        {
            "p.npy": npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (3L,), }"),
            "t.npy": npy([0.0, 0.0, 0.0]),
        },
        ("p.npy", "t.npy"),
        0.0,
    ),
    Accepted(
        "44 uint8", {"p.npy": npy([0, 1], "u1"), "t.npy": npy([16, 2], "u1")}, ("p.npy", "t.npy", "-r", "sum"), 257.0
    ),
    Accepted("44 int8", {"p.npy": npy([-128], "i1"), "t.npy": npy([127], "i1")}, ("p.npy", "t.npy"), 65025.0),
]


def _name(case: Case | Accepted) -> str:
    return case.name


def _write(folder: Path, files: Mapping[str, bytes | str]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _is_text(case: Case | Accepted) -> bool:
    return any(name.endswith((".csv", ".tsv", ".txt")) for name in case.files)


@pytest.fixture
def _as_if_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the files read as long ones are, which are parsed another way."""


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_bad_input_is_one_message_and_no_result(case: Case, tmp_path: Path, run: Run) -> None:
    _write(tmp_path, case.files)
    before = _contents(tmp_path)
    ran = run("compute", *case.arguments)
    assert [word for word in case.words if word.lower() not in ran.err.lower()] == [], ran.err
    assert (ran.code, ran.out) == (case.code, ""), ran.err
    assert ran.err.startswith("Error: ")
    assert ran.err.count("Error: ") == 1
    assert "Traceback" not in ran.err
    assert len(ran.err) < 1000
    assert _contents(tmp_path) == before


@pytest.mark.usefixtures("_as_if_long")
@pytest.mark.parametrize("case", [case for case in CASES if _is_text(case)], ids=_name)
def test_a_bad_text_is_refused_alike_where_files_are_long(case: Case, tmp_path: Path, run: Run) -> None:
    test_a_bad_input_is_one_message_and_no_result(case, tmp_path, run)


BY_NAME = {case.name: case for case in CASES}
STAGES = [
    "01 missing, with a near name",
    "02 empty CSV",
    "04 header missing",
    "05 a misspelt column",
    "09 a long row",
    "10 unclosed quote after 5 MB",
    "13 missing on both sides, told together",
    "29 Latin-1 in a wanted column",
    "33 a garbage footer",
    "34 a changed page",
    "46 all omitted",
    "48 the gradient is the input",
    "an unknown metric",
]
"""A case for each place where a run can end: what is asked for, opening, roles, reading, scoring, the end."""


@pytest.mark.parametrize("case", [BY_NAME[name] for name in STAGES], ids=_name)
def test_a_bad_input_leaves_an_old_output_as_it_was(case: Case, tmp_path: Path, run: Run) -> None:
    _write(tmp_path, {**case.files, "old.json": "old", "old.npy": "old"})
    before = _contents(tmp_path)
    more = () if "none" in case.arguments or "--grad" in case.arguments else ("--grad", "old.npy")
    ran = run("compute", *case.arguments, "-o", "old.json", *more, "--overwrite")
    assert (ran.code, ran.out) == (case.code, ""), ran.err
    assert _contents(tmp_path) == before


@pytest.mark.parametrize("case", ACCEPTED, ids=_name)
def test_an_odd_input_gives_the_loss_and_its_warnings(case: Accepted, tmp_path: Path, run: Run) -> None:
    _write(tmp_path, case.files)
    ran = run("compute", *case.arguments)
    assert (ran.code, float(ran.out or "nan")) == (0, case.loss), ran.err
    assert [word for word in case.words if word not in ran.err] == [], ran.err
    told = [line for line in ran.err.splitlines() if "every prediction equals its target" not in line]
    assert bool(told) == bool(case.words), ran.err
    assert all(line.startswith("Warning: ") for line in ran.err.splitlines())


@pytest.mark.usefixtures("_as_if_long")
@pytest.mark.parametrize("case", [case for case in ACCEPTED if _is_text(case)], ids=_name)
def test_an_odd_text_gives_the_same_loss_where_files_are_long(case: Accepted, tmp_path: Path, run: Run) -> None:
    test_an_odd_input_gives_the_loss_and_its_warnings(case, tmp_path, run)


@pytest.mark.parametrize("case", [case for case in ACCEPTED if case.words], ids=_name)
def test_a_warning_is_counted_in_the_json(case: Accepted, tmp_path: Path, run: Run) -> None:
    _write(tmp_path, case.files)
    document = json.loads(run("compute", *case.arguments, "--format", "json").out)
    told = " ".join(f"{entry['where']} {entry['meaning']} ({entry['count']} in all)" for entry in document["warnings"])
    assert [word for word in case.words if word not in told] == []


def _is_cut(case: Accepted) -> bool:
    return any(len(content) > PART_BYTES for content in case.files.values())


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("case", [case for case in ACCEPTED if _is_cut(case)], ids=_name)
def test_an_odd_input_gives_the_same_loss_for_any_number_of_jobs(
    case: Accepted, jobs: int, tmp_path: Path, run: Run
) -> None:
    _write(tmp_path, case.files)
    ran = run("compute", *case.arguments, "--jobs", jobs)
    assert (ran.code, float(ran.out or "nan")) == (0, case.loss), ran.err


POLICIES = [
    ((), DATA, ""),
    (("--nan-policy", "omit"), DATA, ""),
    (("--nan-pred", "omit"), DATA, ""),
    (OMIT, 0, "4.0"),
    (("--nan-policy", "propagate"), DATA, ""),
    (("--nan-policy", "propagate", "--nan-pred", "omit"), 0, "nan"),
    (("--nan-policy", "omit", "--nan-pred", "propagate"), 0, "nan"),
    (("--nan-policy", "propagate", "--nan-pred", "propagate"), 0, "nan"),
]


@pytest.mark.parametrize(("options", "code", "out"), POLICIES)
def test_both_policies_for_missing_values(
    options: tuple[str, ...], code: int, out: str, tmp_path: Path, run: Run
) -> None:
    _write(tmp_path, {"x.csv": "yhat,y\n1,\n,2\n,\n3,5\n"})
    ran = run("compute", "x.csv", *options)
    assert (ran.code, ran.out.strip()) == (code, out)


def test_a_missing_value_is_counted_on_its_side(tmp_path: Path, run: Run) -> None:
    _write(tmp_path, {"x.csv": "yhat,y\n1,\n,2\n,\n3,5\n4,inf\n"})
    document = json.loads(run("compute", "x.csv", *OMIT, "--format", "json").out)
    elements = {"total": 5, "used": 2, "ignored": 0, "nan_target": 2, "nan_prediction": 2, "infinite": 1}
    assert document["elements"] == elements
    assert (document["loss"], document["status"], document["rows"]["used"]) == (None, "inf", 2)
