"""Messages name a row of a text file by its number and by its line; the lines are counted here by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli.errors import DataError
from tests.conftest import Ran
from tests.files import write

Run = Callable[..., Ran]


@pytest.mark.parametrize(
    ("text", "options", "place"),
    [
        ("pred,target\n1,2\n3,\n", (), "row 2 (line 3)"),
        ("pred,target\r\n1,2\r\n3,\r\n", (), "row 2 (line 3)"),
        ("pred,target\r1,2\r3,\r", (), "row 2 (line 3)"),
        ("\ufeffpred,target\n1,2\n3,", (), "row 2 (line 3)"),
        ("pred,target\n\n1,2\n\n\n3,\n", (), "row 2 (line 6)"),
        ("# made by hand\npred,target\n1,2\n# half\n3,\n", ("--comment", "#"), "row 2 (line 5)"),
        ('note,pred,target\n"two\nlines",1,2\n"and, two\n\nmore",3,\nx,4,5\n', (), "row 2 (line 4)"),
        ("1,2\n3,\n", ("--no-header", "-p", "0", "-t", "1"), "row 2 (line 2)"),
        ("pred;target\n1,5;2\n3;\n", ("--delimiter", ";", "--decimal", ","), "row 2 (line 3)"),
    ],
)
def test_a_missing_value_is_named_by_row_and_line(
    run: Run, tmp_path: Path, text: str, options: tuple[str, ...], place: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    ran = run("compute", path, *options)
    assert ran.code == 3
    assert f"values missing, the first in {place};" in ran.err
    assert f"the first in {place};" in run("compute", "-", *options, stdin=text.encode()).err


def test_a_blank_line_of_a_single_column_is_a_row(run: Run, tmp_path: Path) -> None:
    files = write(tmp_path / "p.csv", "v\n1\n\n3\n"), write(tmp_path / "t.csv", "v\n1\n2\n3\n")
    assert "the first in row 2 (line 3);" in run("compute", *files).err


def test_an_encoded_text_has_the_same_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("pred,target,ä\n1,2,é\n\n3,,ü\n".encode("utf-16"))
    assert "the first in row 2 (line 4);" in run("compute", path, "--encoding", "utf-16").err


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("row", [1, 400_000, 799_999])
@pytest.mark.slow
def test_the_line_is_found_wherever_it_is_in_a_long_file(run: Run, tmp_path: Path, row: int, jobs: int) -> None:
    lines = ["10.25,11.5"] * 800_000  # 8.8 MB, which is several parts
    lines[row] = "10.25,"
    # A blank line ahead of every thousandth row.
    text = "".join(f"\n{line}\n" if number % 1000 == 0 else f"{line}\n" for number, line in enumerate(lines))
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n" + text)
    blank = row // 1000 + 1
    ran = run("compute", path, "--jobs", jobs)
    assert f"the first in row {row + 1} (line {1 + blank + row + 1});" in ran.err


def test_files_without_lines_have_rows_alone(run: Run, tmp_path: Path) -> None:
    frame = pd.DataFrame({"pred": [1.0, 2.0], "target": [1.0, np.nan]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert "the first in row 2;" in run("compute", tmp_path / "x.parquet").err
    with pytest.raises(DataError, match="the first in row 2;"):
        msecli.score(frame)


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "expected"),
    [
        ("id,v\n1,2\n\n1,3\n", "id,v\n1,2\n", ("--on", "id"), "'id': 1 in rows 1 and 2 (lines 2 and 4);"),
        ("id,v\n1,2\n\n,3\n", "id,v\n1,2\n2,3\n", ("--on", "id"), "key in 'id', the first in row 2 (line 4);"),
        ("id,v\n1,2\n\n2,3\n", "id,v\n1,2\n3,3\n", (), "between row 2 (line 4) of p.csv and row 2 (line 3) of t.csv:"),
        ("id,v\n1,2\n2,3\n", "id,v\n1,2\n3,3\n", (), "differs between the files at row 2 (line 3):"),
        ("g,v\na,2\nb,3\n", "g,v\na,2\nc,3\n", ("--by", "g"), "differs between the files at row 2 (line 3):"),
        (
            "id,g,v\n1,a,2\n2,b,3\n", "id,g,v\n2,c,3\n1,a,2\n", ("--on", "id", "--by", "g"),
            "between row 2 (line 3) of p.csv and row 1 (line 2) of t.csv:",
        ),
        ("v\n1\ninf\n", "v\n1\n2\n", (), "infinite values, the first in row 2 (line 3)"),
        ("v\n1\n2\n", "v\n1\n0\n", ("-m", "mape"), "the first in row 2 (line 3)"),
        ("v\n1\n-2\n", "v\n1\n0\n", ("-m", "msle"), "the value in row 2 (line 3) is below -1"),
        ("v,w\n1,1\n2,-1\n", "v\n1\n0\n", ("-p", "v", "-w", "w"), "the weight in row 2 (line 3) is negative"),
    ],
)  # fmt: skip
def test_whatever_names_a_row_names_its_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: str, theirs: str, options: tuple[str, ...],
    expected: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.csv", ours)
    write(tmp_path / "t.csv", theirs)
    assert expected in run("compute", "p.csv", "t.csv", *options).err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("norm", "x.csv"), "x.csv: a number is missing in row 2 (line 3)\n"),
        (("norm", "z.csv", "x.csv"), "x.csv: a number is missing in row 2 (line 3)\n"),
        (
            ("norm", "i.csv", "i.csv"),
            "i.csv: the number is infinite, like its counterpart, in row 2 (line 3)\n",
        ),
        (
            ("compute", "z.csv", "z.csv", "--l1", "1", "--params", "x.csv"),
            "x.csv: a number is missing in row 2 (line 3)",
        ),
        (("compute", "z.csv", "z.csv", "--weight-file", "n.csv"), "the weight in row 2 (line 3) is negative"),
        (("gradcheck", "z.csv", "x.csv"), "the first in row 2 (line 3);"),
    ],
)
def test_other_files_and_commands_name_lines_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, values in {"x": "1\nNaN", "z": "1\n2", "n": "1\n-1", "i": "1\ninf"}.items():
        write(tmp_path / f"{name}.csv", f"v\n{values}\n")
    assert expected in run(*arguments).err


def test_a_source_knows_no_line_of_a_row_that_it_does_not_have(tmp_path: Path) -> None:
    from tests.files import opened

    source: Any = opened(write(tmp_path / "x.csv", "a,b\n1,2\n\n3,4\n"))
    assert [source.line(row) for row in range(3)] == [2, 4, None]
