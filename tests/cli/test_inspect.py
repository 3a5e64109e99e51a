"""`msecli inspect` and `msecli compute --dry-run`: what they tell is true, and what they print runs.

Expected descriptions are those of pandas 3.1.1 for the same rows, or the values that were written. Every command that
is printed is run, and gives the digits of the command without it.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli
from tests.conftest import Ran
from tests.files import write

Run = Callable[..., Ran]
LARGE = 400_000
"""Rows that no first part of a file holds all of."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return rows of which a look sees only the first ones: the last of them are unlike these."""
    numbers = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "id": numbers.permutation(LARGE),
            "yhat": numbers.normal(size=LARGE),
            "y": numbers.integers(-50, 50, LARGE),
            "region": numbers.choice(["north", "south"], LARGE),
        }
    )
    frame.loc[LARGE - 2 :, ["yhat", "y"]] = [[1e6, 777], [-1e6, -777]]
    return frame


def looked(run: Run, *words: object) -> dict[str, Any]:
    ran = run("inspect", *words, "--format", "json")
    assert ran.code == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


def columns(document: dict[str, Any], file: int = 0) -> dict[str, dict[str, Any]]:
    return {each["column"]: each for each in document["files"][file]["columns"]}


# What files hold


def test_a_small_file_is_described_as_pandas_describes_it(run: Run, sample_data: Path) -> None:
    for path in (sample_data / "diabetes_ridge.csv", sample_data / "diabetes_scores.parquet"):
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        document = looked(run, path)
        (file,) = document["files"]
        assert (file["path"], file["format"]) == (str(path), path.suffix[1:])
        assert (file["rows"], file["looked_at_rows"], file["rows_about"]) == (442, 442, None)
        found = columns(document)
        assert list(found) == list(frame.columns)
        for name, series in frame.items():
            each = found[str(name)]
            assert each["missing"] == 0
            assert (each["min"], each["max"]) == (series.min(), series.max())
            assert each["distinct"] == series.nunique()
            assert each["unique"] == series.is_unique
            assert each["in_first_rows"] is None
            if each["numeric"]:
                assert each["mean"] == pytest.approx(series.describe()["mean"], rel=1e-15)


def test_missing_and_infinite_values_are_counted(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "a,b,c\n1,,x\nNA,inf,\n3,-inf,x\n")
    found = columns(looked(run, "x.csv"))
    assert [found[name]["missing"] for name in "abc"] == [1, 1, 1]
    assert (found["a"]["infinite"], found["b"]["infinite"], found["c"]["infinite"]) == (0, 2, None)
    assert (found["a"]["min"], found["a"]["max"], found["a"]["mean"]) == (1, 3, 2.0)
    assert (found["b"]["min"], found["b"]["max"]) == (None, None)
    assert found["b"]["not_finite"] == {"min": "-inf", "max": "inf", "mean": "nan"}
    assert (found["c"]["min"], found["c"]["distinct"]) == ("x", 1)


def test_the_shape_and_type_of_arrays(run: Run, sample_data: Path, folder: Path) -> None:
    path = sample_data / "digits_pca16.npy"
    array = np.load(path)
    (file,) = looked(run, path)["files"]
    assert (file["shape"], file["rows"]) == ([1797, 8, 8], 1797)
    (values,) = file["columns"]
    assert (values["column"], values["type"]) == (None, "float32")
    assert (values["min"], values["max"]) == (float(array.min()), float(array.max()))
    assert (values["distinct"], values["distinct_above"]) == (None, 10_000)
    np.save(folder / "x.npy", np.arange(6, dtype=np.int16).reshape(3, 2))
    (file,) = looked(run, "x.npy")["files"]
    assert file["shape"] == [3, 2]
    assert [(each["column"], each["type"], each["min"], each["max"]) for each in file["columns"]] == [
        ("0", "int16", 0, 4),
        ("1", "int16", 1, 5),
    ]


def test_of_a_large_text_file_the_first_rows_are_told_apart_from_all(
    run: Run, folder: Path, large: pd.DataFrame
) -> None:
    large.to_csv("x.csv", index=False)
    document = looked(run, "x.csv")
    (file,) = document["files"]
    rows = file["looked_at_rows"]
    assert 10_000 < rows < LARGE
    assert file["rows"] is None
    assert 0.8 * LARGE < file["rows_about"] < 1.2 * LARGE
    first = large[:rows]
    for name, each in columns(document).items():
        assert (each["missing"], each["min"], each["max"], each["distinct"], each["mean"]) == (None,) * 5
        seen = each["in_first_rows"]
        assert (seen["min"], seen["max"], seen["missing"]) == (first[name].min(), first[name].max(), 0)
    assert columns(document)["region"]["in_first_rows"]["distinct"] == 2
    assert columns(document)["region"]["unique"] is False  # seen twice is enough to know
    table = run("inspect", "x.csv").out
    assert f"*: of the first {rows:,} rows; --full reads all" in table
    assert "max*" in table


def test_footers_are_believed_and_other_numbers_are_those_of_the_first_rows(
    run: Run, folder: Path, large: pd.DataFrame
) -> None:
    large.to_parquet("x.parquet", row_group_size=50_000)
    document = looked(run, "x.parquet")
    (file,) = document["files"]
    assert (file["rows"], file["looked_at_rows"]) == (LARGE, 50_000)
    found = columns(document)
    for name in ("id", "y", "yhat"):
        assert (found[name]["min"], found[name]["max"]) == (large[name].min(), large[name].max())
        assert found[name]["in_first_rows"]["max"] == large[name][:50_000].max()
    assert found["id"]["missing"] == 0
    assert found["yhat"]["missing"] is None  # the footer does not count NaN
    assert found["region"]["in_first_rows"]["distinct"] == 2
    table = run("inspect", "x.parquet").out
    assert "777" in table
    assert " max " in table
    assert "distinct*" in table


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy"])
def test_all_rows_are_read_if_asked_for(run: Run, folder: Path, large: pd.DataFrame, suffix: str) -> None:
    data = large[["id", "yhat", "y"]]
    if suffix == ".npy":
        np.save("x.npy", data.to_numpy(np.float64))
        data = data.set_axis(["0", "1", "2"], axis=1)
    elif suffix == ".csv":
        data.to_csv("x.csv", index=False)
    else:
        data.to_parquet("x.parquet", row_group_size=50_000)
    document = looked(run, f"x{suffix}", "--full")
    (file,) = document["files"]
    assert (document["full"], file["rows"], file["looked_at_rows"]) == (True, LARGE, LARGE)
    for name, each in columns(document).items():
        assert (each["missing"], each["min"], each["max"]) == (0, data[name].min(), data[name].max())
        assert each["mean"] == pytest.approx(data[name].mean(), rel=1e-12)
        assert each["in_first_rows"] is None
    distinct = [(each["distinct"], each["distinct_above"]) for each in columns(document).values()]
    assert distinct == [(None, 10_000), (None, 10_000), (102, None)]


def test_whether_keys_are_unique_is_known_of_all_rows(run: Run, folder: Path) -> None:
    numbers = np.random.default_rng(1).permutation(LARGE)
    frame = pd.DataFrame({"id": numbers, "twice_id": numbers // 2, "x": 1.0})
    frame.to_csv("x.csv", index=False)
    found = columns(looked(run, "x.csv", "--full"))
    assert (found["id"]["unique"], found["twice_id"]["unique"], found["x"]["unique"]) == (True, False, False)
    assert "\nunique: id; not unique: twice_id\n" in run("inspect", "x.csv", "--full").out
    found = columns(looked(run, "x.csv"))
    assert found["id"]["unique"] is None


def test_large_integers_keep_all_their_digits(run: Run, folder: Path) -> None:
    write(folder / "x.csv", f"id,y\n{2**58 + 1},1\n{2**58 + 2},2\n")
    found = columns(looked(run, "x.csv"))["id"]
    assert (found["min"], found["max"], found["distinct"], found["unique"]) == (2**58 + 1, 2**58 + 2, 2, True)


def test_a_column_that_turns_out_to_hold_text_is_told_with_its_line(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "id,yhat,y\n1,2,3\n2,x,4\n3,4,5\n")
    document = looked(run, "x.csv")
    found = columns(document)
    assert found["yhat"]["problem"] == (
        "x.csv, line 3: column 'yhat': 'x' is not a number; if it means missing, use --na-values x"
    )
    assert (found["yhat"]["min"], found["yhat"]["max"], found["yhat"]["distinct"]) == ("2", "x", 3)
    assert (found["y"]["min"], found["y"]["max"], found["y"]["problem"]) == (3, 5, None)
    assert document["problem"]["message"] == found["yhat"]["problem"]
    assert "yhat cannot be read as numbers: x.csv, line 3" in run("inspect", "x.csv").out
    assert looked(run, "x.csv", "--na-values", "x")["problem"]["message"].startswith("x.csv, column 'yhat': ")


def test_a_wide_file_is_shown_in_part_and_told_whole(run: Run, folder: Path) -> None:
    names = [f"c{number}" for number in range(300)]
    write(folder / "x.csv", {name: [number, number + 1] for number, name in enumerate(names)})
    table = run("inspect", "x.csv").out
    assert "c29 " in table
    assert "c30 " not in table
    assert "270 more columns; use --format json or -o FILE.json" in table
    assert list(columns(looked(run, "x.csv"))) == names
    frame = pd.read_csv(io.StringIO(run("inspect", "x.csv", "--format", "csv").out))
    assert (list(frame["column"]), list(frame["max"])) == (names, list(range(1, 301)))
    lines = run("inspect", "x.csv", "--format", "plain").out.splitlines()
    assert lines[299].split("\t") == ["c299", "2", "0", "299", "300", "2"]


def test_numbers_are_never_cut_on_a_narrow_terminal(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    write(folder / "x.csv", {"a rather long name": [123456789, -987654321], "b": [0.5, 0.25]})
    out = run("inspect", "x.csv").out
    assert max(map(len, out.partition("compute would")[0].splitlines())) <= 60
    assert "-987,654,321" in out


# What would be scored

PAIRS: dict[str, tuple[dict[str, Any], str, str]] = {
    "known names": ({"p.csv": "id,yhat\n1,1\n2,3\n", "t.csv": "id,y\n1,2\n2,5\n"}, "p.csv t.csv", "names"),
    "one column each": ({"p.csv": "a\n1\n3\n", "t.csv": "b\n2\n5\n"}, "p.csv t.csv", "single"),
    "the same names": ({"p.csv": "a,b\n1,3\n4,1\n", "t.csv": "b,a\n2,5\n0,7\n"}, "p.csv t.csv", "same"),
    "a table and an array": (
        {"p.csv": "a,b\n1,3\n4,1\n", "t.npy": np.arange(4.0).reshape(2, 2)}, "p.csv t.npy", "matrix",
    ),
    "two arrays": ({"p.npy": np.arange(8.0).reshape(2, 2, 2), "t.npy": np.ones((2, 2, 2))}, "p.npy t.npy", "matrix"),
    "one file": ({"x.csv": "yhat,y\n1,2\n3,5\n"}, "x.csv", "names"),
    "a name beside another": ({"x.csv": "yhat,other\n1,2\n3,5\n"}, "x.csv", "names"),
    "columns named": ({"x.csv": "a,b\n1,2\n3,5\n"}, "x.csv -p a -t b", "named"),
    "predictions named": ({"p.csv": "a,b\n1,3\n4,1\n", "t.csv": "b,a\n2,5\n0,7\n"}, "p.csv t.csv -p a", "named"),
    "a list": ({"x.csv": "a,b,c,d\n1,2,3,4\n3,5,6,8\n"}, "x.csv -p a,b -t c,d", "named"),
    "names with commas": ({"x.csv": '"a,b",c\n1,2\n3,5\n'}, "x.csv -p 'a,b' -t c", "named"),
    "odd names": (
        {"p.csv": '"it\'s, $x","-p"\n1,2\n3,5\n', "t.csv": '"it\'s, $x","-p"\n1,4\n3,7\n'}, "p.csv t.csv", "same",
    ),
    "blanks": ({"my p.csv": " a ,b\n1,2\n3,5\n", "t.csv": " a ,b\n1,4\n3,7\n"}, "'my p.csv' t.csv", "same"),
    "another case": ({"p.csv": "YHat\n1\n3\n", "t.csv": "Y_True\n2\n5\n"}, "p.csv t.csv", "names"),
    "a key": ({"p.csv": "id,yhat\n1,1\n2,3\n", "t.csv": "Id,y\n2,5\n1,2\n"}, "p.csv t.csv --on id=Id", "names"),
    "some rows unmatched": (
        {"p.csv": "id,yhat\n1,1\n2,3\n", "t.csv": "id,y\n2,5\n3,2\n"}, "p.csv t.csv --on id --unmatched skip", "names",
    ),
    "weights and groups": (
        {"x.csv": "yhat,y,w,g\n1,2,1,a\n3,5,2,b\n"}, "x.csv -w w --by g", "names",
    ),
    "weights of a file": (
        {"x.csv": "yhat,y\n1,2\n3,5\n", "w.npy": np.array([1.0, 3.0])}, "x.csv --weight-file w.npy", "names",
    ),
    "no row check": (
        {"p.csv": "id,yhat\n1,1\n2,3\n", "t.csv": "id,y\n2,2\n1,5\n"}, "p.csv t.csv --no-row-check", "names",
    ),
    "missing values": ({"x.csv": "yhat,y\n1,2\n3,\n,4\n"}, "x.csv --nan-target omit --nan-pred omit", "names"),
    "values ignored": ({"x.csv": "yhat,y\n1,2\n3,-100\n"}, "x.csv --ignore-index -100", "names"),
    "semicolons": ({"x.csv": "yhat;y\n1,5;2\n3;5\n"}, "x.csv --delimiter ';' --decimal ,", "names"),
    "files of two dialects": (
        {"p.csv": "a;z\n1,5;0\n2;0\n", "t.csv": "a,b\n1.25,0\n2,0\n"},
        "p.csv t.csv --delimiter 'pred=;' --decimal pred=, -p a", "named",
    ),
    "no header": ({"p.csv": "1\n2\n", "t.csv": "y\n2\n4\n"}, "p.csv t.csv --no-header pred", "names"),
    "no header anywhere": ({"p.csv": "1\n2\n", "t.csv": "3\n4\n"}, "p.csv t.csv --no-header", "single"),
    "words for missing": ({"x.csv": "yhat,y\n1,2\n?,5\n"}, "x.csv --na-values ? --nan-pred omit", "names"),
    "files that look like options": ({"-p.csv": "yhat\n1\n2\n", "-t.csv": "y\n2\n4\n"}, "-- -p.csv -t.csv", "names"),
    "a field of a struct": (
        {"x.parquet": pa.table({"out": pa.array([{"p": 1.0}, {"p": 2.0}]), "y": [1.0, 5.0]})},
        "x.parquet -p out.p", "named",
    ),
}  # fmt: skip


def prepare(folder: Path, files: dict[str, Any]) -> None:
    for name, data in files.items():
        if isinstance(data, pa.Table):
            pq.write_table(data, folder / name)
        else:
            write(folder / name, data)


def command_of(document: dict[str, Any]) -> list[str]:
    words = shlex.split(document["reading"]["command"])
    assert words[:2] == ["msecli", "compute"]
    return words[1:]


@pytest.mark.parametrize("name", PAIRS)
def test_the_command_that_is_printed_gives_the_number_that_it_stands_for(name: str, run: Run, folder: Path) -> None:
    files, typed, rule = PAIRS[name]
    prepare(folder, files)
    words = shlex.split(typed)
    # Options of the report stand in front, because a "--" ends the options.
    document = json.loads(run("inspect", "--format", "json", *words).out)
    assert (document["problem"], document["reading"]["rule"]) == (None, rule)
    scored = run("compute", *words)
    assert scored.code == 0, scored.err
    again = run(*command_of(document))
    assert (again.code, again.out) == (0, scored.out)
    named = "-p" in document["reading"]["command"].split() or "-t" in document["reading"]["command"].split()
    assert named == any(None not in pair.values() or "csv" in typed for pair in document["reading"]["columns"])
    # The same look before a run of its own.
    dry = json.loads(run("compute", "--format", "json", "--dry-run", *words).out)
    assert dry["dry_run"] is True
    assert run(*command_of(dry)).out  # it prints JSON, as was asked
    for key in ("columns", "rule", "pairing", "on", "checked_by", "rows"):
        assert dry["reading"][key] == document["reading"][key]


@pytest.mark.parametrize("name", PAIRS)
def test_the_table_ends_with_the_command_on_one_line(
    name: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    files, typed, _ = PAIRS[name]
    prepare(folder, files)
    words = shlex.split(typed)
    last = run("inspect", *words).out.splitlines()[-1]
    assert last.startswith("msecli compute ")
    assert run(*shlex.split(last)[1:]).out == run("compute", *words).out


def test_every_column_has_a_role_or_a_reason(run: Run, folder: Path) -> None:
    write(folder / "p.csv", "id,date,g,yhat,w,x\n1,2024-01-01,a,1,1,0\n2,2024-01-02,b,3,2,9\n")
    write(folder / "t.csv", "id,date,g,y,x\n1,2024-01-01,a,2,0\n2,2024-01-02,b,5,9\n")
    document = looked(run, "p.csv", "t.csv", "-w", "w", "--by", "g")
    told = {name: (each["roles"], each["why"]) for name, each in columns(document).items()}
    assert told == {
        "id": (["check"], "identifies rows"),
        "date": (["check"], "identifies rows"),
        "g": (["check"], ""),
        "yhat": (["prediction"], "known name"),
        "w": (["weight"], ""),
        "x": (["look"], ""),
    }
    assert columns(document, 1)["g"]["roles"] == ["group", "check"]
    assert columns(document, 1)["y"]["roles"] == ["target"]
    document = looked(run, "p.csv", "-p", "yhat", "-t", "x")
    told = {name: (each["roles"], each["why"]) for name, each in columns(document).items()}
    assert told["g"] == ([], "no numbers")
    assert told["id"] == ([], "identifies rows")
    assert told["w"] == ([], "not chosen")
    identifying = {name: each["identifies_rows"] for name, each in columns(document).items()}
    assert identifying == {"id": "name", "date": "name", "g": "type", "yhat": None, "w": None, "x": None}


def test_columns_of_bins_conditions_and_baselines_are_told(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y,age,h,naive\n1,2,30,1,0\n3,5,40,1,4\n2,2,50,2,1\n")
    ran = run(
        "compute",
        "x.csv",
        "--by-bins",
        "age:2",
        "--where",
        "h < 2",
        "-m",
        "skill:naive",
        "--dry-run",
        "--format",
        "json",
    )
    roles = {name: each["roles"] for name, each in columns(json.loads(ran.out)).items()}
    assert (roles["age"], roles["h"], roles["naive"]) == (["bins"], ["condition"], ["baseline"])


def test_a_key_that_cannot_be_compared_is_left_out(run: Run, folder: Path) -> None:
    for name, column in (("p", "yhat"), ("t", "y")):
        table = {"a_id": pa.array(["a", "b"]), "b_id": pa.array([[1], [2]]), column: [1.0, 2.0]}
        pq.write_table(pa.table(table), f"{name}.parquet")
    document = looked(run, "p.parquet", "t.parquet")
    assert [each["on"][0]["prediction"] for each in document["keys"]] == ["a_id"]
    assert columns(document)["b_id"]["type"].startswith("list")
    pq.write_table(
        pa.table({"l": pa.array([[1], [2]]), "d": pa.array([1, 2], pa.date32()), "b": [b"1", b"2"]}), "x.parquet"
    )
    found = {name: each["identifies_rows"] for name, each in columns(looked(run, "x.parquet")).items()}
    assert found == {"l": None, "d": "type", "b": None}
    document = looked(run, "p.parquet", "t.parquet", "--on", "b_id")
    assert (document["keys"], document["reading"]) == ([], None)
    assert "whose values cannot be compared" in document["problem"]["message"]


def test_what_checked_the_rows_is_told_as_compute_tells_it(run: Run, sample_data: Path) -> None:
    files = [str(sample_data / name) for name in ("diabetes_ridge.csv", "diabetes_target.csv")]
    reading = looked(run, *files)["reading"]
    scored = json.loads(run("compute", *files, "--format", "json").out)
    assert (reading["pairing"], reading["checked_by"]) == ("position", scored["rows"]["checked_by"])
    assert reading["rows"] == scored["rows"]
    assert reading["elements"] == scored["elements"]
    assert "rows are paired by position, checked by id; 442 of 442 rows used" in run("inspect", *files).out


def test_keys_that_match_are_counted(run: Run, folder: Path) -> None:
    write(folder / "p.csv", "id,g,yhat\n1,a,1\n2,a,3\n3,b,4\n")
    write(folder / "t.csv", "id,g,y\n3,b,1\n1,a,3\n4,a,4\n5,b,1\n")
    keys = looked(run, "p.csv", "t.csv")["keys"]
    # 1 and 3 are in both, 2 only in the predictions, 4 and 5 only in the targets; a and b are there twice.
    counts = {each["on"][0]["prediction"]: [each[f"only_{side}"] for side in ("prediction", "target")] for each in keys}
    assert counts == {"id": [1, 2], "g": [None, None]}
    assert [each["matched"] for each in keys] == [2, None]
    assert [(each["unique"], each["complete"]) for each in keys] == [(True, True), (False, True)]
    out = run("inspect", "p.csv", "t.csv").out
    assert "key id: pairs 2 rows, 1 only in the predictions, 2 only in the targets" in out
    assert "key g: not unique" in out


@pytest.mark.parametrize("full", [False, True])
def test_keys_of_streams_are_counted_in_all_batches(run: Run, folder: Path, full: bool) -> None:
    for name, column, rows, step in (("p", "yhat", 1000, 100), ("t", "y", 1000, 300)):
        table = pa.table({"id": range(rows), column: [float(row % 7) for row in range(rows)]})
        with pa.OSFile(f"{name}.arrows", "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            for batch in table.to_batches(max_chunksize=step):
                stream.write(batch)
    (key,) = looked(run, "p.arrows", "t.arrows", *["--full"] * full)["keys"]
    # Of the first rows as many as the shorter piece has.
    expected = (1000 if full else 100, 0, 0)
    assert (key["matched"], key["only_prediction"], key["only_target"], key["complete"]) == (*expected, full)


def test_keys_of_several_columns_are_tried_together(run: Run, folder: Path) -> None:
    write(folder / "p.csv", "series_id,ds,yhat\n1,2024-01-01,1\n1,2024-01-02,3\n2,2024-01-01,4\n")
    write(folder / "t.csv", "series_id,ds,y\n2,2024-01-01,1\n1,2024-01-01,3\n1,2024-01-02,4\n")
    *alone, together = looked(run, "p.csv", "t.csv")["keys"]
    assert [each["unique"] for each in alone] == [False, False]
    assert [pair["prediction"] for pair in together["on"]] == ["series_id", "ds"]
    assert (together["matched"], together["only_prediction"], together["only_target"]) == (3, 0, 0)


def test_keys_that_were_asked_for_are_those_that_are_told(run: Run, folder: Path) -> None:
    write(folder / "p.csv", "id,yhat\n1,1\n2,3\n")
    write(folder / "t.csv", "nr,y\n2,1\n1,3\n")
    document = looked(run, "p.csv", "t.csv", "--on", "id=nr")
    assert document["reading"]["on"] == [{"prediction": "id", "target": "nr"}]
    assert document["reading"]["pairing"] == "key"
    (key,) = document["keys"]
    assert (key["on"], key["matched"]) == ([{"prediction": "id", "target": "nr"}], 2)
    assert columns(document)["id"]["roles"] == ["key"]
    assert columns(document, 1)["nr"]["roles"] == ["key"]


@pytest.mark.parametrize("full", [False, True])
def test_keys_of_large_files_are_counted_in_the_first_rows_or_in_all(
    run: Run,
    folder: Path,
    large: pd.DataFrame,
    full: bool,
) -> None:
    large[["id", "yhat"]].to_csv("p.csv", index=False)
    large[["id", "y"]].iloc[: LARGE - 1000].to_csv("t.csv", index=False)
    document = looked(run, "p.csv", "t.csv", "--on", "id", *["--full"] * full)
    (key,) = document["keys"]
    rows = min(file["looked_at_rows"] for file in document["files"])
    expected = (LARGE - 1000, 1000, 0) if full else (rows, 0, 0)
    assert (key["matched"], key["only_prediction"], key["only_target"], key["complete"]) == (*expected, full)


# What compute would stop at

STOPPED: dict[str, tuple[dict[str, Any], str]] = {
    "several columns": ({"x.csv": "a,b,c\n1,2,3\n4,5,6\n"}, "x.csv"),
    "several columns in two files": ({"p.csv": "a,b\n1,2\n4,5\n", "t.csv": "c,d\n1,2\n4,5\n"}, "p.csv t.csv"),
    "no such column": ({"x.csv": "yhat,y\n1,2\n"}, "x.csv -p yhatt"),
    "only keys": ({"x.csv": "id,key\n1,2\n"}, "x.csv"),
    "different numbers of rows": ({"p.csv": "yhat\n1\n2\n", "t.csv": "y\n1\n"}, "p.csv t.csv"),
    "different numbers of rows in arrays": ({"p.npy": np.zeros(3), "t.npy": np.zeros(2)}, "p.npy t.npy"),
    "different shapes": ({"p.npy": np.zeros((3, 2)), "t.npy": np.zeros((3, 4))}, "p.npy t.npy"),
    "rows in another order": ({"p.csv": "id,yhat\n1,1\n2,2\n", "t.csv": "id,y\n2,1\n1,2\n"}, "p.csv t.csv"),
    "keys without a match": ({"p.csv": "id,yhat\n1,1\n2,2\n", "t.csv": "id,y\n1,1\n3,2\n"}, "p.csv t.csv --on id"),
    "keys that are there twice": ({"p.csv": "id,yhat\n1,1\n1,2\n", "t.csv": "id,y\n1,1\n3,2\n"}, "p.csv t.csv --on id"),
    "a missing target": ({"x.csv": "yhat,y\n1,2\n3,\n"}, "x.csv"),
    "a missing prediction": ({"x.csv": "yhat,y\n1,2\n,3\n"}, "x.csv"),
    "a text among numbers": ({"x.csv": "yhat,y\n1,2\nx,3\n2,1\n"}, "x.csv"),
    "a ragged line": ({"x.csv": "yhat,y\n1,2\n3\n"}, "x.csv"),
    "an open quote": ({"x.csv": 'yhat,y\n1,2\n"3,4\n'}, "x.csv"),
    "negative weights": ({"x.csv": "yhat,y,w\n1,2,-1\n"}, "x.csv -w w"),
    "nothing left": ({"x.csv": "yhat,y\n1,\n"}, "x.csv --nan-target omit"),
    "an empty file": ({"x.csv": ""}, "x.csv"),
    "a header only": ({"x.csv": "yhat,y\n"}, "x.csv"),
    "bytes": ({"x.csv": b"\x00\x01\x02\xff" * 300}, "x.csv"),
    "half a Parquet file": ({"x.parquet": b"PAR1 and no more"}, "x.parquet"),
    "a pickled array": ({"x.npy": np.array([{}], dtype=object)}, "x.npy"),
    "names that are there twice": ({"x.csv": "y,y,yhat\n1,2,3\n"}, "x.csv"),
    "another dialect": ({"x.csv": "yhat;y\n1;2\n"}, "x.csv"),
    "one of two files": ({"p.csv": "", "t.csv": "y\n1\n"}, "p.csv t.csv"),
    "a header of numbers": ({"x.csv": "1,2\n3,4\n5,six\n"}, "x.csv"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_where_compute_stops_a_look_says_what_it_says(name: str, run: Run, folder: Path) -> None:
    files, typed = STOPPED[name]
    prepare(folder, files)
    words = shlex.split(typed)
    stopped = run("compute", *words)
    assert stopped.code == 3
    document = looked(run, *words)
    assert document["reading"] is None
    assert document["problem"]["exit_code"] == 3
    assert f"Error: {document['problem']['message']}\n" in stopped.err
    ran = run("compute", *words, "--dry-run", "--format", "json")
    assert ran.code == 0
    assert json.loads(ran.out.replace(" --format json", ""))["problem"] == document["problem"]
    assert run("inspect", *words).code == 0
    # What it says to run runs.
    for line in document["problem"]["message"].split("\n"):
        _, found, command = line.partition("run: msecli ")
        if found:
            assert run(*shlex.split(command)).code == 0


def test_of_two_files_the_one_that_can_be_read_is_shown(run: Run, folder: Path) -> None:
    write(folder / "p.csv", "")
    write(folder / "t.csv", "y\n1\n3\n")
    files = looked(run, "p.csv", "t.csv")["files"]
    assert [(file["format"], file["rows"]) for file in files] == [(None, None), ("csv", 2)]
    assert files[0]["problem"] == "p.csv: the file is empty (0 bytes)"
    assert files[1]["columns"][0]["max"] == 3


def test_what_the_command_line_shows_to_be_wrong_and_missing_files_are_errors(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y\n1,2\n")
    assert run("inspect", "missing.csv").code == 4
    assert run("inspect", "x.csv", "missing.csv").code == 4
    assert run("compute", "missing.csv", "--dry-run").code == 4
    assert run("inspect").code == 2
    assert run("inspect", "x.csv", "--on", "id").code == 2
    assert run("inspect", "-", "-").code == 2
    ran = run("inspect", "x.csv", "x.csv", "x.csv", "-p", "yhat")
    assert (ran.code, ran.err) == (2, "Error: --pred: columns are chosen of one or two files; there are 3\n")
    assert run("compute", "x.csv", "--dry-run", "-r", "none", "--grad", "g.npy").code == 2
    assert run("compute", "x.csv", "--dry-run", "-o", "x.zzz").code == 2


def test_more_than_two_files_are_looked_at_and_nothing_is_said_of_a_score(run: Run, folder: Path) -> None:
    for number in range(3):
        write(folder / f"{number}.csv", f"y\n{number}\n{number + 1}\n")
    document = looked(run, "0.csv", "1.csv", "2.csv")
    assert [file["columns"][0]["min"] for file in document["files"]] == [0, 1, 2]
    assert (document["reading"], document["problem"], document["keys"]) == (None, None, [])
    assert "compute" not in run("inspect", "0.csv", "1.csv", "2.csv").out


def test_standard_input_is_read_once(run: Run, folder: Path) -> None:
    write(folder / "t.csv", "y\n1\n2\n")
    ran = run("inspect", "-", "t.csv", "--format", "json", stdin=b"yhat\n1\n4\n")
    document = json.loads(ran.out)
    assert (document["files"][0]["rows"], document["problem"]) == (2, None)
    assert document["reading"]["command"] == "msecli compute - t.csv -p yhat -t y"
    assert run(*command_of(document), stdin=b"yhat\n1\n4\n").out == "2.0\n"  # (0 + 4) / 2


def test_the_report_can_be_written_to_a_file(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y\n1,2\n")
    ran = run("inspect", "x.csv", "-o", "look.json", "-o", "look.md")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads((folder / "look.json").read_text())["files"][0]["rows"] == 1
    assert "`msecli compute x.csv -p yhat -t y`" in (folder / "look.md").read_text()
    assert run("inspect", "x.csv", "-o", "x.csv").code == 2


def test_options_from_the_environment_are_in_the_command(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "x.csv", "yhat;y\n1;2\n")
    monkeypatch.setenv("MSECLI_INSPECT_DELIMITER", ";")
    assert looked(run, "x.csv")["reading"]["command"] == "msecli compute x.csv --delimiter ';' -p yhat -t y"


# The look before a run


def test_a_dry_run_names_what_it_would_do_and_does_none_of_it(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y,g\n1,2,a\n3,5,b\n")
    before = sorted(path.name for path in folder.iterdir())
    words = [
        "x.csv",
        "--by",
        "g",
        "-m",
        "rmse,r2",
        "-r",
        "sum",
        "--fail-if",
        "rmse > 0.1",
        "-o",
        "r.json",
        "-o",
        "r.csv",
    ]
    words += ["--save-state", "s.json"]
    ran = run("compute", *words, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert "reduction: sum; metrics: rmse, r2; by: g; gate: rmse > 0.1" in " ".join(ran.out.split())
    assert "writes: r.json; writes: r.csv; writes: s.json" in " ".join(ran.out.split())
    assert sorted(path.name for path in folder.iterdir()) == before
    document = json.loads(run("compute", *words, "--dry-run", "--format", "json").out)
    assert document["reading"]["settings"]["reduction"] == "sum"
    assert document["reading"]["gates"] == ["rmse > 0.1"]
    assert document["reading"]["outputs"] == ["r.json", "r.csv", "s.json"]
    # The command does all of it: the gate fails.
    assert run(*command_of(document)).code == 5
    assert {path.name for path in folder.iterdir()} == {*before, "r.json", "r.csv", "s.json"}
    assert run("compute", *words, "--dry-run").code == 2  # the files are there now


@pytest.mark.parametrize(
    "options",
    [
        "-m rmse,mae --precision 3 --format markdown",
        "-r none -o l.npy",
        "--axis 0 --format json",
        "--batch-size 2 --drop-last --shuffle 3",
        "--where 'y > 1' --by-bins y:2",
        "--ci 0.9 --bootstrap 100 --seed 4 --explain --worst 1 --format json",
        "--min-coverage 50% --jobs 1 --no-progress",
        "--fail-if 'loss > 9' --fail-if 'rmse[any] > 9' --by g",
        "--grad g.csv --overwrite",
        "--params k.npy --l1 0.5 --l2 0.25",
        "--no-size-average",
        "-m psnr,mase --peak 9 --season 2",
        "--nan-policy omit",
        "--by g --sort rmse --top 1 --reverse",
    ],
)
def test_the_command_of_a_dry_run_has_all_its_options(options: str, run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y,g\n1,2,a\n3,5,b\n2,2,a\n7,4,b\n")
    np.save(folder / "k.npy", np.arange(3.0))
    words = ["x.csv", *shlex.split(options)]
    document = json.loads(run("compute", *words, "--dry-run", "--format", "json").out)
    typed = command_of(document)
    assert typed[:2] == ["compute", "x.csv"]
    del typed[typed.index("--format") : typed.index("--format") + 2]
    asked = (
        ["--format", "json"]
        if "--format json" in options
        else ["--format", "markdown"]
        if "markdown" in options
        else []
    )
    expected = run("compute", *words)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        if path.name not in {"x.csv", "k.npy"}:
            path.unlink()
    again = run(*typed, *asked)
    assert (again.code, again.out) == (expected.code, expected.out)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_a_dry_run_adds_no_line_to_a_history(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "yhat,y\n1,2\n")
    words = ["compute", "x.csv", "--append", "-o", "jsonl=h.jsonl"]
    assert run(*words).code == 0
    before = (folder / "h.jsonl").read_bytes()
    ran = run(*words, "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("msecli compute x.csv -p yhat -t y -o jsonl=h.jsonl --append\n")
    assert (folder / "h.jsonl").read_bytes() == before


def test_warnings_are_told_once_however_often_the_rows_are_read(run: Run, folder: Path) -> None:
    write(folder / "x.csv", "id,yhat,y\n1,1,2\n\n2,x,3\n3,4,5\n")
    ran = run("inspect", "x.csv", "--full")
    assert (ran.code, ran.err) == (0, "Warning: x.csv: blank lines were skipped\n")
    write(folder / "x.csv", f"id,yhat,y\n1,1,{2**60 + 1}\n\n2,7,3\n")
    assert run("inspect", "x.csv").err.splitlines() == run("compute", "x.csv").err.splitlines()


def test_a_dry_run_reads_no_more_than_the_first_rows(run: Run, folder: Path, large: pd.DataFrame) -> None:
    large.to_csv("x.csv", index=False)
    with Path("x.csv").open("a") as file:
        file.write("1,not a number,2,north\n")
    ran = run("compute", "x.csv", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("msecli compute x.csv -p yhat -t y\n")
    assert run("compute", "x.csv").code == 3
    assert looked(run, "x.csv")["problem"] is None
    problem = looked(run, "x.csv", "--full")["problem"]
    assert f"line {LARGE + 2}: column 'yhat': 'not a number'" in problem["message"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_of_large_files_the_first_rows_tell_what_compute_would_stop_at(
    run: Run, folder: Path, large: pd.DataFrame, suffix: str
) -> None:
    def save(frame: pd.DataFrame, path: str) -> None:
        frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path, row_group_size=50_000)

    save(large[["id", "yhat"]], f"p{suffix}")
    save(large[["id", "y"]].iloc[::-1], f"t{suffix}")
    document = looked(run, f"p{suffix}", f"t{suffix}")
    assert document["reading"] is None
    assert "column 'id' differs between the files at row 1" in document["problem"]["message"]
    missing = large.assign(yhat=large["yhat"].where(large.index != 7))
    save(missing, f"x{suffix}")
    document = looked(run, f"x{suffix}")
    message = document["problem"]["message"]
    assert message.startswith(f"x{suffix}, column 'yhat': 1 value missing in the first ")
    assert message.endswith(" rows; to leave them out, use --nan-pred omit")
    assert looked(run, f"x{suffix}", "--nan-pred", "omit")["problem"] is None
    # Where the target is ignored, the prediction may be missing.
    ignored = str(missing["y"][7])
    assert looked(run, f"x{suffix}", "--ignore-index", ignored)["problem"] is None
    assert run("compute", f"x{suffix}", "--ignore-index", ignored).code == 0


# Python callers


def test_frames_tables_and_arrays_are_looked_at_alike() -> None:
    frame = pd.DataFrame({"id": [1, 2], "yhat": [1.0, 3.0], "y": [2.0, 5.0]})
    for data in (frame, pa.Table.from_pandas(frame)):
        found = msecli.inspect(data)
        assert found.problem is None
        assert found.reading is not None
        assert (found.reading.columns, found.files[0].format) == ((("yhat", "y"),), "memory")
        assert found.reading.command == "score(predictions, pred='yhat', target='y')"
    found = msecli.inspect([1.0, 2.0], np.array([1.0, 4.0]))
    assert found.reading is not None
    assert (found.reading.command, found.files[1].shape) == ("score(predictions, targets)", (2,))
    assert msecli.inspect(frame, frame, frame).reading is None


@pytest.mark.parametrize(
    "name", ["known names", "a key", "missing values", "semicolons", "files of two dialects", "blanks"]
)
def test_python_callers_get_a_call_that_scores(name: str, run: Run, folder: Path) -> None:
    files, typed, _ = PAIRS[name]
    prepare(folder, files)
    every: dict[str, dict[str, Any]] = {
        "a key": {"on": "id=Id"},
        "missing values": {"nan_target": "omit", "nan_pred": "omit"},
        "semicolons": {"reading": msecli.Reading(delimiter=";", decimal=",")},
        "files of two dialects": {"reading": {"pred": msecli.Reading(delimiter=";", decimal=",")}, "pred": "a"},
    }
    options = every.get(name, {})
    paths = [word for word in shlex.split(typed) if word.endswith(".csv")]
    found = msecli.inspect(*paths, **options)
    assert found.reading is not None
    scored = eval(found.reading.command, {"score": msecli.score, "Reading": msecli.Reading})  # noqa: S307 - our own
    assert scored.loss == msecli.score(*paths, **options).loss


def test_python_callers_read_of_parameters(folder: Path) -> None:
    write(folder / "x.csv", "yhat,y\n1,2\n3,\n")
    found = msecli.inspect("x.csv")
    assert found.reading is None
    assert found.problem is not None
    assert found.problem.message.endswith("use nan_target='omit'")
    with pytest.raises(msecli.ReadWriteError):
        msecli.inspect("missing.csv")
    with pytest.raises(msecli.UsageError):
        msecli.inspect("x.csv", on="id")
