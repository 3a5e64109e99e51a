"""Where results go: standard output, files, or both; several files at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msecli.outputs import RENDERERS

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder that holds x.csv, whose loss is (1 + 4) / 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("yhat,y\n1,2\n2,4\n")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("command", ["compute", "norm", "gradcheck"])
def test_with_a_file_nothing_is_printed(run: Run, folder: Path, command: str) -> None:
    ran = run(command, "x.csv", "-o", "o.json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert json.loads((folder / "o.json").read_text())["schema"] == "msecli/1"


@pytest.mark.parametrize("command", ["compute", "norm", "gradcheck"])
@pytest.mark.parametrize("format", [name for name, renderer in RENDERERS.items() if not renderer.binary])
def test_with_a_file_and_a_format_both_are_written(run: Run, folder: Path, command: str, format: str) -> None:
    ran = run(command, "x.csv", "-o", "o.json", "--format", format)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == run(command, "x.csv", "--format", format).out
    assert (folder / "o.json").read_text() == run(command, "x.csv", "--format", "json").out


def test_several_files_are_each_in_their_own_format(run: Run, folder: Path) -> None:
    outputs = ("-o", "o.json", "-o", "o.csv", "-o", "o.npy", "-o", "table=o", "-o", "PLAIN=p=1.json")
    assert (run("compute", "x.csv", *outputs).code, names(folder) - {"x.csv"}) == (
        0,
        {"o.json", "o.csv", "o.npy", "o", "p=1.json"},
    )
    assert json.loads((folder / "o.json").read_text())["loss"] == 2.5
    assert (folder / "o.csv").read_text().splitlines()[1].startswith("2.5,ok,")
    assert np.load(folder / "o.npy") == 2.5
    assert (folder / "o").read_text() == run("compute", "x.csv", "--format", "table").out
    assert (folder / "p=1.json").read_text() == "2.5\n"


def test_the_losses_of_elements_go_to_several_files_and_are_printed(run: Run, folder: Path) -> None:
    ran = run("compute", "x.csv", "-r", "none", "-o", "o.npy", "-o", "csv=o.data", "--format", "plain")
    assert (ran.code, ran.out) == (0, "1\n4\n")
    assert np.load(folder / "o.npy").tolist() == [1.0, 4.0]
    assert (folder / "o.data").read_text() == "loss\n1\n4\n"


def test_a_name_with_an_equals_sign_is_a_file_unless_it_begins_with_a_format(run: Run, folder: Path) -> None:
    assert run("compute", "x.csv", "-o", "lr=0.1.json").code == 0
    assert json.loads((folder / "lr=0.1.json").read_text())["loss"] == 2.5


def test_tables_in_files_have_no_colours(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    ran = run("compute", "x.csv", "-o", "table=o", "--format", "table")
    assert "\x1b[" in ran.out
    assert "\x1b[" not in (folder / "o").read_text()


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (("-o", "o.xml"), ("o.xml", "'.xml'", ".json", "FORMAT=FILE")),
        (("-o", "jnuit=o.xml"), ("jnuit=o.xml", "'.xml'", "FORMAT=FILE")),
        (("-o", "junit=-"), ("-o junit=-", "--format")),
        (("-o", "junit=o.xml", "--append"), ("--append", "-o jsonl=FILE")),
        (("-o", "o.json", "-o", "o"), ("-o o", "''", "FORMAT=FILE")),
        (("-o", "json="), ("-o json=", "--format")),
        (("-o", "json=-"), ("-o json=-", "--format")),
        (("-o", "-"), ("-o -", "--format")),
        (("-o", "o.json", "-o", "csv=o.json"), ("o.json", "-o")),
        (("-o", "o.json", "-o", "json=x.csv"), ("x.csv", "input")),
        (("-o", "o.json", "--grad", "o.json"), ("o.json",)),
        (("-r", "none", "-m", "mae", "-o", "o.json", "-o", "o.csv"), ("csv", "json")),
        (("-r", "none", "-m", "mae", "-o", "o.json", "--format", "plain"), ("plain", "json")),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_anything_is_written(
    run: Run, folder: Path, outputs: tuple[str, ...], words: tuple[str, ...]
) -> None:
    ran = run("compute", "x.csv", *outputs)
    assert (ran.code, ran.out, names(folder)) == (2, "", {"x.csv"})
    assert [word for word in words if word not in ran.err] == []


def test_all_are_written_or_none(run: Run, folder: Path) -> None:
    (folder / "full").symlink_to("/dev/full")
    ran = run("compute", "x.csv", "-o", "o.json", "-o", "csv=full", "-o", "p.txt", "--format", "plain")
    assert (ran.code, ran.out, names(folder)) == (4, "", {"x.csv", "full"})
    assert "full: cannot write" in ran.err


def test_an_existing_file_among_several_is_kept(run: Run, folder: Path) -> None:
    (folder / "old.csv").write_text("old")
    ran = run("compute", "x.csv", "-o", "o.json", "-o", "old.csv")
    assert (ran.code, ran.out, names(folder)) == (2, "", {"x.csv", "old.csv"})
    assert (folder / "old.csv").read_text() == "old"
    assert run("compute", "x.csv", "-o", "o.json", "-o", "old.csv", "--overwrite").code == 0
    assert "2.5" in (folder / "old.csv").read_text()
