"""Labels, names and paths with control characters: escaped where people see them, whole in data formats."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]

ODD = {
    "a\tb": "a\\tb",
    "a\nb": "a\\nb",
    "a\r\nb": "a\\r\\nb",
    "\x1b[31mred": "\\u001b[31mred",
    "\x00": "\\u0000",
    "\x7f": "\\u007f",
    "a\x9bb": "a\\u009bb",
    "a\u2028b": "a\\u2028b",
    "a\u202eb": "a\\u202eb",
    "a\\tb": "a\\\\tb",
    "[bold]x": "[bold]x",
    ":smile:": ":smile:",
    "é 漢字 \u200d": "é 漢字 \u200d",
}
"""Labels, and how they are shown: with the escapes of JSON (RFC 8259, section 7)."""


@pytest.fixture(params=list(ODD), ids=ascii)
def label(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def table(tmp_path: Path, label: str) -> Path:
    """Return a table of one group of this label, and of another, each with one row."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"pred": [1.0, 2.0], "target": [2.0, 2.0], "g": [label, "z"]}), path)
    return path


def test_a_plain_line_has_the_fields_it_has(run: Run, table: Path, label: str) -> None:
    ran = run("compute", table, "--by", "g", "-m", "mae", "--format", "plain")
    lines = [line.split("\t") for line in ran.out.removesuffix("\n").split("\n")]
    assert sorted(lines[:2]) == sorted([[ODD[label], "1.0", "1.0"], ["z", "0.0", "0.0"]])
    assert [line[0] for line in lines[2:]] == ["pooled", "macro"]
    assert {len(line) for line in lines} == {3}


def test_a_table_and_markdown_show_it_on_one_line(run: Run, table: Path, label: str) -> None:
    for format in ("table", "markdown"):
        ran = run("compute", table, "--by", "g", "--format", format)
        assert ODD[label] in ran.out
        if ODD[label] != label:
            assert label not in ran.out


def test_data_formats_keep_it(run: Run, table: Path, label: str) -> None:
    document = json.loads(run("compute", table, "--by", "g", "--format", "json").out)
    assert label in [entry["group"]["g"] for entry in document["groups"]]
    for format, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run("compute", table, "--by", "g", "--format", format).out
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
        assert label in [row["g"] for row in rows]
    output = table.with_name("o.parquet")
    assert run("compute", table, "--by", "g", "-o", output).code == 0
    assert label in pq.read_table(output)["g"].to_pylist()


def test_a_column_of_such_a_name_is_shown_escaped(run: Run, tmp_path: Path, label: str) -> None:
    names = {label: [1.0, 2.0], "other": [1.0, 1.0]}
    for name, shift in (("a", 0.0), ("b", 1.0)):
        columns = {column: [value + shift for value in values] for column, values in names.items()}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    files = tmp_path / "a.parquet", tmp_path / "b.parquet"
    plain = run("compute", *files, "--axis", "0", "--format", "plain").out
    assert plain.split("\n")[0] == f"{ODD[label]}\t1.0"
    for format in ("table", "markdown"):
        assert ODD[label] in run("compute", *files, "--axis", "0", "--format", format).out
    assert ODD[label] in run("compute", *files, "-r", "none", "--format", "table").out
    assert ODD[label] in run("compute", *files, "-r", "none", "--format", "markdown").out
    assert json.loads(run("compute", *files, "--axis", "0", "--format", "json").out)["columns"][0]["column"] == label
    table = run("compute", files[0], "--by", label, "-p", "other", "-t", "other", "--format", "table").out
    assert ODD[label] in table


@pytest.mark.parametrize("name", ["pooled", "macro"])
def test_a_group_named_as_a_line_below_is_quoted(run: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'pred,target,g\n1,2,{name}\n2,2,"""{name}"""\n')
    lines = run("compute", path, "--by", "g").out.splitlines()
    assert lines[:2] == [f'\\"{name}"\t0.0', f'"{name}"\t1.0']
    assert lines[2:] == ["pooled\t0.5", "macro\t0.5"]


ESCAPE = "\x1b[31m"


@pytest.mark.parametrize("name", [f"{ESCAPE}x.csv", "x\nError: all is lost.csv", "x\ty.csv", "x\u202ey.csv"], ids=ascii)
def test_paths_in_messages_steer_no_terminal_and_add_no_lines(run: Run, tmp_path: Path, name: str) -> None:
    missing = run("compute", tmp_path / name)
    assert (missing.code, missing.err.count("\n")) == (4, 1)
    (tmp_path / name).write_text("pred,target\n1,2\n\n3,4\n12345678901234567890,1\n")
    warned = run("compute", tmp_path / name)
    assert warned.code == 0
    assert all(line.startswith("Warning: ") for line in warned.err.splitlines())
    assert len(warned.err.split("\n")) > 1
    for err in (missing.err, warned.err):
        assert all(character.isprintable() or character == "\n" for character in err)


def test_names_in_messages_steer_no_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'"{ESCAPE}a","b\nc",d\n1,2,3\n')
    for words in ([], ["-p", f"{ESCAPE}z", "-t", "d"], ["-p", "d"], ["--by", f"{ESCAPE}"], [f"--{ESCAPE}"]):
        ran = run("compute", path, *words)
        assert ran.code in (2, 3)
        assert all(character.isprintable() or character == "\n" for character in ran.err)


def test_bytes_of_a_path_that_are_not_text_are_shown(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("pred,target\n1,2\n")
    weights = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    weights.write_text("w\n1\n")
    for format in ("table", "markdown", "csv", "json"):
        ran = run("compute", path, "--weight-file", weights, "--format", format)
        assert ran.code == 0
        assert "weights:file(" in ran.out
