"""The self-test: it passes here, and it notices a kernel that computes something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from msecli import kernel
from msecli.arrays import FloatArray
from msecli.kernel import python, python_sums
from msecli.kernel.interface import Sum
from msecli.scoring.selftest import KNOWN, agrees

Run = Callable[..., Any]


def test_every_kernel_gives_the_published_numbers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    ran = run("selftest", "--format", "json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err, document["passed"]) == (0, "", True)
    assert document["kernels"] == [name for name in kernel.NAMES if kernel.available(name)]
    per_kernel = sum(len(known.answers) for known in KNOWN) + 3
    assert len(document["answers"]) == per_kernel * len(document["kernels"])
    found = {name: [each["found"] for each in document["answers"] if each["kernel"] == name] for name in kernel.NAMES}
    assert len(set(map(tuple, filter(None, found.values())))) == 1


def test_people_are_shown_numbers_and_origins_in_a_pipe_too(run: Run) -> None:
    ran = run("selftest")
    words = [line.split() for line in ran.out.splitlines()]
    assert ["passed", "4", "elements", "loss", "0.375", "0.375"] in words
    assert "NIST, Statistical Reference Datasets" in ran.out
    assert words[-1][-2:] == ["numbers", "agree"]
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_kernel_that_was_chosen_is_chosen_afterwards(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernel.VARIABLE, "python")
    assert run("selftest").code == 0
    assert kernel.name() == "python"


def test_a_kernel_that_sums_wrongly_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = python.exact_sum

    def a_little_more(values: FloatArray) -> Sum:
        return exact(values)._replace(units=exact(values).units * 1001 // 1000)

    monkeypatch.setattr(python_sums, "exact_sum", a_little_more)
    monkeypatch.setattr(python, "exact_sum", a_little_more)
    ran = run("selftest", "--format", "json")
    wrong = [each for each in json.loads(ran.out)["answers"] if not each["passed"]]
    assert ran.code == 1
    assert {each["kernel"] for each in wrong} == {"python"}


@pytest.mark.parametrize(
    ("found", "published", "same"),
    [
        (0.375, "0.375", True),
        (0.3751, "0.375", True),
        (0.3756, "0.375", False),
        (0.9489, "0.948…", True),
        (0.9479, "0.948…", False),
        (2.0, "2", True),
        (float("nan"), "2", False),
        (float("inf"), "2", False),
    ],
)
def test_numbers_agree_in_the_published_digits(found: float, published: str, same: bool) -> None:
    assert agrees(found, published) is same
