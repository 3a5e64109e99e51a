"""What no data could make valid is refused before any file is touched, with exit code 2 and a reason.

None of the files that the cases name exists: a case that got as far as opening one would end with exit code 4. The
messages are spelled out as Python callers read them.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import msecli
from msecli import UsageError
from msecli.cli.wording import as_options
from msecli.core.metrics import METRICS
from msecli.scoring.request import Request

Run = Callable[..., Any]

USAGE, READ_WRITE = 2, 4
TWO = ("p.csv", "t.csv")

NONE_GRADIENT = "reduction 'none' gives a vector, which has no gradient; use sum, mean or batchmean"
NONE_GROUPS = "reduction 'none' keeps every element, so there is nothing to group; use sum, mean or batchmean"
NONE_OBJECTIVE = "an objective is a loss plus penalties; reduction 'none' gives no single loss"
AXIS = "axis gives an array of losses; it does not go with gradients, by or batch_size"
AXIS_BATCHMEAN = "axis does not go with batchmean, which divides by rows: an axis may have reduced them"
PAIRS = "2 prediction columns and 1 target column do not make pairs; score them one by one, as with pred='a' target='c'"
ONE_FILE = "on pairs the rows of two files; with one file they are paired already"
SKIP = "unmatched='skip' requires on; by position every row has a partner"
TWO_WEIGHTS = "weight and weight_file both name the weights; choose one"
KEYED_WEIGHTS = "a weight file has no keys, so it does not go with on; put the weights in a column: weight=COLUMN"
NO_BATCHES = "shuffle and drop_last require batch_size"
ONE_STDIN = "standard input can be given only once; write the others to files"
NO_PARAMETERS = "l1 and l2 are factors of penalties on parameters; name these with params=FILE"
UNKNOWN_METRIC = (
    f"unknown metric 'msa'; choose from {', '.join([*METRICS, 'lp:P', 'mase', 'skill:COLUMN', 'psnr', 'all'])}"
)
BAD_ORDER = "metric 'lp:0.5': P in lp:P is a number of at least 1, such as lp:3 (for infinity: linf)"


class Case(NamedTuple):
    """Words of the command line, the parameters of `msecli.score` that say the same, and the reason."""

    words: tuple[str, ...]
    options: dict[str, Any]
    message: str
    files: tuple[str, ...] = TWO


CASES = [
    Case(("-r", "none", "--by", "g"), {"reduction": "none", "by": "g"}, NONE_GROUPS),
    Case(("-r", "none", "--batch-size", "2"), {"reduction": "none", "batch_size": 2}, NONE_GROUPS),
    Case(("-r", "none", "--axis", "0"), {"reduction": "none", "axis": 0}, NONE_GROUPS),
    Case(("--axis", "0", "--by", "g"), {"axis": 0, "by": "g"}, AXIS),
    Case(("--axis", "1", "--batch-size", "2"), {"axis": 1, "batch_size": 2}, AXIS),
    Case(("--axis", "0", "-r", "batchmean"), {"axis": 0, "reduction": "batchmean"}, AXIS_BATCHMEAN),
    Case(("-p", "a", "-p", "b", "-t", "c"), {"pred": ("a", "b"), "target": "c"}, PAIRS),
    Case(("--on", "id"), {"on": "id"}, ONE_FILE, ("p.csv",)),
    Case(("--unmatched", "skip"), {"unmatched": "skip"}, SKIP),
    Case(("-w", "w", "--weight-file", "w.npy"), {"weight": "w", "weight_file": "w.npy"}, TWO_WEIGHTS),
    Case(("--on", "id", "--weight-file", "w.npy"), {"on": "id", "weight_file": "w.npy"}, KEYED_WEIGHTS),
    Case(("--shuffle", "1"), {"shuffle": 1}, NO_BATCHES),
    Case(("--drop-last",), {"drop_last": True}, NO_BATCHES),
    Case((), {}, ONE_STDIN, ("-", "-")),
    Case(("--weight-file", "-"), {"weight_file": "-"}, ONE_STDIN, ("p.csv", "-")),
    Case(("-m", "mse,msa"), {"metrics": ("mse", "msa")}, UNKNOWN_METRIC),
    Case(("-m", "lp:0.5"), {"metrics": "lp:0.5"}, BAD_ORDER),
    Case(("--l1", "1"), {"l1": 1}, NO_PARAMETERS),
    Case(("-r", "none", "--params", "w.npy"), {"reduction": "none", "params": ["w.npy"]}, NONE_OBJECTIVE),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join((*case.files, *case.words)))
def test_a_combination_without_meaning_is_refused_with_the_reason(run: Run, case: Case) -> None:
    with pytest.raises(UsageError) as raised:
        msecli.score(*case.files, **case.options)
    assert str(raised.value) == case.message
    assert isinstance(raised.value, ValueError)
    ran = run("compute", *case.files, *case.words)
    assert (ran.code, ran.out) == (USAGE, "")
    assert says(ran.err, raised.value)


def says(err: str, error: UsageError) -> bool:
    """Tell whether the command line says the same, with the settings spelled as options."""
    return err == f"Error: {error.worded(as_options)}\n"


@pytest.mark.parametrize("option", ["--grad", "--grad-target"])
@pytest.mark.parametrize(
    ("words", "message"),
    [(("-r", "none"), NONE_GRADIENT), (("--axis", "0"), AXIS), (("--no-reduce",), NONE_GRADIENT)],
    ids=["none", "axis", "legacy"],
)
def test_what_has_no_gradient_says_so(
    run: Run, tmp_path: Path, option: str, words: tuple[str, ...], message: str
) -> None:
    ran = run("compute", *TWO, *words, option, tmp_path / "g.npy")
    assert (ran.code, ran.out) == (USAGE, "")
    assert message.rpartition("; ")[0].partition(" gives ")[2] in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--batch-size", "0"), "'--batch-size': 0 is not in the range x>=1"),
        (("--batch-size", "-3"), "'--batch-size': -3 is not in the range x>=1"),
        (("--batch-size", "2.5"), "'--batch-size': '2.5' is not a valid integer range"),
        (("--batch-size", "2", "--shuffle", "-1"), "'--shuffle': -1 is not in the range x>=0"),
        (("--axis", "x"), "'--axis': 'x' is not a valid integer"),
        (("--ignore-index", "x"), "'--ignore-index': 'x' is not a valid float"),
        (("--unmatched", "drop"), "'--unmatched': 'drop' is not one of 'error', 'skip'"),
        (("--nan-policy", "ignore"), "'--nan-policy': 'ignore' is not one of 'raise', 'omit', 'propagate'"),
        (("--nan-pred", "ignore"), "'--nan-pred': 'ignore' is not one of 'raise', 'omit', 'propagate'"),
        (("-r", "avg"), "'avg' is not one of 'mean', 'sum', 'batchmean', 'none'"),
        (("--jobs", "0"), "'--jobs': 0 is not in the range x>=1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_value_is_a_usage_error(run: Run, words: tuple[str, ...], message: str) -> None:
    ran = run("compute", *TWO, *words)
    assert (ran.code, ran.out) == (USAGE, "")
    assert message in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size: 0 is not at least 1"),
        ({"batch_size": 2, "shuffle": -1}, "shuffle: the seed -1 is negative"),
        ({"unmatched": "drop"}, "unmatched: 'drop' is not one of error, skip"),
        ({"nan_target": "ignore"}, "nan_target: 'ignore' is not one of raise, omit, propagate"),
        ({"nan_pred": "ignore"}, "nan_pred: 'ignore' is not one of raise, omit, propagate"),
        ({"reduction": "avg"}, "unknown reduction 'avg'; choose from mean, sum, batchmean, none"),
        ({"engine": "cloud"}, "unknown engine 'cloud'; choose from local, dask"),
        ({"jobs": 0}, "jobs: 0 is not a number of at least 1"),
        ({"jobs": 1.5}, "jobs: 1.5 is not a whole number"),
        ({"jobs": 2**64}, "jobs: the number is beyond 9223372036854775807"),
        ({"axis": "0"}, "axis: '0' is not a whole number"),
        ({"ignore_index": "7"}, "ignore_index: '7' is text, not a number"),
        ({"ignore_index": [1.0, None]}, "ignore_index: [1.0, None] is neither a number nor several numbers"),
        ({"ignore_index": np.complex128(1)}, "ignore_index: np.complex128(1+0j) is complex; it must be real"),
        ({"pred": 3}, "pred: 3 is neither a name nor several names"),
        ({"weight": 3}, "weight: 3 is not text"),
        ({"weight_file": b"w.npy"}, "weight_file: b'w.npy' is not text"),
        ({"keep": "gradient"}, "keep: gradient is not one of grad, grad_target, grad_params, predictions"),
        (
            {"reading": {"header": False}},
            "reading: {'header': False} is neither a msecli.Reading nor a mapping of files to such",
        ),
        (
            {"reading": {"first": msecli.Reading()}},
            "reading: 'first' is not one of pred, target, weight, coef, intercept, params, both",
        ),
        (
            {"reading": {"weight": msecli.Reading()}},
            "how to read 'weight' is set, but there is no such file; there is pred, target",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_value_is_a_usage_error_in_python_too(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        msecli.score(*TWO, **options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"on": ("id",), "unmatched": "skip", "weight": "w", "by": ("g", "h"), "batch_size": 2, "shuffle": 1,
         "drop_last": True},
        {"weight_file": "w.npy", "by": ("g",), "keep": frozenset({"grad"})},
        {"axis": (0, 2), "weight_file": "w.npy", "reduction": "sum", "ignore_index": (1.0,), "nan_pred": "omit"},
        {"axis": (1,), "on": ("id",), "weight": "w"},
        {"reduction": "none", "on": ("id",), "weight": "w", "metrics": ("rmse", "lp:3")},
        {"reduction": "batchmean", "batch_size": 2, "by": ("g",), "keep": frozenset({"grad_target"})},
        {"pred": ("a", "b"), "target": ("c", "d")},
        {"pred": ("a", "b")},
        {"unmatched": "error"},
        {"targets": None, "weight": "w", "by": ("g",), "batch_size": 3, "shuffle": 0, "drop_last": True},
        {"targets": None, "weight_file": "w.npy"},
        {"coef": "w.npy", "pred": ("a", "b"), "target": ("c",), "l2": 1.0},
    ],
    ids=lambda options: " ".join(options) or "nothing",
)  # fmt: skip
def test_what_has_a_meaning_is_let_through(options: dict[str, Any]) -> None:
    request = Request(**{"predictions": "p.csv", "targets": "t.csv"} | options)
    assert {name: getattr(request, name) for name in options} == options
    assert pickle.loads(pickle.dumps(request)) == request


def test_a_changed_request_is_checked_again() -> None:
    request = Request(predictions="p.csv", targets="t.csv", batch_size=2, shuffle=1)
    with pytest.raises(UsageError, match="require batch_size"):
        replace(request, batch_size=None)


def test_loose_values_are_taken_for_what_they_mean(tmp_path: Path) -> None:
    loose = Request.of(
        predictions=tmp_path / "p.csv",
        targets="t.csv",
        pred=np.array(["a", "b"]),
        target=["c", "d"],
        on="id",
        by=None,
        axis=(),
        batch_size=np.int32(4),
        shuffle=np.uint8(3),
        drop_last=np.True_,
        metrics=(name for name in ("rmse", "mae")),
        ignore_index=np.array([-1, math.inf]),
        keep="grad",
        reading=None,
    )
    assert loose == Request(
        predictions=str(tmp_path / "p.csv"),
        targets="t.csv",
        pred=("a", "b"),
        target=("c", "d"),
        on=("id",),
        batch_size=4,
        shuffle=3,
        drop_last=True,
        metrics=("rmse", "mae"),
        ignore_index=(-1.0, math.inf),
        keep=frozenset({"grad"}),
    )
    assert (type(loose.batch_size), type(loose.drop_last)) == (int, bool)


def test_a_single_number_of_any_kind_is_one_of_several() -> None:
    for one in (7, 7.0, np.float32(7), np.array(7)):
        assert Request.of(predictions="p.csv", ignore_index=one).ignore_index == (7.0,)
    assert Request.of(predictions="p.csv", axis=np.int64(-1)).axis == (-1,)


def test_what_files_alone_can_show_is_not_a_usage_error(run: Run) -> None:
    ran = run("compute", *TWO, "-w", "w", "--by", "g", "--on", "id", "--batch-size", "2", "--shuffle", "3")
    assert ran.code == READ_WRITE
    assert "p.csv: no such file" in ran.err
    assert "t.csv: no such file" in ran.err


def test_a_missing_weight_file_is_reported_with_the_others(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("p.csv", "t.csv", "w.csv")]
    ran = run("compute", *paths[:2], "--weight-file", paths[2])
    assert ran.code == READ_WRITE
    for path in paths:
        assert f"{path}: no such file" in ran.err


def test_the_weight_file_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    for name in "ptw":
        (tmp_path / f"{name}.csv").write_text(f"{name}\n1\n2\n")
    files = tmp_path / "p.csv", tmp_path / "t.csv", "--weight-file", tmp_path / "w.csv"
    for output in ("-o", "--grad"):
        ran = run("compute", *files, output, tmp_path / "w.csv", "--overwrite")
        assert ran.code == USAGE
        assert f"this is also the input {tmp_path / 'w.csv'}" in ran.err
    assert (tmp_path / "w.csv").read_text() == "w\n1\n2\n"
