"""What people read of how rows were checked, and of groups without a label."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import msecli
from tests.files import write

Run = Callable[..., Any]

IDS = {"id": [1, 2, 3], "day": ["x", "y", "z"]}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write(tmp_path / "p.csv", {**IDS, "pred": [1, 2, 4], "h": ["a", None, "(missing)"]}),
        write(tmp_path / "t.csv", {**IDS, "target": [0, 0, 0]}),
    ]


def test_tables_say_by_which_columns_rows_were_checked(run: Run, files: list[Path]) -> None:
    for format in ("table", "markdown"):
        ran = run("compute", *files, "--format", format)
        assert ("3 of 3 rows used, checked by id, day\n" if format == "table" else "| id,day |\n") in ran.out
    whole = run("compute", *files, "--format", "table", "--ignore-index", "7", "--nan-pred", "omit").out
    assert "checked by id, day" in whole
    some = run("compute", *files, "--format", "table", "--batch-size", "2", "--drop-last").out
    assert "\nrows checked by id, day\n" in some
    assert "<p>3 of 3 rows used, checked by id, day</p>" in msecli.score(*map(str, files))._repr_html_()


@pytest.mark.parametrize("name", ["o.csv", "o.tsv", "o.parquet", "o.json", "o.md"])
def test_files_say_by_which_columns_rows_were_checked(run: Run, files: list[Path], tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    assert run("compute", *files, "--by", "day", "-o", out).code == 0
    if name == "o.parquet":
        assert pq.read_table(out).column("checked_by").to_pylist() == [None, None, None, "id,day", None]
    elif name == "o.json":
        assert json.loads(out.read_text())["rows"]["checked_by"] == ["id", "day"]
    elif name == "o.md":
        assert out.read_text().count("| id,day |") == 1
    else:
        frame = pd.read_csv(out, sep="\t" if name == "o.tsv" else ",")
        assert frame["checked_by"].dropna().tolist() == ["id,day"]


def test_tables_say_where_no_column_could_tell(run: Run, files: list[Path], tmp_path: Path) -> None:
    bare = write(tmp_path / "b.csv", {"target": [0, 0, 0]})
    assert "rows used, checked by no column\n" in run("compute", files[0], bare, "--format", "table").out
    off = run("compute", *files, "--no-row-check", "--format", "table").out
    assert "rows used, checked by no column\n" in off
    assert ",checked_by\n" in run("compute", files[0], bare, "--format", "csv").out


def test_nothing_is_said_of_one_file_of_keys_and_of_arrays(run: Run, files: list[Path], tmp_path: Path) -> None:
    one = write(tmp_path / "o.csv", {**IDS, "pred": [1, 2, 4], "target": [0, 0, 0]})
    for arguments in ([one], [*files, "--on", "id"]):
        assert "checked by" not in run("compute", *arguments, "--format", "table").out
    assert "checked by" not in str(msecli.score([1.0], [2.0])._repr_html_())


def test_names_of_checked_columns_are_few_and_short(run: Run, tmp_path: Path) -> None:
    columns = {f"{'long' * 20}{number}_id": [1, 2, 3] for number in range(6)}
    files = [write(tmp_path / f"{name}.csv", {**columns, name: [1, 2, 4]}) for name in ("pred", "target")]
    told = run("compute", *files, "--format", "table").out
    assert told.count("long" * 10 + "…") == 4
    assert "and 2 more" in told.replace("\n", " ")


def test_a_missing_label_is_no_empty_text_and_no_other_label(run: Run, files: list[Path], tmp_path: Path) -> None:
    # The squares are 1, 4 and 16; the text "(missing)" is a label of its own.
    plain = run("compute", *files, "--by", "h").out.splitlines()
    assert plain[:3] == ['\\"(missing)"\t16.0', "a\t1.0", "(missing)\t4.0"]
    for format in ("table", "markdown"):
        lines = run("compute", *files, "--by", "h", "--format", format).out.splitlines()
        assert sum("(missing)" in line and '"(missing)"' not in line for line in lines) == 1
        assert sum('"(missing)"' in line for line in lines) == 1
    html = msecli.score(*map(str, files), by="h")._repr_html_()
    assert "<td>(missing)</td>" in html
    groups = json.loads(run("compute", *files, "--by", "h", "--format", "json").out)["groups"]
    assert [group["group"]["h"] for group in groups] == ["(missing)", "a", None]
    frame = pd.DataFrame({"pred": [1.0, 2.0], "target": [0.0, 0.0], "g": ["", None]})
    assert [line.split()[0] for line in _table(run, tmp_path, frame)] == ["1", "(missing)"]


def _table(run: Run, folder: Path, frame: pd.DataFrame) -> list[str]:
    frame.to_parquet(folder / "g.parquet")
    lines = run("compute", folder / "g.parquet", "--by", "g", "--format", "table").out.split("\n\n")[1]
    return list(lines.splitlines()[1:3])


def test_a_missing_label_is_named_where_its_group_is_left_out(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "g.csv", {"pred": [1, 2], "target": [0, None], "g": ["a", None]})
    ran = run("compute", path, "--by", "g", "--nan-target", "omit")
    assert "groups with nothing to score are left out of the plain mean, the first is (missing)" in ran.err
