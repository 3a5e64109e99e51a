"""What no data could make valid is refused before any file is touched, with exit code 2 and a reason.

None of the files that the cases name exists: a case that got as far as opening one would end with exit code 4. The
messages are spelled out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import msecli
from msecli import UsageError
from msecli.api import Batching, Request, check_request

Run = Callable[..., Any]

USAGE, READ_WRITE = 2, 4
TWO = ("p.csv", "t.csv")

NONE_GRADIENT = "reduction 'none' gives a vector, which has no gradient; use sum, mean or batchmean"
NONE_GROUPS = "reduction 'none' keeps every element, so there is nothing to group; use sum, mean or batchmean"
AXIS = "--axis gives an array of losses; it does not go with gradients, --by or --batch-size"
AXIS_BATCHMEAN = (
    "--axis goes with the reductions mean and sum; batchmean divides by rows, which an axis may have reduced"
)
PAIRS = "2 prediction columns and 1 target columns: name them in pairs, -p and -t"
ONE_FILE = "--on pairs the rows of two files; with one file they are paired already"
SKIP = "--unmatched skip goes with --on; by position every row has a partner"
TWO_WEIGHTS = "--weight and --weight-file both name the weights; choose one"
KEYED_WEIGHTS = "a weight file has no keys, so it does not go with --on; put the weights in a column: --weight COLUMN"
NO_BATCHES = "--shuffle and --drop-last go with --batch-size"
ONE_STDIN = "standard input can be given only once; write the others to files"


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
    Case(("-p", "a", "-p", "b", "-t", "c"), {"pred_columns": ("a", "b"), "target_columns": "c"}, PAIRS),
    Case(("--on", "id"), {"on": "id"}, ONE_FILE, ("p.csv",)),
    Case(("--unmatched", "skip"), {"unmatched": "skip"}, SKIP),
    Case(("-w", "w", "--weight-file", "w.npy"), {"weight": "w", "weight_file": "w.npy"}, TWO_WEIGHTS),
    Case(("--on", "id", "--weight-file", "w.npy"), {"on": "id", "weight_file": "w.npy"}, KEYED_WEIGHTS),
    Case(("--shuffle", "1"), {"shuffle": 1}, NO_BATCHES),
    Case(("--drop-last",), {"drop_last": True}, NO_BATCHES),
    Case((), {}, ONE_STDIN, ("-", "-")),
    Case(("--weight-file", "-"), {"weight_file": "-"}, ONE_STDIN, ("p.csv", "-")),
    Case(("-m", "mse,msa"), {"metrics": ("mse", "msa")}, "unknown metric 'msa'; choose from mse, rmse, mae, "),
    Case(("-m", "lp:0.5"), {"metrics": "lp:0.5"}, "metric 'lp:0.5': P in lp:P is a number of at least 1"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join((*case.files, *case.words)))
def test_a_combination_without_meaning_is_refused_with_the_reason(run: Run, case: Case) -> None:
    ran = run("compute", *case.files, *case.words)
    assert (ran.code, ran.out) == (USAGE, "")
    assert ran.err.startswith(f"Error: {case.message}")
    with pytest.raises(UsageError) as raised:
        msecli.score(*case.files, **case.options)
    assert ran.err == f"Error: {raised.value}\n"
    assert isinstance(raised.value, ValueError)


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
    assert ran.err.endswith(f"Error: {message}\n")
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
        ({"batch_size": 0}, "batch size: 0 is not at least 1"),
        ({"batch_size": 2, "shuffle": -1}, "shuffle: the seed -1 is negative"),
        ({"unmatched": "drop"}, "unmatched: 'drop' is not one of error, skip"),
        ({"nan_policy": "ignore"}, "nan_policy: 'ignore' is not one of raise, omit, propagate"),
        ({"nan_pred": "ignore"}, "nan_pred: 'ignore' is not one of raise, omit, propagate"),
        ({"reduction": "avg"}, "unknown reduction 'avg'; choose from mean, sum, batchmean, none"),
        ({"jobs": 0}, "jobs: 0 is not a number of at least 1"),
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
        {"on": ("id",), "unmatched": "skip", "weight": "w", "by": ("g", "h"), "batching": Batching(2, 1, True)},
        {"weight_file": "w.npy", "by": ("g",), "gradient": True},
        {"axes": (0, 2), "weight_file": "w.npy", "reduction": "sum", "ignore": (1.0,), "nan_pred": "omit"},
        {"axes": (1,), "on": ("id",), "weight": "w"},
        {"reduction": "none", "on": ("id",), "weight": "w", "metrics": ("rmse", "lp:3")},
        {"reduction": "batchmean", "batching": Batching(2), "by": ("g",), "gradient": True},
        {"prediction_columns": ("a", "b"), "target_columns": ("c", "d")},
        {"prediction_columns": ("a", "b")},
        {"unmatched": "error"},
    ],
    ids=lambda options: " ".join(options) or "nothing",
)
def test_what_has_a_meaning_is_let_through(options: dict[str, Any]) -> None:
    check_request(Request(*TWO, **options))


def test_one_file_may_have_weights_groups_and_batches() -> None:
    check_request(Request("x.csv", weight="w", by=("g",), batching=Batching(3, 0, True)))
    check_request(Request("x.csv", weight_file="w.npy"))


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
    for option in ("-o", "--grad"):
        ran = run("compute", *files, option, tmp_path / "w.csv", "--overwrite")
        assert ran.code == USAGE
        assert f"this is also the input {tmp_path / 'w.csv'}" in ran.err
    assert (tmp_path / "w.csv").read_text() == "w\n1\n2\n"
