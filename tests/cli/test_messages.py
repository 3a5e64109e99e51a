"""What is printed about a result: warnings of infinite values and of precision that is ignored, and colours.

Colours follow https://no-color.org and https://force-color.org.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli.cli.colors import colored

Run = Callable[..., Any]
NAN, INF = math.nan, math.inf


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n1,2\n2,2\n")
    return path


# Infinite values


def test_infinite_values_are_counted_and_the_first_is_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target,g\n1,2,a\n3,4,a\ninf,2,b\n5,5,b\n-inf,5,a\n")
    ran = run("compute", path, "--by", "g")
    assert ran.code == 0
    assert ran.err == f"Warning: {path}, column 'pred': infinite values, the first in row 3 (2)\n"
    warning = json.loads(run("compute", path, "--format", "json").out)["warnings"][0]
    assert warning == {
        "code": "infinite_values", "where": f"{path}, column 'pred'", "meaning": "infinite values, the first in row 3",
        "count": 2,
    }  # fmt: skip


def test_infinite_values_of_either_side_are_named_by_their_own_rows(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("id,pred\n3,1\n2,inf\n1,1\n")
    files[1].write_text("id,target\n1,-inf\n2,1\n3,1\n")
    assert run("compute", *files, "--on", "id").err == (
        f"Warning: {files[0]}, column 'pred' and {files[1]}, column 'target': "
        "infinite values, the first in row 2 and row 1 (2)\n"
    )


@pytest.mark.parametrize(
    ("prediction", "target", "options"),
    [
        ([1.0, INF], [1.0, -1.0], {"ignore_index": -1}),
        ([1.0, INF], [1.0, NAN], {"nan_target": "omit"}),
        ([1e308, -1e308], [-1e308, 1e308], {}),  # the residuals are infinite, the values are not
        ([NAN, 1.0], [1.0, 1.0], {"nan_pred": "propagate"}),
    ],
)
def test_only_infinite_values_that_are_used_are_warned_of(
    prediction: list[float], target: list[float], options: dict[str, Any]
) -> None:
    assert msecli.score(prediction, target, **options).warnings == ()


def test_an_accumulator_numbers_the_rows_of_all_batches() -> None:
    total = msecli.Accumulator()
    total.update(np.zeros(4), np.zeros(4))
    total.update([0.0, INF], [0.0, 0.0])
    (warning,) = total.result().warnings
    assert (warning.where, warning.meaning) == ("prediction", "infinite values, the first in row 6")


# The plain mean


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 2.0, 4.0], 7 / 3),
        ([INF, 0.0], INF),
        ([NAN, 1.0], NAN),
        ([INF, NAN], NAN),
        # The sum is beyond the largest float64, the mean is not.
        ([1.5e308, 1.5e308, 1.5e308], 1.5e308),
    ],
)
def test_macro_is_the_plain_mean_in_ieee_arithmetic(losses: list[float], expected: float) -> None:
    # The sum of one row with weight w is w * 1.
    rows = {"p": [math.nan if math.isnan(loss) else math.inf if math.isinf(loss) else 1.0 for loss in losses]}
    frame = pd.DataFrame({**rows, "t": 0.0, "g": range(len(losses))})
    frame["w"] = [loss if math.isfinite(loss) else 1.0 for loss in losses]
    found = msecli.score(
        frame, pred="p", target="t", by="g", weight="w", reduction="sum", nan_pred="propagate", metrics="bias"
    )
    assert found.macro is not None
    assert repr(found.macro.loss) == repr(expected)
    assert found.macro.status == ("ok" if math.isfinite(expected) else repr(expected))
    assert (found.macro.entries, found.macro.left_out) == (len(losses), 0)


def test_infinities_of_both_signs_have_no_mean() -> None:
    result = msecli.score([[INF, -INF]], [[0.0, 0.0]], axis=0, metrics="bias")
    assert result.macro is not None
    assert result.macro.loss == INF
    assert math.isnan(result.macro.metrics["bias"])
    assert result.to_dict()["macro"]["not_finite"] == {"loss": "inf", "bias": "nan"}


def test_entries_with_nothing_to_score_are_left_out_and_counted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target,g\n1,2,a\n,4,b\n,2,c\n5,2,d\n")
    ran = run("compute", path, "--by", "g", "--nan-pred", "omit")
    assert ran.err == (
        "Warning: macro: groups with nothing to score are left out of the plain mean, the first is 'b' (2)\n"
    )
    # The groups' losses are 1 and 9.
    document = json.loads(run("compute", path, "--by", "g", "--nan-pred", "omit", "--format", "json").out)
    assert document["macro"] == {"loss": 5.0, "status": "ok", "metrics": {}, "entries": 2, "left_out": 2}
    table = run("compute", path, "--by", "g", "--nan-pred", "omit", "--format", "table").out
    assert "macro: plain mean of 2 of 4 groups" in table


# Plain lines


def test_every_plain_line_of_groups_and_batches_has_the_same_fields(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target,g\n1,2,a\n3,4,b\n4,2,a\n")
    lines = run("compute", path, "--by", "g", "--batch-size", 2, "-m", "mae").out.splitlines()
    # Squares 1, 1, 4; group a has 1 and 4, the first batch 1 and 1.
    assert [line.split("\t") for line in lines] == [
        ["a", "2.5", "1.5", ""], ["b", "1.0", "1.0", ""], ["0", "1.0", "1.0", "1.0"], ["1", "4.0", "2.0", "2.0"],
        ["pooled", "2.0", repr(4 / 3), ""], ["macro", "1.75", "1.25", ""],
    ]  # fmt: skip


# Precision


@pytest.mark.parametrize("format", ["plain", "csv", "tsv", "json"])
def test_a_precision_that_the_format_ignores_is_warned_of(run: Run, path: Path, format: str) -> None:
    with_it = run("compute", path, "--precision", 3, "--format", format)
    assert with_it.err == (
        f"Warning: --precision: the format {format} holds every digit; only table and markdown are rounded\n"
    )
    assert (with_it.code, with_it.out) == (0, run("compute", path, "--format", format).out)
    assert "holds every digit" in run("norm", path, "-c", "pred", "--precision", 3, "--format", format).err


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_a_precision_that_is_heeded_is_not_warned_of(run: Run, tmp_path: Path, format: str) -> None:
    np.save(tmp_path / "p.npy", np.array([1 / 3]))
    np.save(tmp_path / "t.npy", np.array([0.0]))
    ran = run("compute", tmp_path / "p.npy", tmp_path / "t.npy", "--precision", 3, "--format", format)
    assert ran.err == ""
    assert "0.111 " in f"{ran.out} ".replace("\n", " ")


def test_a_precision_from_the_environment_is_for_the_formats_that_heed_it(
    run: Run, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_PRECISION", "3")
    assert run("compute", path).err == ""


# Colours


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.mark.parametrize(
    ("environment", "terminal", "pipe"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_for_terminals_unless_the_environment_says_otherwise(
    environment: dict[str, str], terminal: bool, pipe: bool
) -> None:
    assert colored(Terminal(), environment) == terminal
    assert colored(io.StringIO(), environment) == pipe
    assert colored(None, environment) == pipe


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for colours everywhere."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")


@pytest.mark.usefixtures("colours")
def test_errors_are_red_and_warnings_bold(run: Run, tmp_path: Path) -> None:
    error, warning = "\x1b[31m\x1b[1mError:\x1b[0m ", "\x1b[1mWarning:\x1b[0m "
    assert run("compute", tmp_path / "none.csv").err.startswith(error)
    usage = run("compute", tmp_path / "none.csv", "--frobnicate").err
    assert usage.startswith("Usage: ")
    assert f"\n\n{error}No such option" in usage
    path = tmp_path / "x.csv"
    path.write_text("pred,target\ninf,2\n")
    ran = run("compute", path, "--format", "table")
    assert ran.err.startswith(warning)
    assert "\x1b[1;31minf\x1b[0m" in ran.out
    assert run("compute", path, "--no-reduce", "--format", "csv").err.startswith(warning)


def test_in_a_pipe_there_are_no_colours(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    path = tmp_path / "x.csv"
    path.write_text("pred,target\ninf,2\n")
    ran = run("compute", path, "--format", "table")
    assert "\x1b" not in ran.out + ran.err


# The module


def test_the_module_is_written_as_it_was_made() -> None:
    assert repr(msecli.MSELoss()) == "MSELoss()"
    assert repr(msecli.MSELoss(reduction="sum")) == "MSELoss(reduction='sum')"
    assert repr(msecli.MSELoss(weight=np.ones(1000), ignore_index=-1, nan_pred="omit")) == (
        "MSELoss(weight=..., ignore_index=(-1.0,), nan_pred='omit')"
    )
    with pytest.warns(DeprecationWarning, match="size_average"):
        assert repr(msecli.MSELoss(size_average=False)) == "MSELoss(reduction='sum')"
