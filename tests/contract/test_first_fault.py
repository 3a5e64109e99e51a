"""Which line of a text is named as the bad one: the first that is, whatever else is wrong below it.

Lines are counted by hand.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

BOTH = ("-p", "p", "-t", "t")


def refusal(run: Run, folder: Path, text: str, *arguments: str) -> str:
    path = folder / "x.csv"
    path.write_bytes(text.encode())
    ran = run("compute", path, *arguments)
    assert (ran.code, ran.out) == (3, "")
    message = ran.err
    assert isinstance(message, str)
    return message.partition("x.csv")[2]


def test_a_row_that_equals_the_column_numbers_is_no_header(tmp_path: Path, run: Run) -> None:
    one = ("--no-header", "-p", "0", "-t", "0")
    two = ("--no-header", "-p", "0", "-t", "1")
    assert refusal(run, tmp_path, "5\n1\n0\n2\nabc\n", *one).startswith(", line 5: column '0': 'abc'")
    assert refusal(run, tmp_path, "5,6\n0,1\n2,abc\n", *two).startswith(", line 3: column '1': 'abc'")
    assert refusal(run, tmp_path, "p,t\n1,2\np,t\n", *BOTH).startswith(", line 3: this line repeats the header")


def test_a_row_that_equals_a_header_of_numbers_is_a_row(tmp_path: Path, run: Run) -> None:
    message = refusal(run, tmp_path, "0,1\n2,3\n0,1\nx,1\n", "--header", "-p", "0", "-t", "1")
    assert message.startswith(", line 4: column '0': 'x'")


@pytest.mark.parametrize(
    ("word", "arguments"), [("#N/A", ()), ("#N/A", ("--na-values", "#N/A")), ("#gone", ("--na-values", "#gone"))]
)
@pytest.mark.parametrize("bad", ["x,4", "4,x", "4"])
def test_a_missing_word_is_not_taken_for_a_comment(
    word: str, bad: str, arguments: tuple[str, ...], tmp_path: Path, run: Run
) -> None:
    message = refusal(run, tmp_path, f"p,t\n1,2\n{word},3\n{bad}\n", *BOTH, *arguments)
    assert message.startswith(", line 4: ")
    assert "--comment" not in message


def test_a_missing_word_in_a_line_of_too_many_columns_is_not_taken_for_a_comment(tmp_path: Path, run: Run) -> None:
    message = refusal(run, tmp_path, "p,t\n1,2\n#N/A,3,4\n", *BOTH)
    assert message.startswith(", line 3: 2 columns expected, 3 found")


@pytest.mark.parametrize("line", ["# a note", "#a,b,c", "# 1,2", "%"])
def test_a_comment_is_taken_for_one(line: str, tmp_path: Path, run: Run) -> None:
    message = refusal(run, tmp_path, f"p,t\n1,2\n{line}\n3,4\n", *BOTH)
    assert message.startswith(", line 3: ")
    assert f"use --comment {shlex.quote(line[0])}\n" in message


STRAY, OPEN, SHORT, WORD = '1,"2"a', '3,"4', "1", "x,2"
FAULTS = {STRAY: "a closing quote is followed by text", OPEN: "never closed", SHORT: "2 columns expected, 1 found",
          WORD: "'x' is not a number"}  # fmt: skip


@pytest.mark.parametrize("arguments", [(), ("--comment", "#")])
@pytest.mark.parametrize(("first", "last"), [*itertools.product([STRAY, SHORT, WORD], FAULTS)])
def test_the_first_of_several_faults_is_named(
    first: str, last: str, arguments: tuple[str, ...], tmp_path: Path, run: Run
) -> None:
    check_first(first, last, 2, arguments, tmp_path, run)


@pytest.mark.slow
@pytest.mark.parametrize("first", [STRAY, WORD])
def test_the_first_of_several_faults_is_named_in_long_files(first: str, tmp_path: Path, run: Run) -> None:
    # Longer than 1 MiB, text is read another way.
    check_first(first, OPEN, 270_000, (), tmp_path, run)


def check_first(first: str, last: str, rows: int, arguments: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    good = "5,6\n" * rows
    text = "p,t\n" + good + first + "\n" + "7,8\n" * 3 + last + "\n" + "9,1\n"
    message = refusal(run, tmp_path, text, *BOTH, *arguments)
    assert message.startswith(f", line {rows + 2}: ")
    assert FAULTS[first] in message


@pytest.mark.parametrize("word", ["nan(ind)", "nan(abc)", "-NaN(1)", "nan()", "nan(snan)"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("missing", ["nan", "-nan", "1"])
def test_nan_with_something_in_parentheses_is_not_a_number(
    word: str, quote: str, missing: str, tmp_path: Path, run: Run
) -> None:
    text = f"p,t\n1,2\n{missing},2\n{quote}{word}{quote},3\n"
    message = refusal(run, tmp_path, text, *BOTH, "--nan-pred", "omit")
    assert message.startswith(f", line 4: column 'p': '{word}' is not a number")


def test_nan_with_something_in_parentheses_is_not_a_number_in_long_files(tmp_path: Path, run: Run) -> None:
    # Longer than 1 MiB, text is read another way.
    message = refusal(run, tmp_path, "p,t\n" + "1,2\n" * 270_000 + "nan(ind),3\n", *BOTH, "--nan-pred", "omit")
    assert message.startswith(", line 270002: column 'p': 'nan(ind)' is not a number")
