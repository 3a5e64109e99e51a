"""Comments beside quotes: a quote in a comment opens nothing, a mark inside quotes begins nothing, no row is lost.

Expected losses and lines are counted by hand, or are those of the same text without its comments, which are left out by
a plain reading of the text, character by character.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Run = Callable[..., Any]

COMMENT = ("--comment", "#")
OMIT = ("--nan-policy", "omit", "--nan-pred", "omit")


def save(folder: Path, text: str) -> Path:
    path = folder / "x.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["", "# end\n", "9,10,#\n"])
@pytest.mark.parametrize("arguments", [(), COMMENT])
def test_a_quote_that_is_never_closed_is_refused_with_and_without_comments(
    end: str, arguments: tuple[str, ...], tmp_path: Path, run: Run
) -> None:
    # The quote of line 2 would run on to line 4, and take two rows with it.
    path = save(tmp_path, 'pred,target,note\n1,2,"abc\n3,40,x\n5,60,"def"\n7,8,y\n' + end)
    ran = run("compute", path, *arguments)
    assert (ran.code, ran.out) == (3, "")
    assert "line 2: a closing quote is followed by text" in ran.err


def test_the_line_of_an_open_quote_is_its_own_and_not_that_of_its_record(tmp_path: Path, run: Run) -> None:
    path = save(tmp_path, 'pred,note,target,more\n# "\n1,"a\nb",2,"open\n# \n3,4\n')
    ran = run("compute", path, *COMMENT)
    assert ran.code == 3
    assert "line 4: the quote opened here is never closed" in ran.err


@pytest.mark.parametrize(
    ("text", "rows", "loss"),
    [
        ('pred,target\n# "a\n1,2\n#b"\n3,4\n', 2, 1.0),
        ('pred,target,note\n1,2,"a\n# no comment"\n#,"\n3,4,b\n', 2, 1.0),
        ('pred,target,note\n1,2,"a ""b\n# no comment"\n3,4,b#\n', 2, 1.0),
        ('pred,target,note\n#"\r#"\r\n1,2,"x"\r\n', 1, 1.0),
        ('pred,target,note\n1,2,5" pipe\n# 6" pipe\n3,4,"7"" pipe"\n', 2, 1.0),
        ('# "\n# x\npred,target\n1,2\n#', 1, 1.0),
    ],
)
def test_quotes_and_comments_by_hand(text: str, rows: int, loss: float, tmp_path: Path, run: Run) -> None:
    ran = run("compute", save(tmp_path, text), *COMMENT, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert (document["rows"]["used"], document["loss"]) == (rows, loss)


@pytest.mark.parametrize(
    ("text", "rows"), [("x\n1\r#c\n\n2\n", 3), ("x\n1\r\r#c\n2\n", 3), ("x\n1\r#a\r#b\n\n2\n", 3), ("x\n1\r#c\n2\n", 2)]
)
def test_a_blank_line_behind_a_comment_stays_a_line_where_line_ends_are_mixed(
    text: str, rows: int, tmp_path: Path, run: Run
) -> None:
    path = save(tmp_path, text)
    document = json.loads(run("compute", path, path, *COMMENT, *OMIT, "--format", "json").out)
    assert (document["rows"]["prediction"], document["rows"]["used"]) == (rows, 2)


def without_comments(text: str) -> str:
    """Return text of LF lines without its comments, read one character after the other by RFC 4180."""
    kept, place, quoted, field_starts, line_starts = "", 0, False, True, True
    while place < len(text):
        if line_starts and text[place] == "#":
            place = text.index("\n", place) + 1
            continue
        mark = '""' if quoted and text.startswith('""', place) else text[place]
        if mark == '"' and (quoted or field_starts):
            quoted = not quoted
        field_starts, line_starts = not quoted and mark in ",\n", not quoted and mark == "\n"
        kept += mark
        place += len(mark)
    return kept


ROWS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 9), st.sampled_from(["a", '"b', '"a"', '"a\n#"', '"#\n""\n#"', "#", '"",""', ""])).map(
            lambda row: f"{row[0]},1,{row[1]}\n"
        ),
        st.sampled_from(["#\n", '#"\n', '# ,"a\n', "\n", '#""\n', '#a"b"\n']),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_text_with_comments_is_the_text_without_them(rows: list[str], tmp_path: Path, run: Run) -> None:
    text = "pred,target,note\n" + "".join(rows)
    with_comments = run("compute", save(tmp_path, text), *COMMENT)
    clean = run("compute", save(tmp_path, without_comments(text)))
    assert (with_comments.code, with_comments.out) == (clean.code, clean.out)
    assert clean.code == 0 or "x.csv" in clean.err


@pytest.mark.parametrize("comment", ["# plain", "# it's \"open", '#"a","b"', '# a,"b'])
def test_comments_in_long_files_take_no_row_with_them(comment: str, tmp_path: Path, run: Run) -> None:
    # Above 2 MiB: a part ends among comments.
    rows = "".join(f'{number},{number + 2},"note, {number}\n#"\n' + comment + "\n" for number in range(60_000))
    ran = run("compute", save(tmp_path, "pred,target,note\n" + rows), *COMMENT, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert (document["rows"]["used"], document["loss"]) == (60_000, 4.0)
    # Three lines for each row, below one.
    ran = run("compute", save(tmp_path, "pred,target,note\n" + rows + "1,x,y\n"), *COMMENT)
    assert "line 180002: " in ran.err
