"""Files that are no tables of text: what they are is said in one line, and how to read them where a program can.

Printed commands are run by bash, and must give the loss; the losses are worked out by hand.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli
from msecli import DataError

Run = Callable[..., Any]

P, T = b"yhat\n1\n2\n", b"y\n2\n4\n"
RECORDS = [{"yhat": 1.5, "y": 2}, {"yhat": 2, "y": 4}]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("<!DOCTYPE html>\n<html><head><title>404</title></head></html>", "an HTML page"),
        ("<html>" + "prose " * 1000, "an HTML page"),
        ("\n  <HTML>\n", "an HTML page"),
        ("\ufeff<!doctype html>", "an HTML page"),
        ('<?xml version="1.0"?>\n<Error/>', "XML"),
        (json.dumps(RECORDS), "JSON"),
        (json.dumps(RECORDS, indent=2), "JSON"),
        (json.dumps({"yhat": list(range(99_999))}), "JSON"),
        (json.dumps({"yhat": [1], "y": [2]}, indent=1), "JSON"),
        (json.dumps([1.5] * 99_999), "JSON"),
        ("".join(json.dumps(record) + "\n" for record in RECORDS), "JSON Lines"),
        ("[1, 2]\n[3, 4]\n", "JSON Lines"),
        ("{}\n{}\n", "JSON Lines"),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x"])
def test_markup_and_json_are_said_to_be_so(content: str, kind: str, name: str, run: Run) -> None:
    Path(name).write_text(content)
    ran = run("compute", name)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"Error: {name}: this is {kind}, ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("header", ["[a],[b]", "{a},{b}", "[1],[2]", '"<a>",b', "[yhat],y", "<y>,y"])
def test_names_may_begin_with_a_bracket(header: str, run: Run) -> None:
    Path("x.csv").write_text(f"{header}\n1,2\n3,4\n")
    names = [name.strip('"') for name in header.split(",")]
    ran = run("compute", "x.csv", "-p", names[0], "-t", names[1])
    assert (ran.code, ran.out) == (0, "1.0\n")


def printed(run: Run, *arguments: str) -> str:
    """Return the one command that is printed, made to run this msecli."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    (command,) = re.findall(r"; run(?:, in bash or zsh)?: (.*)\n\Z", ran.err)
    return str(command).replace("msecli compute", f"{sys.executable} -m msecli compute")


def said(command: str, stdin: bytes = b"") -> str:
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run([bash, "-c", command], input=stdin, capture_output=True, check=True).stdout.decode()


PACKERS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (".gz", gzip.compress, "gzip"),
    (".bz2", bz2.compress, "bzip2"),
    (".xz", lzma.compress, "xz"),
]


@pytest.mark.parametrize(("suffix", "pack", "program"), PACKERS)
def test_the_printed_pipe_reads_a_compressed_file(
    suffix: str, pack: Callable[[bytes], bytes], program: str, run: Run
) -> None:
    Path(f"p q.csv{suffix}").write_bytes(pack(P))
    Path("t.csv").write_bytes(T)
    command = printed(run, "compute", f"p q.csv{suffix}", "t.csv", "-m", "mae")
    assert command.startswith(f"{program} -dc 'p q.csv{suffix}' | ")
    if shutil.which(program):
        assert said(command) == "loss\t2.5\nmae\t1.5\n"
    # A program that goes by suffixes has to be given the bytes.
    Path("p.csv").write_bytes(pack(P))
    command = printed(run, "compute", "--nan-pred", "omit", "p.csv", "t.csv")
    assert command.startswith(f"{program} -dc < p.csv | ")
    if shutil.which(program):
        assert said(command) == "2.5\n"


def test_two_compressed_files_take_the_place_of_files(run: Run) -> None:
    Path("p.csv.gz").write_bytes(gzip.compress(P))
    Path("t.csv.gz").write_bytes(gzip.compress(T))
    Path("w.csv.gz").write_bytes(gzip.compress(b"w\n1\n3\n"))
    command = printed(run, "compute", "p.csv.gz", "t.csv.gz", "--weight-file=w.csv.gz")
    assert command.count("<(gzip -dc ") == 3
    # (1 · 1 + 3 · 4) / 4
    assert said(command) == "3.25\n"
    Path("w.csv").write_bytes(b"w\n1\n3\n")
    Path("t.csv").write_bytes(T)
    ran = run("compute", "-", "t.csv.gz", stdin=P)
    command = ran.err.partition("run, in bash or zsh: ")[2].replace("msecli", f"{sys.executable} -m msecli")
    assert said(command, P) == "2.5\n"


def test_what_comes_out_of_a_pipe_is_said_to_have_tabs(run: Run) -> None:
    Path("x.tsv.gz").write_bytes(gzip.compress(b"yhat\ty\n1\t2\n"))
    command = printed(run, "compute", "x.tsv.gz")
    assert command.endswith("compute - --input-format tsv")
    assert said(command) == "1.0\n"
    Path("t.csv.gz").write_bytes(gzip.compress(b"y\n2\n"))
    command = printed(run, "compute", "x.tsv.gz", "t.csv.gz")
    assert command.endswith(" <(gzip -dc t.csv.gz) --input-format pred=tsv")
    assert said(command) == "1.0\n"


def test_a_compressed_pipe_needs_the_program_before_it(run: Run) -> None:
    Path("t.csv").write_bytes(T)
    ran = run("compute", "-", "t.csv", stdin=gzip.compress(P))
    assert ran.err == ("Error: -: the file is compressed with gzip; run: … | gzip -dc | msecli compute - t.csv\n")


def test_python_is_told_in_its_words() -> None:
    Path("p.csv.gz").write_bytes(gzip.compress(P))
    with pytest.raises(DataError, match=r"compressed with gzip; run: gzip -dc p\.csv\.gz > FILE"):
        msecli.score("p.csv.gz")
