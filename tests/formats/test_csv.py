"""Delimited text, read in parts of any size by any number of threads.

Expected fields are those that were written; line numbers are counted by hand. Random text is in `tests/fuzz`.
"""

from __future__ import annotations

import contextlib
import gc
import math
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.errors import DataError, UsageError
from msecli.text.reading import Reading
from tests.files import held, opened

WHOLE = 2 << 20
PARTS = (1, 7, 16, 64, WHOLE)


@dataclass(frozen=True)
class Cells:
    """What was read: column v as numbers, column n as text (None is missing), and how many blank lines were skipped."""

    numbers: list[float | None]
    texts: list[str | None] = field(default_factory=list)
    blank: int = field(default=0, compare=False)


def read(path: Path, part: int = WHOLE, jobs: int = 1, reading: Reading | None = None, *, wide: bool = True) -> Cells:
    """Read columns v and, of a wide file, n."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.csv.PART_BYTES", part)
        found = held(opened(path, reading), ["v"], ["n"] if wide else [], jobs)
    numbers = [None if math.isnan(value) else value for value in found.numbers["v"].tolist()]
    texts = [None if cell is None else str(cell) for cell in found.labels.get("n", [])]
    return Cells(numbers, texts, sum(warning.count for warning in found.warnings))


def save(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


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


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@given(content=ANY_BYTES, reading=st.sampled_from(READINGS), part=st.sampled_from([3, WHOLE]), named=st.booleans())
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes, reading: Reading, part: int, named: bool) -> None:
    path = save(folder, (b"v,n\n" if named else b"") + content)
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(DataError):
        patch.setattr("msecli.formats.csv.PART_BYTES", part)
        source = opened(path, reading)
        names = list(dict.fromkeys(column.name for column in source.columns or ()))
        held(source, names[:1], names[1:])


@pytest.mark.parametrize("part", PARTS)
def test_a_row_longer_than_a_part_is_read_whole(tmp_path: Path, part: int) -> None:
    path = save(tmp_path, f"v,n\n1,{'a' * 1000}\n2,b\n")
    assert read(path, part) == Cells([1.0, 2.0], ["a" * 1000, "b"])


@pytest.mark.parametrize("part", PARTS)
def test_integers_that_turn_to_fractions_are_float64_throughout(tmp_path: Path, part: int) -> None:
    path = save(tmp_path, "v\n" + "1\n" * 50 + "1.5\n")
    assert read(path, part, wide=False) == Cells([*([1.0] * 50), 1.5])


@pytest.mark.parametrize("part", PARTS)
def test_an_index_that_turns_to_text_late_is_read_whole(tmp_path: Path, part: int) -> None:
    rows = [f"1,{number}" for number in range(200)] + ["1,x7"]
    path = save(tmp_path, "v,n\n" + "\n".join(rows))
    assert read(path, part).texts == [str(number) for number in range(200)] + ["x7"]


def refusal(path: Path, part: int, reading: Reading | None = None, *, wide: bool = True) -> str:
    with pytest.raises(DataError) as caught:
        read(path, part, 2, reading, wide=wide)
    return str(caught.value).removeprefix(str(path))


BODY = "1,a\n" * 500
BAD_LINES = [
    ("v,n\n" + BODY + "x,a\n" + BODY, 502, "'x' is not a number"),
    ("v,n\n" + BODY + "1\n" + BODY, 502, "2 columns expected, 1 found"),
    ("v,n\n" + BODY + "1,a,b\n" + BODY, 502, "2 columns expected, 3 found"),
    ("v,n\n" + BODY + "1,a,\n" + BODY, 502, "trailing delimiter"),
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


# Five sizes and three line ends: fifteen cases meet each of one with each of the other.
@pytest.mark.parametrize(
    ("bad", "part", "line_end"), list(zip(BAD_LINES, cycle(PARTS), cycle(["\n", "\r\n", "\r"]), strict=False))
)
def test_an_error_names_the_true_line(tmp_path: Path, bad: tuple[str, int, str], part: int, line_end: str) -> None:
    text, line, words = bad
    path = save(tmp_path, text.replace("\n", line_end))
    message = refusal(path, part, wide=text.lstrip().startswith(("v,n", 'v,"n')))
    assert message.startswith(f", line {line}: ")
    assert words in message


@pytest.mark.parametrize("part", PARTS)
def test_an_error_behind_comments_names_the_true_line(tmp_path: Path, part: int) -> None:
    path = save(tmp_path, "# one\nv,n\n" + "1,a\n# two\n" * 50 + "x,a\n")
    message = refusal(path, part, Reading(comment="#"))
    assert message.startswith(", line 103: ")
    assert "'x' is not a number" in message


@pytest.mark.parametrize("part", PARTS)
def test_a_byte_that_is_not_utf8_names_the_true_line(tmp_path: Path, part: int) -> None:
    path = save(tmp_path, b"v,n\n" + BODY.encode() + b"1,\xe9\n" + BODY.encode())
    message = refusal(path, part)
    assert message.startswith(", line 502: ")
    assert "0xE9" in message


def test_a_line_too_long_to_be_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("formats.csv", "text.ranges"):
        monkeypatch.setattr(f"msecli.{module}.LONGEST_RECORD", 1 << 20)
    path = save(tmp_path, "v,n\n1,a\n2," + "a" * (3 << 20) + "\n3,b\n")
    message = refusal(path, 1 << 10)
    assert message.startswith(", line 3: ")
    assert "longer than 1 MiB" in message


@pytest.mark.parametrize("part", [7, 64])
def test_a_quote_that_swallows_rows_is_refused(tmp_path: Path, part: int) -> None:
    # RFC 4180: behind the closing quote comes a delimiter or the end of the line.
    path = save(tmp_path, 'v,n\n1,"a"\n2,"b\n3,"c"\n4,d\n')
    assert refusal(path, part).startswith(", line 3: ")


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


def warnings(path: Path) -> list[tuple[str, int]]:
    return [(warning.code, warning.count) for warning in held(opened(path), ["v"]).warnings]


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
    assert warnings(save(tmp_path, "v\n" + "\n".join(cells))) == expected


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
    values = held(opened(save(tmp_path, text), Reading(header=False)), ["0"]).numbers["0"].tolist()
    assert [None if math.isnan(value) else value for value in values] == expected


def names(path: Path, reading: Reading | None = None) -> list[str]:
    return [column.name for column in opened(path, reading).columns or ()]


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
        (["True"], True),
        (["TRUE", "", "FALSE"], True),
        (["True", "true"], False),
        (["True", "yes"], False),
        (["1.896,04", "1 000"], True),
    ],
)
def test_a_column_is_numeric_if_most_of_its_cells_are(tmp_path: Path, cells: list[str], numeric: bool) -> None:
    source = opened(save(tmp_path, "m,v,w\n" + "".join(f'a,"{cell}",1\n' for cell in cells)))
    assert [column.numeric for column in source.columns or ()] == [False, numeric, True]


@pytest.mark.parametrize(
    "reading",
    [
        Reading(delimiter=";;"),
        Reading(delimiter=""),
        Reading(delimiter="é"),
        Reading(delimiter="\n"),
        Reading(delimiter='"'),
        Reading(decimal=","),
        Reading(thousands="."),
        Reading(thousands=", "),
        Reading(thousands="7"),
        Reading(thousands="-"),
        Reading(decimal=",", delimiter=";", thousands=","),
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
        opened(save(tmp_path, "v,n\n1,2\n"), reading)


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
        opened(save(tmp_path, content), Reading(encoding=encoding))
    gc.collect()  # a file left open would raise its ResourceWarning here


def test_a_file_cut_off_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n" + "1,a\n" * 100)
    source = opened(path)
    with path.open("r+b") as file:
        file.truncate(50)
    with pytest.raises(DataError, match=r"x\.csv"):
        held(source, ["v"])


def test_a_changed_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "v,n\n1,a\n".encode("utf-16"))
    source = opened(path, Reading(encoding="utf-16"))
    path.write_bytes("v,n\n1,a\n2,b\n".encode("utf-16"))
    with pytest.raises(DataError, match="changed while it was read"):
        source.verify()


def test_tab_separated_text(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text('v\tn\n1\t"a\tb"\n2\tc,d\n')
    assert read(path) == Cells([1.0, 2.0], ["a\tb", "c,d"])
    assert opened(path).format == "tsv"
