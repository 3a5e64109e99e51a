"""Completion: what the Tab key completes, in the real shells where these are installed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import click
import numpy as np
import pytest

from msecli.cli.main import cli
from tests.spreadsheets import xlsx_bytes

Run = Callable[..., Any]

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 20

COMMANDS = [command for name, command in sorted(cli.commands.items()) if name != "completion"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with two tables whose names and columns are easily confused."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scores.csv").write_text("yhat,y pred,region\n1,2,n\n3,4,s\n")
    (tmp_path / "target.csv").write_text("yobs,region,weight\n1,n,1\n3,s,1\n")
    (tmp_path / "semicolons.csv").write_text("yhat;ytrue\n1;2\n3;4\n")
    return tmp_path


def completed(run: Run, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """Return the words that complete the last one, as the script of bash gets them."""
    monkeypatch.setenv("_MSECLI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["msecli", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    ran = run()
    assert (ran.code, ran.err) == (0, "")
    return [line.removeprefix("plain,") for line in ran.out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("comp",), ["compute", "compare", "completion"]),
        (("compute", "--red"), ["--reduction"]),
        (("compute", "-r", "ba"), ["batchmean"]),
        (("compute", "--nan-pred", "o"), ["omit"]),
        (("compute", "--format", "=", "js"), ["json", "jsonl"]),
        (("compute", "-m", "rmse,max"), ["rmse,max_error"]),
        (("compute", "--input-format", "p"), ["parquet"]),
        (("completion", "z"), ["zsh"]),
    ],
)
def test_words_of_the_command_line_are_completed(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: list[str]
) -> None:
    assert completed(run, monkeypatch, *words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("compute", "scores.csv", "-p", "y"), ["yhat", "y pred"]),
        (("compute", "scores.csv", "target.csv", "-p", ""), ["yhat", "y pred", "region"]),
        (("compute", "scores.csv", "target.csv", "-t", "y"), ["yobs"]),
        (("compute", "scores.csv", "-t", "yh"), ["yhat"]),
        (("compare", "scores.csv", "scores.csv", "target.csv", "-t", "y"), ["yobs"]),
        (("compute", "scores.csv", "target.csv", "--on", "r"), ["region"]),
        (("compute", "scores.csv", "target.csv", "--on", "yhat", "=", "yo"), ["yobs"]),
        (("compute", "scores.csv", "-m", "rmse,skill:y"), ["rmse,skill:yhat", "rmse,skill:y pred"]),
        # For bash a colon is a word of its own, and only what follows it is replaced.
        (("compute", "scores.csv", "-m", "rmse,skill", ":", "yh"), ["yhat"]),
        (("compute", "scores.csv", "-m", "skill", ":"), ["yhat", "y pred", "region"]),
        (("compute", "scores.csv", "-m", "lp", ":", "3", "-t", "yh"), ["yhat"]),
        (("compute", "scores.csv", "target.csv", "--by", "we"), ["weight"]),
        (("compute", "scores.csv", "target.csv", "-w", "we"), ["weight"]),
        (("compute", "-p", "yhat", "scores.csv", "--by", "region,y"), ["region,yhat", "region,y pred"]),
        (("linear", "scores.csv", "target.csv", "-x", "y"), ["yhat", "y pred"]),
        (("norm", "target.csv", "-c", "y"), ["yobs"]),
        (("inspect", "scores.csv", "target.csv", "-t", "y"), ["yobs"]),
        (("compute", "semicolons.csv", "--delimiter", "\\;", "-p", "y"), ["yhat", "ytrue"]),
        (("compute", "missing.csv", "-p", "y"), []),
        (("compute", "-", "-p", "y"), []),
        (("compute", "-p", "y"), []),
    ],
)
def test_columns_are_those_of_the_files_on_the_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], expected: list[str]
) -> None:
    assert completed(run, monkeypatch, *words) == expected


def test_files_may_be_named_in_any_way(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "scored.csv").write_bytes((folder / "scores.csv").read_bytes())
    for path in ("score*.csv", "{scores,scored}.csv", "scores.csv"):
        assert completed(run, monkeypatch, "compute", f"'{path}'", "-p", "yh") == ["yhat"]
    url = (folder / "scores.csv").as_uri()
    assert completed(run, monkeypatch, "compute", url, "-p", "yh") == ["yhat"]
    # As bash cuts it.
    assert completed(run, monkeypatch, "compute", *url.partition(":"), "-p", "yh") == ["yhat"]
    records = np.zeros(2, dtype=[("yhat", "f8"), ("y", "f8")])
    np.savez(folder / "x.npz", table=records, other=[1.0])
    assert completed(run, monkeypatch, "compute", "x.npz::table", "-p", "yh") == ["yhat"]
    assert completed(run, monkeypatch, "compute", "x.npz", "::", "table", "-p", "yh") == ["yhat"]


def named_inside(folder: Path, suffix: str) -> Path:
    """Return a file with something called "first" in it, and something called "second"."""
    path, array = folder / f"x.{suffix}", np.array([1.0, 2.0])
    if suffix == "npz":
        np.savez(path, first=array, second=array)
    elif suffix == "safetensors":
        pytest.importorskip("safetensors.numpy").save_file({"first": array, "second": array}, path)
    elif suffix == "hdf5":
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["first"], file["second"] = array, array
    elif suffix == "sqlite":
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.executescript("CREATE TABLE first (y); CREATE VIEW second AS SELECT y FROM first")
    else:
        pytest.importorskip("python_calamine")
        path.write_bytes(xlsx_bytes({"first": [["y"], [1]], "second": [["y"], [1]]}))
    return path


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "hdf5", "sqlite", "xlsx"])
def test_what_is_in_a_file_is_completed_by_its_name(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = named_inside(folder, suffix).name
    assert completed(run, monkeypatch, "compute", f"{path}::") == [f"{path}::first", f"{path}::second"]
    assert completed(run, monkeypatch, "compute", f"{path}::se") == [f"{path}::second"]
    # As bash cuts it.
    assert completed(run, monkeypatch, "compute", path, "::") == ["first", "second"]
    assert completed(run, monkeypatch, "compute", "scores.csv", path, "::", "f") == ["first"]
    Path(path).write_bytes(Path(path).read_bytes()[:100])
    assert completed(run, monkeypatch, "compute", f"{path}::") == []


def test_a_file_in_which_nothing_has_a_name_has_none_to_complete(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert completed(run, monkeypatch, "compute", "scores.csv::") == []
    assert completed(run, monkeypatch, "compute", "missing.npz::") == ["file,missing.npz::"]


def test_a_pipe_is_not_read_for_its_columns(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    assert completed(run, monkeypatch, "compute", "pipe", "-p", "") == []


def test_a_damaged_file_has_no_columns(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "p.parquet").write_bytes(b"PAR1 and no more")
    assert completed(run, monkeypatch, "compute", "p.parquet", "-p", "") == []


def test_hidden_options_are_not_completed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed(run, monkeypatch, "compute", "--size") == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_argument_and_every_option_for_a_file_is_left_to_the_shell(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: click.Command
) -> None:
    takes_files = any(isinstance(each, click.Argument) for each in command.params)
    assert completed(run, monkeypatch, str(command.name), "sc") == ["file,sc"] * takes_files
    names = [
        each.opts[0] for each in command.params if isinstance(each, click.Option) and "FILE" in (each.metavar or "")
    ]
    assert names
    for name in names:
        assert completed(run, monkeypatch, str(command.name), name, "sc") == ["file,sc"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_and_the_hook_print_the_same_script(run: Run, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    printed = run("completion", shell)
    monkeypatch.setenv("_MSECLI_COMPLETE", f"{shell}_source")
    hooked = run()
    assert (printed.code, printed.err) == (hooked.code, hooked.err) == (0, "")
    assert printed.out.rstrip() == hooked.out.rstrip()
    assert "_msecli_completion" in printed.out


def test_an_unknown_shell_is_a_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("completion", "ksh")
    assert (ran.code, ran.out) == (2, "")
    assert "'ksh'" in ran.err
    monkeypatch.setenv("_MSECLI_COMPLETE", "ksh_source")
    assert run("compute").code == 1


SET_UP = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(msecli completion bash)"'),
    "zsh": (["-f", "-i"], 'autoload -U compinit && compinit -u && eval "$(msecli completion zsh)"'),
    "fish": (["--no-config", "-i"], "msecli completion fish | source"),
}

TYPED = {
    "msecli comput": "<msecli><compute>",
    "msecli compute sco": "<msecli><compute><scores.csv>",
    "msecli compute scores.csv --reduc": "<msecli><compute><scores.csv><--reduction>",
    "msecli compute scores.csv -r batch": "<msecli><compute><scores.csv><-r><batchmean>",
    "msecli compute scores.csv --reduction=batch": "<msecli><compute><scores.csv><--reduction=batchmean>",
    "msecli compute scores.csv -m rmse,max": "<msecli><compute><scores.csv><-m><rmse,max_error>",
    "msecli compute scores.csv -p yh": "<msecli><compute><scores.csv><-p><yhat>",
    "msecli compute scores.csv -m rmse,skill:yh": "<msecli><compute><scores.csv><-m><rmse,skill:yhat>",
    "msecli compute scores.csv target.csv -t yo": "<msecli><compute><scores.csv><target.csv><-t><yobs>",
    r"msecli compute scores.csv -p y\ p": "<msecli><compute><scores.csv><-p><y pred>",
    "msecli compute x.npz::fir": "<msecli><compute><x.npz::first>",
    "msecli compute x.npz::table -p yh": "<msecli><compute><x.npz::table><-p><yhat>",
    "msecli compute scores.csv --grad=sco": "<msecli><compute><scores.csv><--grad=scores.csv>",
    "msecli compute scores.csv --grad sco": "<msecli><compute><scores.csv><--grad><scores.csv>",
}
"""What is typed before the Tab key, and the words of the line afterwards."""


@pytest.mark.slow
@pytest.mark.parametrize("shell", SET_UP)
def test_the_tab_key_completes_in_the_shell(folder: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    np.savez(folder / "x.npz", table=np.zeros(2, dtype=[("yhat", "f8"), ("y", "f8")]), first=[1.0])
    programs = folder / "bin"
    programs.mkdir()
    start = "from msecli.__main__ import main; main()"
    (programs / "msecli").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{start}' \"$@\"\n")
    (programs / "msecli").chmod(0o755)
    options, set_up = SET_UP[shell]
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    with Terminal([shell, *options], environment) as terminal:
        assert terminal.shows_after(f"{set_up}; echo read''y\n", "ready"), terminal.shown
        for typed, expected in TYPED.items():
            # Ctrl-A goes to the beginning of the line.
            assert terminal.shows_after(f"{typed}\t\x01printf '<%s>' \n", expected), (typed, terminal.shown)


class Terminal:
    """A process at a terminal, by which keys are typed."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._keys, other = pty.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - there is no other thread
        )
        os.close(other)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._keys)

    def shows_after(self, keys: str, text: str) -> bool:
        """Type, and tell whether the text appears on a line of its own beginning."""
        os.write(self._keys, keys.encode())
        self.shown, end = "", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self._keys], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self._keys, 1 << 16).decode(errors="replace")
            if re.search(rf"{re.escape(text)}(?![\w>])", self.shown):
                return True
        return False
