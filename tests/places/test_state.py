"""What changes with the content of a file, and what relies on it: inputs that are overwritten, or counted twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from msecli.errors import ReadWriteError
from msecli.places.state import FileState, file_state

Run = Callable[..., Any]


def test_a_file_has_the_same_state_by_its_path_and_its_url(tmp_path: Path) -> None:
    path = tmp_path / "x y.csv"
    path.write_text("a\n1\n")
    status = path.stat()
    expected = FileState(str(path.resolve()), 4, status.st_mtime_ns)
    assert file_state(str(path)) == file_state(f"file://{tmp_path}/x%20y.csv") == expected
    with pytest.raises(ReadWriteError, match="No such file"):
        file_state(str(tmp_path / "nothing"))
    assert file_state("/dev/null") is None


def test_an_input_named_by_a_url_is_not_overwritten(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "p.csv").write_text("yhat\n1\n")
    (tmp_path / "t.csv").write_text("y\n3\n")
    words = (tmp_path / "t.csv", "-r", "sum", "-o")
    ran = run("compute", f"file://{folder}/p.csv", *words, f"csv={folder}/p.csv", "--overwrite")
    assert (ran.code, (folder / "p.csv").read_text()) == (2, "yhat\n1\n")
    ran = run("compute", f"file://{folder}", *words, folder / "loss.json")
    assert (ran.code, sorted(path.name for path in folder.iterdir())) == (2, ["p.csv"])


def test_tables_of_one_file_are_merged_and_one_table_counts_once(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as database:
        for number in (1, 2):
            database.execute(f"CREATE TABLE fold{number} (yhat, y)")
            database.execute(f"INSERT INTO fold{number} VALUES (1, {number + 1})")
        database.commit()
    for number in (1, 2):
        state = tmp_path / f"{number}.json"
        assert run("compute", f"{path}::fold{number}", "--save-state", state).code == 0
    # The mean of 1 and 4.
    assert run("merge", tmp_path / "1.json", tmp_path / "2.json").out == "2.5\n"
    again = tmp_path / "again.json"
    assert run("compute", f"file://{path}::fold1", "--save-state", again).code == 0
    assert "counts once" in run("merge", tmp_path / "1.json", again).err


def test_lines_are_added_by_every_command_that_offers_it(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.csv").write_text("a,b,y\n1,2,3\n2,3,4\n5,5,6\n")
    history = tmp_path / "h.jsonl"
    words = ("compare", tmp_path / "x.csv", "-p", "a", "-p", "b", "-t", "y", "-o", history, "--append")
    assert [run(*words).code for _ in range(2)] == [0, 0]
    assert len(history.read_text().splitlines()) == 2
