"""How text begins: byte order marks, long headers, long rows, and what the first rows say of the columns.

Expected losses are of residuals written by hand: 1 and 2 (2.5), or none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

MARK = b"\xef\xbb\xbf"


def save(folder: Path, content: bytes) -> Path:
    path = folder / "x.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [b"", MARK])
@pytest.mark.parametrize("columns", [6000, 4682, 4683, 4684])
def test_a_long_header_is_read_whole_behind_a_byte_order_mark(
    mark: bytes, columns: int, tmp_path: Path, run: Run
) -> None:
    # Names of 13 bytes and a delimiter: 64 KiB, as much as is read first, end at about the 4680th.
    names = b",".join(b"feature_%05d" % number for number in range(columns))
    row = b",1.5" * columns
    ran = run("compute", save(tmp_path, mark + b"pred,target," + names + b"\n1,2" + row + b"\n2,4" + row + b"\n"))
    assert (ran.code, ran.out, ran.err) == (0, "2.5\n", "")


@pytest.mark.parametrize("mark", [b"", MARK])
def test_a_header_that_ends_about_where_reading_does_has_no_column_more(mark: bytes, tmp_path: Path, run: Run) -> None:
    for length in range(65536 - 16, 65536 + 4):
        name = b"n" * (length - len("pred,target,"))
        ran = run("compute", save(tmp_path, mark + b"pred,target," + name + b"\r\n1,2,3\r\n2,4,3\r\n"))
        assert (ran.code, ran.out, ran.err) == (0, "2.5\n", "")


@pytest.mark.parametrize("columns", [2000, 8000])
@pytest.mark.parametrize("between", [b"", b"\n" * 100_000, b"# said\n" * 20_000])
def test_a_text_column_is_left_out_however_far_away_the_first_row_ends(
    columns: int, between: bytes, tmp_path: Path, run: Run
) -> None:
    names = b",".join(b"f%05d" % number for number in range(columns))
    row = b",".join([b"1.23456"] * columns) + b",abc\n"
    path = save(tmp_path, names + b",name\n" + between + row * 2)
    ran = run("compute", path, path, "--comment", "#")
    assert (ran.code, ran.out) == (0, "0.0\n")


def test_a_byte_order_mark_in_front_of_a_row_is_no_part_of_a_number(tmp_path: Path, run: Run) -> None:
    for place in (0, 1, 2):
        rows = [b"1,2\n", b"2,4\n", b"3,5\n"]
        rows[place] = MARK + rows[place]
        ran = run("compute", save(tmp_path, b"pred,target\n" + b"".join(rows)))
        assert (ran.code, ran.out) == (3, "")
        assert f"line {place + 2}: column 'pred'" in ran.err
        assert "U+FEFF" in ran.err


def test_a_byte_order_mark_in_front_of_a_label_is_part_of_it_wherever_it_stands(tmp_path: Path, run: Run) -> None:
    # More than 2 MiB, so that the second part begins with the mark as well.
    ran = run("compute", save(tmp_path, b"note,pred,target\n" + (MARK + b"a,1,2\n") * 300_000), "--by", "note")
    assert (ran.code, ran.out) == (0, "\ufeffa\t1.0\npooled\t1.0\nmacro\t1.0\n")


def test_a_byte_order_mark_at_the_start_of_the_file_is_none_of_its_text(tmp_path: Path, run: Run) -> None:
    ran = run("compute", save(tmp_path, MARK + b"pred,target\n1,2\n2,4\n"))
    assert (ran.code, ran.out, ran.err) == (0, "2.5\n", "")
    ran = run("compute", save(tmp_path, MARK + b"1,2\n2,4\n"), "--no-header", "-p", "0", "-t", "1")
    assert (ran.code, ran.out, ran.err) == (0, "2.5\n", "")
