"""The signature says of weights where they are from; a column's name cannot make it look like another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def signature(run: Run, *arguments: object) -> str:
    ran = run("compute", *arguments, "-p", "pred", "-t", "target", "--format", "json")
    assert (ran.code, "Error" in ran.err) == (0, False)
    return str(json.loads(ran.out)["signature"])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("w", "column(w)"),
        ("my w", "column(my w)"),
        ("größe", "column(größe)"),
        ("none", "column(none)"),
        ("", 'column("")'),
        ("a|b", 'column("a|b")'),
        ("a)|nan:omit", 'column("a)|nan:omit")'),
        ('5" w', 'column("5\\" w")'),
        ("a\\b", 'column("a\\\\b")'),
        ("a~b", 'column("a~b")'),
        ("a:b", 'column("a:b")'),
        ("a,b", 'column("a,b")'),
        ("a\nb", 'column("a\\nb")'),
        ("a\x9bb", 'column("a\\u009bb")'),
    ],
)
def test_a_column_of_weights_is_named(run: Run, tmp_path: Path, name: str, field: str) -> None:
    path = tmp_path / "t.csv"
    quoted = '"' + name.replace('"', '""') + '"'
    path.write_text(f"{quoted},pred,target\n1,2,3\n3,5,3\n")
    assert f"|weights:{field}|" in signature(run, path, "-w", name)


def test_it_is_the_name_in_the_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("W ,pred,target\n1,2,3\n3,5,3\n")
    assert "|weights:column(W )|" in signature(run, path, "-w", "w")


@pytest.mark.parametrize(
    ("name", "field"), [("w.csv", "file(w.csv)"), ("none", "file(none)"), ("w(1).csv", 'file("w(1).csv")')]
)
def test_a_file_of_weights_is_named(run: Run, tmp_path: Path, name: str, field: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("pred,target\n2,3\n5,3\n")
    (tmp_path / name).write_text("w\n1\n3\n")
    assert f"|weights:{field}|" in signature(run, path, "--weight-file", tmp_path / name)
    assert "|weights:none|" in signature(run, path)
