"""The signature says of weights where they are from; a column's name cannot make it look like another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli

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


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (["g"], "by:g"),
        (["G"], "by:g"),
        (["g,a|b"], 'by:g,"a|b"'),
        (["a|b", "g"], 'by:"a|b",g'),
    ],
)
def test_groups_are_named_as_in_the_file_and_quoted(run: Run, tmp_path: Path, typed: list[str], field: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("pred,target,g,a|b\n2,3,x,u\n5,3,y,v\n")
    options = [word for name in typed for word in ("--by", name)]
    assert f"|pairing:position|{field}|used:2/2|" in signature(run, path, *options)


def test_penalties_are_named_only_where_there_are_any(run: Run, tmp_path: Path) -> None:
    path, coef = tmp_path / "t.csv", tmp_path / "coef.csv"
    path.write_text("pred,target\n2,3\n5,3\n")
    coef.write_text("a,b\n1,-2\n")
    for options, fields in (
        ([], ""),
        (["--l1", "0.5"], "l1:0.5|"),
        (["--l2", "1e-3", "--l1", "2"], "l1:2.0|l2:0.001|"),
    ):
        assert f"|pairing:position|{fields}used:2/2|" in signature(run, path, "--params", coef, *options)
    result = msecli.linear([[1.0]], [2.0], coef=[1.0], l2=0.25)
    assert "|pairing:position|l2:0.25|used:1/1|" in result.signature


def test_losses_that_cannot_be_compared_differ_in_what_is_before_used(run: Run, tmp_path: Path) -> None:
    path, other = tmp_path / "t.csv", tmp_path / "u.csv"
    path.write_text("id,pred,target,w,g\n1,2,3,1,a\n2,5,3,1,b\n")
    other.write_text("id,target\n2,3\n1,3\n")
    options: list[list[object]] = [
        [path], [path, "-w", "w"], [path, "--by", "g"], [path, "--batch-size", 1], [path, "-r", "sum"],
        [path, "--nan-target", "omit"], [path, "--nan-pred", "omit"], [path, "--ignore-index", 7],
        [path, other, "--on", "id"], [path, other, "--on", "id", "--unmatched", "skip"],
    ]  # fmt: skip
    found = [signature(run, *each).partition("|used:")[0] for each in options]
    assert len(set(found)) == len(options)
    # The same settings on other rows: only what follows `used` differs.
    more = tmp_path / "more.csv"
    more.write_text("id,pred,target\n1,2,3\n2,5,3\n3,5,4\n")
    assert signature(run, more).partition("|used:")[0] == found[0]
