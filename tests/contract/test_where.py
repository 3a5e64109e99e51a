"""Rows that meet a condition: --where; the reference is the score of the rows that pandas or a loop selects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import DataError, UsageError
from msecli.pairing.conditions import condition_of
from tests.files import WRITERS, suffix, write

Run = Callable[..., Any]

ROWS = 500
RANDOM = np.random.default_rng(12)
FRAME = pd.DataFrame(
    {
        "id": np.arange(ROWS) + 1000,
        "yhat": RANDOM.normal(size=ROWS),
        "y": RANDOM.normal(size=ROWS),
        "h": np.where(RANDOM.random(ROWS) < 0.1, np.nan, RANDOM.integers(0, 9, ROWS)),
        "region": RANDOM.choice(np.array(["north", "south", "it's", None]), ROWS, p=[0.4, 0.3, 0.2, 0.1]),
        "step no": RANDOM.integers(0, 5, ROWS),
        "code": RANDOM.choice(["007", "42"], ROWS),
    }
)

H, REGION, STEP = FRAME["h"], FRAME["region"], FRAME["step no"]
CONDITIONS: dict[str, Any] = {
    "h <= 4": H <= 4,
    "4 >= h": H <= 4,
    "h=4": H == 4,
    "h <> 4": (H != 4) & H.notna(),
    "2 < h <= 6": (H > 2) & (H <= 6),
    "not h <= 4": H > 4,
    "h in (1, 2, 30)": H.isin([1, 2, 30]),
    "h not in (1, 2)": ~H.isin([1, 2]) & H.notna(),
    "h is missing": H.isna(),
    "h is not null": H.notna(),
    "region == 'north'": REGION == "north",
    'region != "north"': (REGION != "north") & REGION.notna(),
    "region in ('it''s', 'south')": REGION.isin(["it's", "south"]),
    "region > 'n'": REGION.isin(["north", "south"]),
    "region is missing or h is missing": REGION.isna() | H.isna(),
    "h <= 4 and region == 'north'": (H <= 4) & (REGION == "north"),
    "h <= 4 or region == 'north'": (H <= 4) | (REGION == "north"),
    "not (h <= 4 or region == 'north')": (H > 4) & (REGION != "north") & REGION.notna(),
    "h <= 4 AND NOT region = 'north' OR `step no` > 3": ((H <= 4) & (REGION != "north") & REGION.notna()) | (STEP > 3),
    "not (h <= 4 and region == 'north')": (H > 4) | ((REGION != "north") & REGION.notna()),
    "h < 2 or h > 5 and `step no` == 1": (H < 2) | ((H > 5) & (STEP == 1)),
    "h >= -1.5e0": H.notna(),
    "code == '007'": FRAME["code"] == "007",
    "y > 0 and yhat < .5": (FRAME["y"] > 0) & (FRAME["yhat"] < 0.5),
}


@pytest.fixture(params=["csv", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"table.{request.param}"
    if request.param == "csv":
        FRAME.to_csv(path, index=False)
    else:
        FRAME.to_parquet(path, row_group_size=100)
    return path


def report_of(run: Run, *arguments: object, command: str = "compute") -> dict[str, Any]:
    ran = run(command, *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def loss_of(rows: Any) -> float:
    chosen = FRAME[rows]
    return float(msecli.score(chosen["yhat"].to_numpy(), chosen["y"].to_numpy()).loss or 0)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_only_the_rows_that_meet_the_condition_are_scored(run: Run, table: Path, condition: str) -> None:
    rows = CONDITIONS[condition]
    assert 0 < rows.sum() < ROWS
    report = report_of(run, table, "--where", condition)
    assert report["loss"] == loss_of(rows)
    count = int(rows.sum())
    ledger = report["rows"]
    assert (ledger["matched"], ledger["filtered"], ledger["used"]) == (ROWS, ROWS - count, count)
    assert report["elements"]["total"] == count
    assert f"|used:{count}/{ROWS}|" in report["signature"]
    assert report["settings"]["where"] == condition


def test_the_condition_is_in_the_signature(run: Run, table: Path) -> None:
    assert "where" not in report_of(run, table)["signature"]
    assert '|where:"h <= 4"|' in report_of(run, table, "--where", "h <= 4")["signature"]


def test_all_else_is_that_of_the_rows_left(run: Run, table: Path, tmp_path: Path) -> None:
    left = tmp_path / "left.csv"
    FRAME[H <= 4].to_csv(left, index=False)
    options = ("--by", "region", "-m", "all", "--explain", "--ci", "0.95", "--bootstrap", "100")
    ours, theirs = (
        report_of(run, path, *options, *more) for path, more in ((table, ("--where", "h <= 4")), (left, ()))
    )
    for name in ("loss", "metrics", "groups", "macro", "elements", "explain", "interval"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("options", [(), ("--shuffle", 3), ("--drop-last",), ("--shuffle", 1, "--drop-last")])
def test_batches_are_cut_from_the_rows_left(run: Run, table: Path, tmp_path: Path, options: tuple[object, ...]) -> None:
    left = tmp_path / "left.csv"
    FRAME[H <= 4].to_csv(left, index=False)
    batches = ("--batch-size", 32, *options)
    ours = report_of(run, table, *batches, "--where", "h <= 4")
    theirs = report_of(run, left, *batches)
    assert [each["loss"] for each in ours["batches"]] == [each["loss"] for each in theirs["batches"]]
    assert ours["rows"]["dropped"] == theirs["rows"]["dropped"]


def test_rows_keep_their_numbers(run: Run, table: Path) -> None:
    worst = report_of(run, table, "--where", "h <= 4", "--worst", 3)["worst"]
    losses = np.where(H <= 4, (FRAME["yhat"] - FRAME["y"]) ** 2, -1)
    assert [each["row"] for each in worst] == [int(row) + 1 for row in np.argsort(-losses)[:3]]


def test_rows_of_many_parts_keep_their_numbers(run: Run, tmp_path: Path) -> None:
    rows = 900_000
    errors = np.random.default_rng(1).integers(0, 10**6, rows)
    path = tmp_path / "t.csv"
    path.write_text("yhat,y,k\n" + "".join(f"{error},0,{number % 3}\n" for number, error in enumerate(errors)))
    expected = np.where(np.arange(rows) % 3 == 1, errors, -1)
    for more in ((), ("--batch-size", 100_000), ("--jobs", 1)):
        worst = report_of(run, path, "--where", "k == 1", "--worst", 3, *more)["worst"]
        assert [each["row"] for each in worst] == [int(row) + 1 for row in np.argsort(-expected, kind="stable")[:3]]


def test_values_and_gradients_are_those_of_the_rows_left(run: Run, table: Path, tmp_path: Path) -> None:
    rows = FRAME[H <= 4]
    errors = (rows["yhat"] - rows["y"]).to_numpy()
    plain = run("compute", table, "--where", "h <= 4", "-r", "none").out.split()
    assert [float(value) for value in plain] == (errors * errors).tolist()
    assert run("compute", table, "--where", "h <= 4", "--grad", tmp_path / "g.npy").code == 0
    assert np.load(tmp_path / "g.npy").tolist() == (2 * errors / len(rows)).tolist()


def test_missing_values_of_rows_left_out_are_no_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("yhat,y,k\n1,0,1\n,0,2\n5,,2\n")
    assert run("compute", tmp_path / "t.csv", "-p", "yhat", "-t", "y", "--where", "k < 2").out == "1.0\n"
    assert run("compute", tmp_path / "t.csv", "-p", "yhat", "-t", "y", "--where", "k < 3").code == 3
    assert (
        run("compute", tmp_path / "t.csv", "-p", "yhat", "-t", "y", "--where", "yhat is not missing and y <= 9").code
        == 0
    )


def test_rows_left_out_because_a_value_is_missing_are_warned_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("yhat,y,k\n1,0,1\n2,0,\n5,0,\n6,0,7\n")
    ran = run("compute", tmp_path / "t.csv", "-p", "yhat", "-t", "y", "--where", "k < 2")
    assert "rows are left out because a value that the condition needs is missing (2 in all)" in ran.err
    assert run("compute", tmp_path / "t.csv", "-p", "yhat", "-t", "y", "--where", "k < 2 or k is missing").err == ""


@pytest.mark.parametrize("by_key", [False, True])
def test_columns_of_either_file_choose_rows(run: Run, tmp_path: Path, by_key: bool) -> None:
    pred, target = tmp_path / "p.csv", tmp_path / "t.parquet"
    FRAME[["id", "yhat", "h", "region"]].to_csv(pred, index=False)
    theirs = FRAME[["id", "y", "step no", "region"]]
    (theirs.sample(frac=1, random_state=2) if by_key else theirs).to_parquet(target)
    on = ("--on", "id") if by_key else ()
    scored = ("-p", "yhat", "-t", "y", *on)
    for condition, rows in (
        ("h <= 4 and `step no` == 1", (H <= 4) & (STEP == 1)),
        ("region == 'north'", REGION == "north"),
        ("id < 1100" if by_key else "pred.id < 1100", FRAME["id"] < 1100),
        ("target.y > 0 and pred.yhat < 0", (FRAME["y"] > 0) & (FRAME["yhat"] < 0)),
    ):
        assert report_of(run, pred, target, *scored, "--where", condition)["loss"] == loss_of(rows)


def test_the_condition_does_not_change_what_is_scored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("yhat,y\n1,0\n2,0\n3,1\n")
    report = report_of(run, tmp_path / "t.csv", "--where", "y < 1 and yhat > 1")
    assert (report["loss"], report["rows"]["used"]) == (4.0, 1)


def test_linear_models_choose_rows_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y,k\n1,1,a\n2,5,b\n3,3,b\n")
    np.save(tmp_path / "w.npy", np.array([2.0]))
    arguments = (tmp_path / "d.csv", "-x", "x", "-t", "y", "--coef", tmp_path / "w.npy", "--where", "k == 'b'")
    assert report_of(run, *arguments, command="linear")["loss"] == 5.0


@pytest.mark.parametrize("format", sorted(WRITERS))
def test_every_format_can_be_filtered(run: Run, tmp_path: Path, format: str) -> None:
    columns = {"yhat": np.array([1.0, 2.0, 3.0]), "y": np.zeros(3), "k": np.array([1.0, 2.0, 3.0])}
    path = write(tmp_path / f"t{suffix(format)}", columns)
    names = ("yhat", "y", "k") if WRITERS[format].named else ("0", "1", "`2`")
    report = report_of(run, path, "-p", names[0], "-t", names[1], "--where", f"{names[2]} >= 2")
    assert report["loss"] == 6.5


def test_frames_can_be_filtered() -> None:
    assert msecli.score(FRAME, where="region == 'north'").loss == loss_of(REGION == "north")
    with pytest.raises(DataError, match="whole array"):
        msecli.score(np.ones((3, 2)), np.ones((3, 2)), where="`0` > 1")


def test_a_file_of_weights_is_filtered_with_the_rows(run: Run, table: Path, tmp_path: Path) -> None:
    weights = np.random.default_rng(5).uniform(0.1, 1, ROWS)
    np.save(tmp_path / "w.npy", weights)
    FRAME[H <= 4].to_csv(tmp_path / "left.csv", index=False)
    np.save(tmp_path / "left.npy", weights[H <= 4])
    ours = report_of(run, table, "--where", "h <= 4", "--weight-file", tmp_path / "w.npy")
    theirs = report_of(run, tmp_path / "left.csv", "--weight-file", tmp_path / "left.npy")
    assert ours["loss"] == theirs["loss"]


def test_people_see_how_many_rows_were_left_out(run: Run, table: Path) -> None:
    out = run("compute", table, "--where", "`step no` < 1", "--format", "table").out
    assert any(line.split()[:5] == ["left", "out", "by", "the", "condition"] for line in out.splitlines())


@pytest.mark.parametrize(
    ("condition", "problem", "at"),
    [
        ("h <=", "a column, a number, or a text in quotes is missing", 4),
        ("h <= north", "write a text as 'north'", 5),
        ("h 4", "a comparison is missing", 2),
        ("h < 4 & y > 1", "write 'and'", 6),
        ("h < 4 || y > 1", "write 'or'", 6),
        ("(h < 4", "')' is missing", 6),
        ("h < 4 y", "'and' or 'or' is missing", 6),
        ("h is 3", "'missing' is missing", 5),
        ("'a' == 'b'", "a comparison needs a column", 7),
        ("h in (1, 'a')", "numbers or texts, not both", 12),
        ("h in (x)", "write a text as 'x'", 6),
        ("h == nan", "write 'is missing'", 5),
        ("region == 'nor", "never closed", 10),
        ("step-no > 1", "back quotes", 4),
        ("__import__('os')", "a comparison is missing", 10),
        ("", "is missing", 0),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(run: Run, condition: str, problem: str, at: int) -> None:
    ran = run("compute", "no.csv", "--where", condition)
    assert ran.code == 2
    assert problem in ran.err
    lines = ran.err.splitlines()
    assert lines[-1] == "  " + " " * at + "^"
    with pytest.raises(UsageError):
        condition_of(condition)


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("regoin == 'north'", "no file has a column 'regoin'; did you mean 'region'?"),
        ("region <= 4", "holds"),
        ("h > 99", "no row meets the condition"),
    ],
)
def test_what_the_files_contradict_is_an_error_in_the_data(run: Run, table: Path, condition: str, problem: str) -> None:
    ran = run("compute", table, "--where", condition)
    assert (ran.code, problem in ran.err) == (3, True), ran.err


def test_a_column_of_numbers_in_both_files_needs_its_file(run: Run, tmp_path: Path) -> None:
    for name in ("p", "t"):
        (tmp_path / f"{name}.csv").write_text("y,k\n1,1\n2,2\n3,3\n")
    ran = run("compute", tmp_path / "p.csv", tmp_path / "t.csv", "-p", "y", "-t", "y", "--where", "y > 1")
    assert ran.code == 3
    assert "write pred.y or target.y" in ran.err


def test_metrics_of_series_need_all_rows(run: Run, table: Path) -> None:
    ran = run("compute", table, "--where", "h < 4", "-m", "mase")
    assert (ran.code, "it does not go with --where" in ran.err) == (2, True), ran.err
