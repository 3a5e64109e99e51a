"""Files that are no tables of text: what they are is said in one line, and how to read them where a program can.

Printed commands are run by bash, and must give the loss; the losses are worked out by hand.
"""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x"])
def test_markup_is_said_to_be_so(content: str, kind: str, name: str, run: Run) -> None:
    Path(name).write_text(content)
    ran = run("compute", name)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"Error: {name}: this is {kind}, ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"yhat": list(range(99_999))}),
        json.dumps({"yhat": [1], "y": [2]}, indent=1),
        json.dumps({"yhat": {"0": 1.5, "1": 2}, "y": {"0": 2, "1": 4}}),
        json.dumps({"data": RECORDS}),
        json.dumps([1.5] * 99_999),
        "[1, 2]\n[3, 4]\n",
        "{}\n{}\n",
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl", "x"])
def test_json_that_is_not_records_is_told_how_to_write_them(content: str, name: str, run: Run) -> None:
    Path(name).write_text(content)
    ran = run("compute", name)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"Error: {name}")
    assert "record" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content"), [("x.jsonl", "".join(json.dumps(r) + "\n" for r in RECORDS)), ("x.json", json.dumps(RECORDS))]
)
def test_records_that_are_read_as_text_are_told_their_format(name: str, content: str, run: Run) -> None:
    Path(name).write_text(content)
    ran = run("compute", name, "--input-format", "csv")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.endswith(f"use --input-format {name[2:]}\n")
    # The mean of 0.25 and 4.
    assert run("compute", name, "--input-format", name[2:]).out == "2.125\n"


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


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_has_to_be_extracted(mode: str, run: Run) -> None:
    Path("p.csv").write_bytes(P)
    with tarfile.open("p.tar", mode) as archive:  # type: ignore[call-overload] # one of its modes
        archive.add("p.csv")
    ran = run("compute", "p.tar")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "Error: p.tar: the file is a tar archive; extract what is in it: tar -xf FILE\n"


class Bomb:
    """Leaves a mark if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("unpickled"),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["x.pkl", "x.joblib", "x.npy", "x.npz", "x.csv", "x.h5", "x"])
@pytest.mark.parametrize("pack", [bytes, zlib.compress], ids=["plain", "compressed"])
def test_pickles_are_never_loaded(protocol: int, name: str, pack: Callable[[bytes], bytes], run: Run) -> None:
    Path(name).write_bytes(pack(pickle.dumps({"x": Bomb(), "y": list(range(99))}, protocol)))
    ran = run("compute", name, name)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(
        f"Error: {name}: pickle or joblib wrote the file, whose Python objects are never loaded, "
    )
    assert ran.err.splitlines()[0].endswith(": numpy.save(FILE, array) or frame.to_parquet(FILE)")
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.npz", "x.csv"])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_has_saved_is_told_how_to_be_saved(name: str, zipped: bool, run: Run) -> None:
    if zipped:
        # As PyTorch 2.13 names what is in its archives.
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Bomb(), 2))
            archive.writestr("archive/data/0", bytes(24))
    else:
        # The number by which the format of PyTorch before 1.6 begins.
        Path(name).write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(Bomb(), 2))
    ran = run("compute", name)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"Error: {name}: torch.save wrote the file, ")
    assert "safetensors.torch.save_file({'x': tensor}, FILE)" in ran.err
    assert not Path("unpickled").exists()


def test_what_torch_saves_today_is_recognised(run: Run) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    torch.save(torch.ones(3), "x.pt")
    torch.save({"a": torch.ones(3)}, "y.pt", _use_new_zipfile_serialization=False)
    for name in ("x.pt", "y.pt"):
        assert f"{name}: torch.save wrote the file" in run("compute", name).err
