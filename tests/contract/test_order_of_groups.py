"""The order of groups: --sort, --reverse, --top; expected values by hand, the losses are the groups' squared errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import msecli

Run = Callable[..., Any]

# Group: errors. a: 1 → loss 1, bias 1; b: -3, 3 → 9, 0; c: 2 → 4, 2; d: -2 → 4, -2; e: missing.
TABLE = "g,yhat,y\na,1,0\nc,2,0\nb,-3,0\nb,3,0\nd,-2,0\ne,nan,0\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(TABLE)
    return path


def report_of(run: Run, table: Path, *arguments: object) -> dict[str, Any]:
    ran = run("compute", table, "--by", "g", "--nan-pred", "omit", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ((), "abcde"),
        (("--sort", "loss"), "bcdae"),
        (("--sort", "loss", "--reverse"), "acdbe"),
        (("--sort", "RMSE", "--top", 2), "bc"),
        (("--sort", "bias"), "cdabe"),
        (("--sort", "used"), "bacde"),
        (("--sort", "used", "--reverse"), "eacdb"),
        (("--top", 3), "bcd"),
        (("--top", 3, "--reverse"), "acd"),
        (("--top", 9), "bcdae"),
    ],
)
def test_groups_come_in_the_order_asked_for(run: Run, table: Path, options: tuple[object, ...], order: str) -> None:
    plain = report_of(run, table)
    report = report_of(run, table, *options)
    assert "".join(group["group"]["g"] for group in report["groups"]) == order
    assert report.get("groups_not_listed", 0) == 5 - len(order)
    assert (report["loss"], report["macro"]["loss"]) == (plain["loss"], plain["macro"]["loss"])
    assert report["macro"]["entries"] == 4


def test_for_scores_the_lowest_is_the_worst(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    # r2 of a is 1, of b 0; psnr of a is infinite.
    path.write_text("g,yhat,y\na,1,1\na,2,2\nb,1.5,1\nb,1.5,2\n")
    for options in (("--sort", "r2"), ("--sort", "psnr", "--peak", 2)):
        assert [group["group"]["g"] for group in report_of(run, path, *options)["groups"]] == ["b", "a"]


def test_a_metric_to_sort_by_is_computed(run: Run, table: Path) -> None:
    report = report_of(run, table, "--sort", "mae", "-m", "rmse")
    assert report["metrics"] == {"rmse": (27 / 5) ** 0.5, "mae": 11 / 5}


@pytest.mark.parametrize("format", ["plain", "csv", "tsv", "markdown", "table"])
def test_all_formats_list_the_same_groups(run: Run, table: Path, format: str) -> None:
    arguments = ("compute", table, "--by", "g", "--nan-pred", "omit", "--top", 2, "--format", format)
    lines = run(*arguments).out.replace("|", " ").replace(",", " ").splitlines()
    first = [word for line in lines for word in line.split() if word in set("abcde")]
    assert first == ["b", "c"]


def test_people_see_how_many_groups_are_not_listed(run: Run, table: Path) -> None:
    out = run("compute", table, "--by", "g", "--nan-pred", "omit", "--top", 2, "--format", "table").out
    assert "macro: plain mean of 4 of 5 groups, 3 of them not listed" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sort", "loss"), "there are none"),
        (("--top", "2"), "there are none"),
        (("--by", "g", "--reverse"), "name one, as with --sort loss"),
        (("--by", "g", "--sort", "rsme"), "did you mean 'rmse'"),
        (("--by", "g", "--top", "0"), "--top"),
        (("--by", "g", "--sort", "all"), "one metric"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, table: Path, options: tuple[str, ...], message: str) -> None:
    ran = run("compute", table, *options)
    assert (ran.code, message in ran.err) == (2, True), ran.err


def test_python_callers_sort_groups_too() -> None:
    frame = pd.DataFrame({"g": ["a", "b"], "yhat": [1.0, 2.0], "y": [0.0, 0.0]})
    result = msecli.score(frame, by="g", top=1)
    assert ([dict(group.label) for group in result.groups], result.not_listed) == ([{"g": "b"}], 1)
