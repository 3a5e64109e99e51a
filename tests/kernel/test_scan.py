"""Delimited text: every kernel finds the same rows, values, places and faults.

Expected values are worked out by hand from RFC 4180 and the comments beside them; random texts are compared with
Python's `csv` module, and the kernels with each other.
"""

from __future__ import annotations

import csv
import io
import math
import mmap
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.kernel import python_text
from msecli.kernel.interface import Dialect, Fault, Kernel, Kind, Scan, Wanted
from tests.kernel.kernels import KERNELS, bits, strings

MISSING = ("", "NA", "nan", "NaN")
ONE, TWO, THREE = (Dialect(width, missing=MISSING) for width in (1, 2, 3))


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return KERNELS[request.param]


def numbers(*columns: int) -> list[Wanted]:
    return [Wanted(column, Kind.NUMBER) for column in columns]


def values(scan: Scan, column: int = 0) -> list[Any]:
    found = scan.columns[column].values
    assert isinstance(found, np.ndarray)
    return list(found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("closed", [True, False])
def test_lines_may_end_in_three_ways_and_the_last_one_need_not(kernel: Kernel, end: str, closed: bool) -> None:
    text = end.join(["1,2", "3,4", "5,6"]) + (end if closed else "")
    scan = kernel.scan(text.encode(), TWO, numbers(0, 1))
    assert (values(scan), values(scan, 1)) == ([1, 3, 5], [2, 4, 6])
    assert (scan.rows, scan.fault) == (3, None)


def test_only_wanted_columns_are_looked_at(kernel: Kernel) -> None:
    text = b'a,1,"x, y"\n\xff,2,"two\nlines"\n"say ""no""",3,\n'
    scan = kernel.scan(text, THREE, numbers(1))
    assert values(scan) == [1, 2, 3]
    assert scan.fault is None


def test_quotes_may_hold_delimiters_line_ends_and_quotes(kernel: Kernel) -> None:
    text = b'"a,b","1"\r\n"c\r\nd","2.5"\r\n"say ""e""",3\r\n'
    scan = kernel.scan(text, TWO, [Wanted(0, Kind.TEXT), *numbers(1)])
    assert strings(scan.columns[0]) == ["a,b", "c\r\nd", 'say "e"']
    assert values(scan, 1) == [1, 2.5, 3]


def test_a_quote_inside_a_field_is_an_ordinary_character(kernel: Kernel) -> None:
    scan = kernel.scan(b'5" pipe,1\na"b"c,2\n', TWO, [Wanted(0, Kind.TEXT), *numbers(1)])
    assert strings(scan.columns[0]) == ['5" pipe', 'a"b"c']


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"1,2\n3\n", Fault("width", 1, 1, 4, 4)),
        (b"1,2\n3,4,5\n", Fault("width", 1, 2, 4, 4)),
        (b"1,2\n3,4,\n", Fault("width", 1, 2, 4, 4)),
        (b"1,2\nx,4\n", Fault("number", 1, 0, 4, 4)),
        (b"1,2\n3,4x\n", Fault("number", 1, 1, 4, 6)),
        (b'1,2\n"3"x,4\n', Fault("stray", 1, 0, 4, 4)),
        (b'1,2\n3,"4', Fault("open", 1, 1, 4, 6)),
        (b'1,2\n3,"4""', Fault("open", 1, 1, 4, 6)),
        (b"1,2\n3,\n5,x\n", Fault("number", 2, 1, 7, 9)),
        (b"1,2\n3,\xff\n", Fault("number", 1, 1, 4, 6)),
    ],
)
def test_the_first_fault_is_reported_with_its_place(kernel: Kernel, text: bytes, fault: Fault) -> None:
    scan = kernel.scan(text, TWO, numbers(0, 1))
    assert scan.fault == fault
    assert scan.rows == fault.row == len(values(scan)) == len(values(scan, 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"1,a,\n2,\xe2\x82,\n", Fault("text", 1, 1, 5, 7)),  # a character cut off
        (b"1,\xed\xa0\x80,\n", Fault("text", 0, 1, 0, 2)),  # a surrogate
        (b"1,\xc0\xaf,\n", Fault("text", 0, 1, 0, 2)),  # an overlong form
        (b"1,\xf4\x90\x80\x80,\n", Fault("text", 0, 1, 0, 2)),  # beyond U+10FFFF
        (b'1,a,\n2,b,"x"y\n', Fault("stray", 1, 2, 5, 9)),
        (b'1,a,\n2,b,"x\n', Fault("open", 1, 2, 5, 9)),
    ],
)
def test_faults_of_text_and_of_columns_that_nobody_wants(kernel: Kernel, text: bytes, fault: Fault) -> None:
    assert kernel.scan(text, THREE, [*numbers(0), Wanted(1, Kind.TEXT)]).fault == fault


def test_text_is_utf_8_in_all_its_lengths(kernel: Kernel) -> None:
    words = ["é", "€", "😀", "\ud7ff", "\ue000", "\U0010ffff", "\x7f", "a\0b"]
    text = "".join(f"1,{word}\n" for word in words).encode()
    assert strings(kernel.scan(text, TWO, [Wanted(1, Kind.TEXT)]).columns[0]) == words


BORDERS = [
    (b"1,2\n3,4\n5", [0, 4, 8]),
    (b"1,2\r\n3,4\r5", [0, 5, 9]),
    (b'1,"\n\n"\n3,4\n', [0, 7]),
    (b'1,"a""\n""b"\n3', [0, 12]),
    (b'5" pipe,1\n6" pipe,2\n', [0, 10]),  # a quote inside a field is an ordinary character
    (b'a"\n"b\n",c\n', [0, 3]),
    (b'"1"x"\n2\n"3\n', [0, 6, 8]),  # text behind a closing quote is plain, and so is the quote behind it
    (b"\n\r\r\n\n1", [0, 1, 2, 4, 5]),
    (b'1\n#"\n2\n', [0, 2, 5]),
    (b'1,#"\n2\n', [0, 5]),
    (b"x" * 100 + b'\n"' + b"\n" * 100 + b'"\n' + b"1," * 50 + b'"\n"\n1', [0, 101, 204, 308]),
    (b'"a","b"\n' * 20 + b'5" pipe\n' * 20 + b'"\n",1\n' * 20, [*range(0, 320, 8), *range(320, 440, 6)]),
]
COMMENTED = Dialect(2, comment="#")


@pytest.mark.parametrize(("text", "begins"), BORDERS)
def test_records_begin_at_the_borders(kernel: Kernel, text: bytes, begins: list[int]) -> None:
    whole = [*begins, len(text)]
    found = [kernel.border(text, COMMENTED, place) for place in range(len(text) + 1)]
    assert found == [next(begin for begin in whole if begin >= place) for place in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("text", "place", "border"),
    [
        (b"1,2\n3,4", 5, None),
        (b"1,2\n3,4\n", 5, 8),
        (b"1,2\n3,4\r", 5, None),  # a line feed may follow
        (b"1,2\r3", 3, 4),
        (b'1,2\n"3\n', 5, None),
        (b'1,2\n"3"', 5, None),
        (b"1,2\n#3", 5, None),
        (b"1", 0, 0),
        (b"", 0, 0),
    ],
)
def test_a_border_that_may_lie_behind_the_buffer_is_unknown(
    kernel: Kernel, text: bytes, place: int, border: int | None
) -> None:
    assert kernel.border(text, COMMENTED, place, last=False) == border


def test_blank_lines_and_comments_are_skipped_and_counted(kernel: Kernel) -> None:
    text = b'\n#"a\r\n1,2\r\r\n#\n\n3,4\n"#",5\n\n\n#end'
    scan = kernel.scan(text, Dialect(2, comment="#", missing=("", "#")), numbers(0, 1))
    assert values(scan, 1) == [2, 4, 5]
    assert scan.blank == 5


def test_a_comment_between_two_line_ends_keeps_them_apart(kernel: Kernel) -> None:
    # The carriage return ends the first line, the line feed after the comment is an empty field.
    scan = kernel.scan(b"1\r#\n\n2\n", Dialect(1, comment="#"), numbers(0))
    assert np.array_equal(values(scan), [1, math.nan, 2], equal_nan=True)


def test_in_a_single_column_a_blank_line_is_an_empty_field(kernel: Kernel) -> None:
    scan = kernel.scan(b"1\n\n3\n\n", ONE, numbers(0))
    assert np.array_equal(values(scan), [1, math.nan, 3, math.nan], equal_nan=True)
    assert (scan.columns[0].missed, scan.blank) == (2, 0)
    assert kernel.scan(b"1\n\n3\n", Dialect(1, missing=()), numbers(0)).fault == Fault("number", 1, 0, 2, 2)


@pytest.mark.parametrize("field", ["", '""', "NA", '"NA"', "nan", "NAN", "-nan", " nan\t", "-9", "1.50"])
def test_what_means_missing(kernel: Kernel, field: str) -> None:
    dialect = Dialect(2, missing=(*MISSING, "-9", "1.50"))
    scan = kernel.scan(f"{field},1\n-9.0,2\n1.5,3\n".encode(), dialect, numbers(0, 1))
    assert np.array_equal(values(scan), [math.nan, -9, 1.5], equal_nan=True)
    assert scan.columns[0].missed == 1


@pytest.mark.parametrize("field", [" ", " NA", "NA ", "na", "N", "NAN1", "--nan", "nan()", "nan(ind)"])
def test_what_does_not_mean_missing(kernel: Kernel, field: str) -> None:
    assert kernel.scan(f"{field},1\n".encode(), TWO, numbers(0)).fault == Fault("number", 0, 0, 0, 0)


def test_labels_have_a_mask_if_some_are_missing(kernel: Kernel) -> None:
    wanted = [Wanted(0, Kind.INTEGER), Wanted(0, Kind.TEXT), Wanted(1, Kind.TEXT)]
    whole, text, other = kernel.scan(b"5,a\n,b\n-7,c\n", TWO, wanted).columns
    assert isinstance(whole.values, np.ndarray)
    assert (whole.values.tolist(), strings(text), strings(other)) == ([5, 0, -7], ["5", "", "-7"], ["a", "b", "c"])
    assert whole.missing is not None
    assert text.missing is not None
    assert whole.missing.tolist() == text.missing.tolist() == [False, True, False]
    assert (whole.missed, text.missed, other.missed, other.missing) == (1, 1, 0, None)


@pytest.mark.parametrize("label", ["0", "7", "-7", str(2**63 - 1), str(-(2**63)), "1000000000000000000"])
def test_integers_of_64_bits_are_labels(kernel: Kernel, label: str) -> None:
    scan = kernel.scan(f"{label}\n1\n".encode(), ONE, [Wanted(0, Kind.INTEGER)])
    assert values(scan) == [int(label), 1]


@pytest.mark.parametrize(
    "label",
    ["-0", "+7", "07", "00", " 7", "7 ", "7.0", "1e3", "-", str(2**63), str(-(2**63) - 1), "9" * 30, "x", "\u0663"],
)
def test_what_would_not_be_printed_so_is_no_integer(kernel: Kernel, label: str) -> None:
    scan = kernel.scan(f"1\n{label}\n".encode(), ONE, [Wanted(0, Kind.INTEGER)])
    assert (scan.fault, scan.rows) == (Fault("integer", 1, 0, 2, 2), 1)


def test_truth_values_are_written_in_one_way(kernel: Kernel) -> None:
    wanted = [Wanted(0, Kind.TRUTH, ("true", "false"))]
    scan = kernel.scan(b'true\n"false"\n\n', ONE, wanted)
    assert np.array_equal(values(scan), [1, 0, math.nan], equal_nan=True)
    assert values(kernel.scan(b" true\nfalse\t\n", ONE, wanted)) == [1, 0]
    for other in ("True", "1", "tru", "falsefalse"):
        assert kernel.scan(f"true\n{other}\n".encode(), ONE, wanted).fault == Fault("truth", 1, 0, 5, 5)


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (Dialect(2, delimiter=";", decimal=","), "1,5;-,5e-1\n", [1.5, -0.05]),
        (Dialect(2, delimiter="\t"), " 1.5\t2 \n", [1.5, 2]),
        (Dialect(2, delimiter=" "), "1.5 2\n", [1.5, 2]),
        (Dialect(2, delimiter="5"), "152\n", [1, 2]),
        (Dialect(2, delimiter="e"), "1e2\n", [1, 2]),
        (Dialect(2, delimiter="-"), "1-2\n", [1, 2]),
        (Dialect(2, delimiter="."), "1.2\n", [1, 2]),
        (Dialect(2, delimiter=".", decimal=","), "1,5.2\n", [1.5, 2]),
        (Dialect(2, decimal="e"), "1e5,2\n", [1.5, 2]),
        (Dialect(2, quote="'"), "'1','2'\n", [1, 2]),
    ],
)
def test_dialects(kernel: Kernel, dialect: Dialect, text: str, expected: list[float]) -> None:
    scan = kernel.scan(text.encode(), dialect, numbers(0, 1))
    assert scan.fault is None
    assert [values(scan), values(scan, 1)] == [[expected[0]], [expected[1]]]


def test_a_point_is_no_decimal_mark_if_another_is(kernel: Kernel) -> None:
    dialect = Dialect(1, delimiter=";", decimal=",")
    assert kernel.scan(b"1.5\n", dialect, numbers(0)).fault == Fault("number", 0, 0, 0, 0)
    assert values(kernel.scan(b"inf\n", dialect, numbers(0))) == [math.inf]


def test_blanks_around_numbers_are_left_out(kernel: Kernel) -> None:
    assert values(kernel.scan(b" 1.5\t\n", ONE, numbers(0))) == [1.5]


def test_a_byte_order_mark_is_data(kernel: Kernel) -> None:
    text = "\ufeffa,1\n".encode()
    assert strings(kernel.scan(text, TWO, [Wanted(0, Kind.TEXT)]).columns[0]) == ["\ufeffa"]
    assert kernel.scan(text, TWO, numbers(0)).fault == Fault("number", 0, 0, 0, 0)


def test_impossible_requests_are_refused(kernel: Kernel) -> None:
    for wanted in (numbers(2), numbers(1, 0)):
        with pytest.raises(ValueError, match="ascending order"):
            kernel.scan(b"1,2\n", TWO, wanted)
    for dialect in (
        Dialect(0),
        Dialect(1, delimiter=";;"),
        Dialect(1, delimiter="\n"),
        Dialect(1, decimal="é"),
        Dialect(1, comment='"'),
    ):
        with pytest.raises(ValueError, match=r"mark|columns"):
            kernel.scan(b"1\n", dialect, [])


def test_a_buffer_is_below_two_gibibytes(kernel: Kernel) -> None:
    with mmap.mmap(-1, 2**31) as memory, memoryview(memory) as view:  # its pages are never touched
        with pytest.raises(ValueError, match="2 GiB"):
            kernel.scan(view, ONE, [])
        with pytest.raises(ValueError, match="2 GiB"):
            kernel.border(view, ONE, 1)


def test_a_long_record_and_a_long_field(kernel: Kernel) -> None:
    long = "x" * 100_000
    text = f'1,"{long}""\n{long}",{long}\n2,,\n'.encode()
    scan = kernel.scan(text, THREE, [*numbers(0), Wanted(1, Kind.TEXT)])
    assert (values(scan), strings(scan.columns[1])) == ([1, 2], [f'{long}"\n{long}', ""])


# Random texts. Few characters, so that quotes, marks and words meet in all ways.
ALPHABET = '",\n\r#1-.e x5'
TEXTS = st.text(ALPHABET, max_size=60).map(str.encode)
PIECES = [
    "1.5",
    "-7",
    "0",
    '"2"',
    '"a\nb"',
    '""',
    "",
    "NA",
    "x",
    '"q""r"',
    "\n",
    "\r",
    "\r\n",
    ",",
    ",",
    ",",
    "#c",
    " 3 ",
]
LINES = st.lists(st.sampled_from([*PIECES, '"', "inf", "1e400", "9007199254740993"]), max_size=25).map(
    lambda pieces: "".join(pieces).encode()
)
DIALECTS = st.builds(
    Dialect,
    st.integers(1, 4),
    delimiter=st.sampled_from([",", ",", ",", " ", "-", "5", "."]),
    quote=st.sampled_from(['"', '"', "x"]),
    comment=st.sampled_from([None, None, "#"]),
    decimal=st.sampled_from([".", ".", "e"]),
    missing=st.sampled_from([MISSING, (), ("", "5", "x")]),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, Dialect, list[Wanted]]:
    text, dialect = draw(st.one_of(TEXTS, LINES)), draw(DIALECTS)
    columns = sorted(draw(st.lists(st.integers(0, dialect.width - 1), max_size=3)))
    wanted = [Wanted(column, draw(st.sampled_from(list(Kind))), ("x", "1")) for column in columns]
    return text, dialect, wanted


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(requests())
@example((b"1\r#\n\n2", Dialect(1, comment="#"), numbers(0)))
@example((b'"1"\r', Dialect(1), numbers(0)))
def test_all_kernels_find_the_same(request: tuple[bytes, Dialect, list[Wanted]]) -> None:
    scans = {name: kernel.scan(*request) for name, kernel in KERNELS.items()}
    expected = scans["python"]
    for scan in scans.values():
        assert scan == expected if scan is expected else bits(scan) == bits(expected)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.lists(st.text('ab,"\n\r ', max_size=6), min_size=2, max_size=2), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_text_as_python_writes_it_is_read_back(rows: list[list[str]], end: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    wanted = [Wanted(0, Kind.TEXT), Wanted(1, Kind.TEXT)]
    for kernel in KERNELS.values():
        scan = kernel.scan(written.getvalue().encode(), Dialect(2, missing=()), wanted)
        assert (scan.rows, scan.fault) == (len(rows), None)
        assert [strings(column) for column in scan.columns] == [[row[0] for row in rows], [row[1] for row in rows]]


def begins_of(text: bytes, comment: str | None) -> list[int]:
    """Read a text character by character; return where its records, comments and blank lines begin."""
    begins, fresh, quoted, commented, place = [], True, False, False, 0
    line = True  # whether a line begins here; `fresh` tells whether a field does
    while place < len(text):
        mark, behind = chr(text[place]), chr(text[place + 1]) if place + 1 < len(text) else ""
        if line:
            begins.append(place)
        if quoted:
            doubled = mark == '"' == behind
            quoted, line, fresh = mark != '"' or doubled, False, False
            place += 2 if doubled else 1
            continue
        commented = commented or (line and mark == comment)
        line = mark in "\r\n"
        quoted = fresh and mark == '"' and not commented
        fresh = line or (mark == "," and not commented)
        commented = commented and not line
        place += 2 if mark + behind == "\r\n" else 1
    return begins


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.one_of(TEXTS, LINES), st.integers(1, 9), st.sampled_from([None, "#"]), st.integers(0, 600), st.booleans())
def test_borders_are_those_of_a_plain_reader(
    text: bytes, times: int, comment: str | None, place: int, last: bool
) -> None:
    text *= times  # so that quotes and line ends also lie in different blocks of sixty-four bytes
    place %= len(text) + 1
    known = [*begins_of(text, comment), len(text)]
    for kernel in KERNELS.values():
        border = kernel.border(text, Dialect(2, comment=comment), place, last=last)
        assert border == next(begin for begin in known if begin >= place) or (border is None and not last)
        # Nothing is unknown that more text could not change.
        if border is None:
            assert known[-2] < place
            ends = [kernel.border(text + more, Dialect(2, comment=comment), place) for more in (b"\n1", b'"\n1', b"1")]
            assert len(set(ends)) > 1


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.one_of(TEXTS, LINES), st.lists(st.integers(0, 60), max_size=4), st.sampled_from([None, "#"]))
def test_readers_of_ranges_find_together_what_one_finds(text: bytes, cuts: list[int], comment: str | None) -> None:
    dialect, wanted = Dialect(2, comment=comment, missing=("",)), [Wanted(0, Kind.TEXT), Wanted(1, Kind.TEXT)]
    for kernel in KERNELS.values():
        whole = kernel.scan(text, dialect, wanted)
        begin, rows, labels, blank = 0, 0, [], 0
        for stop in [*sorted(min(cut, len(text)) for cut in cuts), len(text)]:
            end = kernel.border(text[begin:], dialect, max(0, stop - begin))
            assert end is not None
            scan = kernel.scan(text[begin : begin + end], dialect, wanted)
            rows += scan.rows
            labels += strings(scan.columns[1])
            blank += scan.blank
            if scan.fault is not None:
                assert whole.fault is not None
                assert begin + scan.fault.at == whole.fault.at
                break
            begin += end
        assert (rows, labels, blank) == (whole.rows, strings(whole.columns[1]), whole.blank)


@pytest.mark.parametrize("seed", range(6))
def test_long_random_tables_are_the_same_for_all_kernels(seed: int) -> None:
    make = random.Random(seed)  # noqa: S311 - any numbers will do
    fields = ["1.25", "-3", "", "NA", '"4"', "5e-3", f"{make.random()}", f"{make.gauss(0, 1e9)!r}", '"x\r\ny"', "t"]
    fields = fields if seed % 2 else fields[:8]
    lines = [",".join(make.choices(fields, k=5)) for _ in range(300)]
    text = make.choice(["\n", "\r\n", "\r"]).join(lines).encode()
    dialect = Dialect(5, missing=MISSING)
    for kinds in ([Kind.NUMBER] * 2, [Kind.TEXT] * 2):
        wanted = [Wanted(column, kind) for column, kind in zip((1, 4), kinds, strict=True)]
        scans = [bits(kernel.scan(text, dialect, wanted)) for kernel in KERNELS.values()]
        assert scans.count(scans[0]) == len(scans)


@pytest.mark.parametrize("text", ["1.5,2", "x", '"a', "a\r", "#"])
def test_views_of_a_buffer_are_scanned(kernel: Kernel, text: str) -> None:
    surrounded = memoryview(b"9," + text.encode() + b"\n9")[2:-2]
    assert bits(kernel.scan(surrounded, TWO, numbers(0))) == bits(kernel.scan(text.encode(), TWO, numbers(0)))


def test_arrow_reads_ordinary_text_and_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    by_arrow = python_text._by_arrow
    found = []
    monkeypatch.setattr(python_text, "SHORT", -1)
    monkeypatch.setattr(python_text, "_by_arrow", lambda *arguments: found.append(by_arrow(*arguments)))
    wanted = [*numbers(0), Wanted(1, Kind.TEXT)]
    for text in (b"1.5,a\n-2,\n", b'"1","a\nb"\r\n\r\n,c\r\n', b"1e300,a\n12345678901234567890,b\n"):
        python_text.scan(text, TWO, wanted)
    assert all(found)
    for text in (b"x,a\n", b"1\n", b"1,\xff\n"):
        python_text.scan(text, TWO, wanted)
    assert found[3:] == [None] * 3


@pytest.mark.parametrize("before", range(18))
@pytest.mark.parametrize("after", [0, 1, 9])
def test_labels_are_utf8_wherever_their_letters_stand(kernel: Kernel, before: int, after: int) -> None:
    chosen = np.random.default_rng([before, after])
    letters = [
        b"\xc3\xa9",
        b"\xe2\x82\xac",
        b"\xf0\x9f\x98\x80",
        b"\x80",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ]
    letters += [chosen.bytes(int(chosen.integers(1, 5))) for _ in range(40)]
    for letter in letters:
        text = b"a" * before + letter + b"b" * after
        if set(letter) & set(b'\r\n",') or not text:
            continue
        scan = kernel.scan(b"1," + text + b"\n", TWO, [Wanted(1, Kind.TEXT)])
        try:
            expected = text.decode()
        except UnicodeDecodeError:
            assert scan.fault == Fault("text", 0, 1, 0, 2)
        else:
            assert (scan.fault, strings(scan.columns[0])) == (None, [expected])
