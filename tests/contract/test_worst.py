"""The elements with the largest losses: --worst K; expected values are sorted by NumPy, shares divided by Fraction."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from tests.files import WRITERS, suffix, write

Run = Callable[..., Any]

ROWS = 2000
RANDOM = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "id": RANDOM.permutation(ROWS) + 100,
        "yhat": RANDOM.normal(size=ROWS),
        "y": RANDOM.normal(size=ROWS),
        "w": RANDOM.uniform(size=ROWS),
        "g": RANDOM.choice(["a", "b"], size=ROWS),
    }
)
ERRORS = (FRAME["yhat"] - FRAME["y"]).to_numpy()


def expected_rows(losses: Any, count: int) -> list[int]:
    return [int(row) + 1 for row in np.argsort(-np.asarray(losses), kind="stable")[:count]]


def worst_of(run: Run, *arguments: object) -> list[dict[str, Any]]:
    ran = run("compute", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)["worst"]
    return found


@pytest.mark.parametrize("format", sorted(name for name, writer in WRITERS.items() if writer.named))
def test_every_format_has_the_same_rows(run: Run, tmp_path: Path, format: str) -> None:
    path = write(tmp_path / f"table{suffix(format)}", {name: FRAME[name].to_numpy() for name in ("yhat", "y")})
    found = worst_of(run, path, "--worst", 7)
    assert [element["row"] for element in found] == expected_rows(ERRORS * ERRORS, 7)
    assert [element["error"] for element in found] == [float(ERRORS[each["row"] - 1]) for each in found]


def test_rows_of_many_parts_are_counted_from_the_beginning(run: Run, tmp_path: Path) -> None:
    rows = 900_000  # several parts of a text file, and of two
    errors = np.random.default_rng(1).integers(0, 10**6, rows).astype(float)
    one, other, target = tmp_path / "one.csv", tmp_path / "pred.csv", tmp_path / "target.csv"
    one.write_text("yhat,y\n" + "".join(f"{error},0\n" for error in errors))
    other.write_text("yhat\n" + "".join(f"{error}\n" for error in errors))
    target.write_text("y\n" + "0\n" * rows)
    expected = expected_rows(errors, 5)
    for files in ((one,), (other, target)):
        assert [element["row"] for element in worst_of(run, *files, "--worst", 5)] == expected


def test_with_keys_rows_and_keys_are_those_of_the_prediction_file(run: Run, tmp_path: Path) -> None:
    pred, target = tmp_path / "pred.csv", tmp_path / "target.parquet"
    FRAME[["id", "yhat"]].to_csv(pred, index=False)
    shuffled = FRAME[["id", "y", "g"]].sample(frac=1, random_state=1)
    shuffled.iloc[7:].to_parquet(target)
    left = FRAME["id"].isin(shuffled["id"].iloc[7:]).to_numpy()
    losses = np.where(left, ERRORS * ERRORS, -1)
    found = worst_of(run, pred, target, "--on", "id", "--unmatched", "skip", "--by", "g", "--worst", 4)
    assert [element["row"] for element in found] == expected_rows(losses, 4)
    for element in found:
        row = FRAME.iloc[element["row"] - 1]
        assert (element["key"], element["group"]) == ({"id": row["id"]}, {"g": row["g"]})


def test_shares_are_exact_quotients_of_weighted_losses(run: Run, tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    found = worst_of(run, tmp_path / "t.csv", "-p", "yhat", "-t", "y", "-w", "w", "--worst", 3, "-r", "sum")
    losses = FRAME["w"].to_numpy() * (ERRORS * ERRORS)
    total = sum(map(Fraction, losses.tolist()))
    assert [element["row"] for element in found] == expected_rows(losses, 3)
    assert [element["share"] for element in found] == [float(Fraction(element["loss"]) / total) for element in found]


def test_columns_and_places_in_arrays_are_named(tmp_path: Path) -> None:
    frame = FRAME.assign(a=0.0, b=np.arange(ROWS), c=0.0, d=0.0)
    (element,) = msecli.score(frame, pred="a,b", target="c,d", worst=1).worst or ()
    assert (element.row, element.column, element.error) == (ROWS, "b", ROWS - 1)
    array = np.zeros((4, 2, 3))
    array[2, 1, 0] = -2.0
    array[2, 1, 2] = 2.0
    first, second = msecli.score(array, np.zeros((4, 2, 3)), worst=2).worst or ()
    assert [(each.row, each.column, each.error) for each in (first, second)] == [(3, "1_0", -2.0), (3, "1_2", 2.0)]


def test_what_is_not_finite(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yhat,y\n1,0\ninf,0\nnan,0\n")
    found = worst_of(run, path, "--nan-pred", "omit", "--worst", 9)
    assert [(element["row"], element["loss"], element["share"]) for element in found] == [
        (2, None, None),
        (1, 1.0, None),
    ]
    assert found[0]["not_finite"] == {"prediction": "inf", "error": "inf", "loss": "inf"}
    assert worst_of(run, path, "--nan-pred", "omit", "--ignore-index", "7", "--worst", 1, "-r", "none")[0]["row"] == 2


def test_perfect_predictions_have_no_shares() -> None:
    assert msecli.score([1.0, 2.0], [1.0, 2.0], worst=1).worst == ((1, None, None, None, 1.0, 1.0, 0.0, 0.0, None),)


def test_linear_models_and_batches_have_worst_elements(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(10.0))
    np.save(tmp_path / "y.npy", np.zeros(10))
    np.save(tmp_path / "w.npy", np.array([2.0]))
    arguments = ("--coef", tmp_path / "w.npy", "--worst", 2, "--batch-size", 4, "--drop-last", "--format", "json")
    ran = run("linear", tmp_path / "x.npy", tmp_path / "y.npy", *arguments)
    worst = json.loads(ran.out)["worst"]
    assert [(element["row"], element["prediction"]) for element in worst] == [(8, 14.0), (7, 12.0)]


def test_people_see_a_table_with_keys_and_groups(run: Run, tmp_path: Path) -> None:
    pred, target = tmp_path / "pred.csv", tmp_path / "target.csv"
    pred.write_text("id,yhat\na,1\nb,5\n")
    target.write_text("id,y,g\nb,2,\na,0,x\n")
    arguments = ("compute", pred, target, "--on", "id", "--by", "g", "--worst", 1)
    for format in ("table", "markdown"):
        lines = run(*arguments, "--format", format).out.replace("|", " ").splitlines()
        place = next(number for number, line in enumerate(lines) if line.split()[:2] == ["worst", "row"])
        assert lines[place].split()[2:] == ["id", "g", "prediction", "target", "error", "loss", "share"]
        row = next(line for line in lines[place + 1 :] if "---" not in line)
        assert row.split() == ["2", "b", "(missing)", "5", "2", "3", "9", "0.9"]


def test_formats_of_numbers_alone_say_that_they_do_not_hold_the_list(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("yhat,y\n1,0\n")
    ran = run("compute", tmp_path / "t.csv", "--worst", 1)
    assert (ran.out, "--worst: not in plain output" in ran.err) == ("1.0\n", True)
    assert run("compute", tmp_path / "t.csv", "--worst", 1, "--format", "json").err == ""


def test_the_number_of_jobs_changes_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.concat([FRAME] * 20).to_parquet(path, row_group_size=700)
    found = [worst_of(run, path, "-p", "yhat", "-t", "y", "--worst", 50, "--jobs", jobs) for jobs in (1, 2)]
    assert found[0] == found[1]
    assert [element["row"] for element in found[0]] == expected_rows(np.tile(ERRORS * ERRORS, 20), 50)


@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_impossible_numbers_are_refused(run: Run, value: str) -> None:
    assert run("compute", "p.csv", "t.csv", f"--worst={value}").code == 2
