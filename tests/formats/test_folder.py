"""Several files as one source: the same bits as one file that holds all rows, and each problem in the very file."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import msecli
from msecli.errors import DataError, ReadWriteError, UsageError
from msecli.formats import open_source
from msecli.formats.base import Selection, file_count
from msecli.text.reading import AS_FILES_SAY
from tests.conftest import Ran
from tests.files import Data, held, npy_bytes, opened, parquet_bytes, shards, sliced, suffix, text_bytes, write
from tests.fuzz.sizes import reading_in

Run = Callable[..., Ran]

ROWS = 240
RANDOM = np.random.default_rng(7)
DATA: dict[str, Any] = {
    "id": np.arange(ROWS) * 3,
    "p": RANDOM.normal(size=ROWS),
    "t": RANDOM.normal(size=ROWS) * 1e3,
    "w": RANDOM.random(ROWS),
    "g": np.arange(ROWS) % 5,
}
FORMATS = ["csv", "parquet", "npy"]
TABLES = ["csv", "parquet"]
formats = pytest.mark.parametrize("format", FORMATS)
tables = pytest.mark.parametrize("format", TABLES)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def called(format: str, name: str) -> str:
    """Return what a column is called: in arrays by its number."""
    return str(list(DATA).index(name)) if format == "npy" else name


def both(format: str, data: Data = DATA) -> tuple[str, str]:
    """Return a folder of twelve files, and one file with the same rows."""
    shards(Path(f"many-{format}"), format, data, 12)
    write(Path(f"one{suffix(format)}"), data)
    return f"many-{format}", f"one{suffix(format)}"


# The same bits


@formats
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_twelve_files_have_the_loss_of_one(format: str, jobs: int) -> None:
    names: dict[str, Any] = {
        role: called(format, name) for role, name in {"pred": "p", "target": "t", "weight": "w", "by": "g"}.items()
    }
    many, one = (
        msecli.score(path, **names, metrics=("rmse", "mae", "r2", "max_error"), jobs=jobs) for path in both(format)
    )
    assert (many.loss, many.metrics, many.groups, many.rows) == (one.loss, one.metrics, one.groups, one.rows)
    assert many.elements == one.elements
    assert (many.inputs[0].files, one.inputs[0].files) == (12, 1)


@pytest.mark.parametrize("ours", [*FORMATS, "one"])
@pytest.mark.parametrize("theirs", [*FORMATS, "one"])
@pytest.mark.parametrize("jobs", [1, 3])
def test_folders_pair_with_anything_by_position(ours: str, theirs: str, jobs: int) -> None:
    write(Path("one.csv"), DATA)
    paths = ["one.csv" if format == "one" else both(format)[0] for format in (ours, theirs)]
    pred, target = (called(format, name) for format, name in ((ours, "p"), (theirs, "t")))
    result = msecli.score(*paths, pred=pred, target=target, jobs=jobs)
    assert result.loss == msecli.score("one.csv", pred="p", target="t").loss


@formats
@pytest.mark.parametrize("jobs", [1, 3])
def test_keys_are_found_in_any_file(format: str, jobs: int) -> None:
    order = RANDOM.permutation(ROWS)
    many, _ = both(format)
    write(Path("other.csv"), {"id": DATA["id"][order], "t": DATA["t"][order], "g": DATA["g"][order]})
    names: dict[str, Any] = {"pred": called(format, "p"), "target": "t", "on": f"{called(format, 'id')}=id"}
    result = msecli.score(many, "other.csv", **names, jobs=jobs)
    assert result.loss == msecli.score(DATA["p"], DATA["t"]).loss


@formats
def test_losses_and_gradients_are_in_the_order_of_the_rows(run: Run, format: str) -> None:
    names = ("-p", called(format, "p"), "-t", called(format, "t"))
    for number, path in enumerate(both(format)):
        assert run("compute", path, *names, "-r", "none", "-o", f"{number}.npy").code == 0
        assert run("compute", path, *names, "--grad", f"grad{number}.npy", "-o", f"{number}.json").code == 0
    assert Path("0.npy").read_bytes() == Path("1.npy").read_bytes()
    assert Path("grad0.npy").read_bytes() == Path("grad1.npy").read_bytes()
    losses = np.square(DATA["p"] - DATA["t"])
    assert np.array_equal(np.load("0.npy"), losses)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_row_groups_may_lie_anywhere(jobs: int) -> None:
    random = np.random.default_rng(1)
    for side in ("ours", "theirs"):
        cuts = [0, *sorted(random.choice(np.arange(1, ROWS), 4, replace=False).tolist()), ROWS]
        Path(side).mkdir()
        for number, (start, stop) in enumerate(pairwise(cuts)):
            content = parquet_bytes(sliced(DATA, start, stop), row_group_size=int(random.integers(3, 40)))
            Path(f"{side}/{number}.parquet").write_bytes(content)
    result = msecli.score("ours", "theirs", pred="p", target="t", jobs=jobs)
    assert result.loss == msecli.score(DATA["p"], DATA["t"]).loss
    assert set(result.rows.checked_by) == {"id", "g", "w"}


@formats
def test_whole_arrays_and_all_columns_may_be_scored(format: str) -> None:
    shape = (ROWS, 3)
    ours, theirs = RANDOM.normal(size=shape), RANDOM.normal(size=shape)
    for name, array in (("ours", ours), ("theirs", theirs)):
        shards(Path(name), format, array, 12 if name == "ours" else 5)
    result = msecli.score("ours", "theirs")
    # The mean over all elements is the same however they are folded.
    assert result.loss == msecli.score(ours, theirs).loss


def test_arrays_of_any_dimensions_are_stacked() -> None:
    ours, theirs = RANDOM.normal(size=(2, 40, 2, 3))
    shards(Path("ours"), "npy", ours, 7)
    shards(Path("theirs"), "npy", theirs, 3)
    found = opened("ours")
    assert (found.rows, found.item, found.divisible) == (40, (2, 3), True)
    assert np.array_equal(held(found).array, ours)
    # Parts may begin at any row.
    some = found.parts(Selection(), range(4, 21))
    assert np.array_equal(np.concatenate([block.numbers[None] for part in some for block in part.read()]), ours[4:21])
    assert msecli.score("ours", "theirs", axis=(0,)).values is not None
    assert msecli.score("ours", "theirs").loss == msecli.score(ours, theirs).loss


def test_sources_of_folders_know_what_their_files_know() -> None:
    assert (opened(both("parquet")[0]).rows, opened(both("csv")[0]).rows) == (ROWS, None)
    cuts = opened("many-parquet").cuts()
    assert cuts is not None
    # Row groups of seven rows in files of twenty.
    assert list(cuts[:8]) == [0, 7, 14, 20, 27, 34, 40, 47]
    assert cuts[-1] == ROWS
    assert opened("many-csv").cuts() is None
    assert not opened("many-parquet").divisible


# Which files


@formats
def test_a_pattern_braces_and_a_list_name_the_same_files(run: Run, format: str) -> None:
    many, one = both(format)
    names = ("-p", called(format, "p"), "-t", called(format, "t"))
    loss = run("compute", one, *names).out
    end = suffix(format)
    patterns = [many, f"{many}/*{end}", f"{many}/part-*", "many-*", f"**/part*{end}"]
    patterns += [f"{many}/part-{{9,10,11,12,13,14,15,16,17,18,19,20}}{end}", f"{many}/part-{{9,1*,20}}{end}"]
    patterns.remove("many-*")
    for pattern in patterns:
        ran = run("compute", pattern, *names)
        assert (ran.out, ran.code) == (loss, 0), pattern
    paths = [Path(many) / f"part-{number}{end}" for number in range(9, 21)]
    way: dict[str, Any] = {"pred": called(format, "p"), "target": called(format, "t")}
    for given in (paths, tuple(map(str, paths)), [f"{many}/part-9{end}", f"{many}/part-[!9]*"]):
        result = msecli.score(given, **way)
        assert f"{result.loss!r}\n" == loss
        assert result.inputs[0].files == 12


def test_files_of_a_list_are_in_its_order() -> None:
    Path("a.csv").write_text("y\n1\n2\n")
    Path("b.csv").write_text("y\n3\n4\n")
    assert msecli.score(["b.csv", "a.csv"], np.array([3.0, 4.0, 1.0, 2.0])).loss == 0.0
    assert msecli.score("{b,a}.csv", np.array([3.0, 4.0, 1.0, 2.0])).loss == 0.0
    assert msecli.score(["b.csv"], np.array([3.0, 4.0])).inputs[0].path == "b.csv"


def test_parts_are_in_natural_order_on_both_sides() -> None:
    for number in range(12):
        write(Path(f"{number}.csv"), {"y": [number]})
        Path("p").mkdir(exist_ok=True)
        write(Path(f"p/part-{number}.csv"), {"y": [number]})
    assert msecli.score("p", np.arange(12.0)).loss == 0.0


def test_files_that_hold_no_data_are_counted(run: Run) -> None:
    many, _ = both("csv")
    for name in ("_SUCCESS", ".part-9.csv.crc", "_metadata", ".hidden/x.csv", "_delta_log/0.json"):
        (Path(many) / name).parent.mkdir(exist_ok=True)
        (Path(many) / name).write_bytes(b"x")
    document = json.loads(run("compute", many, "-p", "p", "-t", "t", "--format", "json").out)
    assert [(item["path"], item["files"], item["skipped"]) for item in document["inputs"]] == [(many, 12, 5)] * 2
    assert document["warnings"] == []
    table = run("compute", many, "-p", "p", "-t", "t", "--format", "table").out
    assert "many-csv (12 files, 5 skipped)" in table


def test_a_single_match_is_that_file(run: Run) -> None:
    Path("preds").mkdir()
    write(Path("preds/only.csv"), DATA)
    for path in ("preds", "preds/*.csv", "preds/*"):
        document = json.loads(run("compute", path, "-p", "p", "-t", "t", "--format", "json").out)
        assert (document["inputs"][0]["path"], document["inputs"][0]["files"]) == ("preds/only.csv", 1)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("empty", "empty: the folder holds no file to read; 2 hidden files or markers such as _SUCCESS were skipped"),
        ("empty/*.csv", "empty/*.csv: no file matches this pattern"),
        ("nowhere/*.csv", "nowhere/*.csv: no such file; the folder nowhere does not exist either"),
        ("nowhere", "nowhere: no such file"),
        ("{a,b}.csv", "a.csv: no such file"),
        (["empty/x.csv", "y.csv"], "empty/x.csv: no such file"),
    ],
)
def test_no_file_is_an_error_that_says_what_was_skipped(path: Any, told: str) -> None:
    Path("empty").mkdir()
    Path("empty/_SUCCESS").touch()
    Path("empty/.x.csv").touch()
    with pytest.raises(ReadWriteError) as caught:
        msecli.score(path, [1.0])
    assert str(caught.value).startswith(told)


def test_files_of_several_kinds_are_refused(run: Run) -> None:
    many, _ = both("csv")
    write(Path(many) / "x.parquet", DATA)
    Path(f"{many}/notes").touch()
    ran = run("compute", many, "-p", "p", "-t", "t")
    assert (ran.code, ran.out) == (3, "")
    assert "many-csv: files of several kinds: 12 named *.csv, 1 without a suffix, 1 named *.parquet" in ran.err
    assert run("compute", f"{many}/*.csv", "-p", "p", "-t", "t").code == 0


def test_numbers_at_the_end_of_a_name_are_no_suffix() -> None:
    for number in range(3):
        Path(f"x.{number:02}").write_text(f"y\n{number}\n")
    assert msecli.score("x.*", [0.0, 1.0, 2.0]).loss == 0.0


def test_content_decides_what_the_files_are_and_must_be_alike(run: Run) -> None:
    Path("d").mkdir()
    Path("d/0.csv").write_bytes(parquet_bytes({"y": [1.0]}))
    Path("d/1.csv").write_bytes(parquet_bytes({"y": [2.0]}))
    ran = run("compute", "d", "d", "-p", "y", "--format", "json")
    assert ran.out.count('"format": "parquet"') == 2
    # Of all files together, once for each side.
    assert ran.err.count("d: the name ends in .csv, but the content is parquet; read as parquet (4 in all)") == 1
    Path("d/1.csv").write_text("y\n2\n")
    ran = run("compute", "d", "d", "-p", "y")
    assert "d/1.csv: this is csv, but d/0.csv is parquet" in ran.err


@pytest.mark.parametrize("paths", [["a.csv", "./a.csv"], ["*.csv", "a.csv"], [".", "a.csv"]])
def test_a_file_counts_once(paths: list[str]) -> None:
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("y\n1\n")
    with pytest.raises(DataError, match=r"a\.csv is named twice; each file counts once"):
        msecli.score(paths, [1.0])


def test_a_pattern_that_the_shell_has_replaced_is_better_quoted(run: Run) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        Path(name).write_text("y\n1\n")
    ran = run("compute", "a.csv", "b.csv", "c.csv")
    assert ran.code == 2
    assert (
        "unexpected extra argument (c.csv). For several files of one side quote their pattern, as in 'preds/*.csv'"
        in (ran.err)
    )
    assert "quote" not in run("compute", "a.csv", "b.csv", "nothing").err


@pytest.mark.parametrize("most_open", [0, 1, 16])
def test_files_that_can_be_read_only_once_may_be_among_others(monkeypatch: pytest.MonkeyPatch, most_open: int) -> None:
    monkeypatch.setattr("msecli.places.several.MOST_HELD", most_open)
    Path("a.csv").write_text("y\n1\n")
    read, end = os.pipe()
    with os.fdopen(end, "wb") as writer:
        writer.write(b"y\n2\n")
    try:
        assert msecli.score(["a.csv", f"/dev/fd/{read}"], [1.0, 2.0]).loss == 0.0
    finally:
        os.close(read)


# What the files hold


@tables
def test_columns_may_be_in_another_order(format: str) -> None:
    Path("d").mkdir()
    write(Path(f"d/0{suffix(format)}"), {"p": [1.0, 2.0], "t": [1.0, 4.0]})
    write(Path(f"d/1{suffix(format)}"), {"t": [5.0], "p": [2.0]})
    # The mean of 0, 4 and 9.
    assert msecli.score("d", pred="p", target="t").loss == 13 / 3


@tables
def test_every_schema_is_checked_and_the_problems_are_told_together(run: Run, format: str) -> None:
    end = suffix(format)
    Path("d").mkdir()
    write(Path(f"d/0{end}"), {"p": [1.0], "t": [1.0]})
    for number, columns in enumerate((["p", "y"], ["p"], ["p", "t", "w"], ["a", "b", "c", "d", "e"], ["x"]), 1):
        write(Path(f"d/{number}{end}"), {name: [1.0] for name in columns})
    ran = run("compute", "d")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines() == [
        f"Error: d/1{end}: the columns are not those of d/0{end}: no 't', but also 'y'",
        f"d/2{end}: the columns are not those of d/0{end}: no 't'",
        f"d/3{end}: the columns are not those of d/0{end}: also 'w'",
        "and 2 more problems of this kind",
    ]


def test_items_of_arrays_must_have_one_shape() -> None:
    Path("d").mkdir()
    Path("d/0.npy").write_bytes(npy_bytes(np.ones((2, 3))))
    Path("d/1.npy").write_bytes(npy_bytes(np.ones((2, 4))))
    with pytest.raises(DataError, match=r"d/1\.npy: rows of shape \(4,\), but d/0\.npy holds rows of shape \(3,\)"):
        msecli.score("d", np.ones((4, 3)))


def test_types_of_numbers_may_differ_and_text_among_them_is_refused() -> None:
    Path("d").mkdir()
    for number, values in enumerate((pa.array([1, 2]), pa.array([0.5]), pa.nulls(1), pa.array([True]))):
        write(Path(f"d/{number}.parquet"), {"p": values, "t": [1.0] * len(values), "note": values})
    # 0, 1, 0.25 and 0, and a missing one.
    assert msecli.score("d", pred="p", target="t", nan_pred="omit").loss == 1.25 / 4
    write(Path("d/4.parquet"), {"p": pa.array([1.0]), "t": [1.0], "note": pa.array(["bad"])})
    assert msecli.score("d", pred="p", target="t", nan_pred="omit").loss == 1.25 / 5
    with pytest.raises(DataError, match=r"d/4\.parquet: column 'note' holds string, unlike in other files \(int64\)"):
        msecli.score("d", pred="note", target="t")


def test_text_without_a_line_of_names_is_told() -> None:
    Path("d").mkdir()
    Path("d/0.csv").write_text("p,t\n" + "1,2\n" * 9)
    Path("d/1.csv").write_text("3,4\n" * 9)
    with pytest.raises(DataError, match=r"d/1\.csv: the first line holds no names of columns, unlike that of d/0\.csv"):
        msecli.score("d")


@pytest.mark.parametrize("format", FORMATS)
def test_files_without_rows_are_passed_over_with_a_warning(run: Run, format: str) -> None:
    many, one = both(format)
    nothing = np.empty((0, len(DATA))) if format == "npy" else {name: np.empty(0) for name in DATA}
    for number in (1, 15.5, 99):
        write(Path(many) / f"part-{number}{suffix(format)}", nothing)
    names = ("-p", called(format, "p"), "-t", called(format, "t"))
    ran = run("compute", many, *names)
    assert (ran.out, ran.code) == (run("compute", one, *names).out, 0)
    assert "a file without rows was passed over (3 in all)" in ran.err
    for path in Path(many).iterdir():
        write(path, nothing)
    ran = run("compute", many, *names)
    assert (ran.code, ran.out) == (3, "")
    assert "there are no rows in any of the 15 files" in ran.err


def test_an_empty_file_is_an_error() -> None:
    many, _ = both("csv")
    Path(f"{many}/part-12.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"many-csv/part-12\.csv: the file is empty"):
        msecli.score(many, pred="p", target="t")


# Where something is


def test_rows_are_named_by_their_files(run: Run) -> None:
    many, _ = both("csv")
    lines = Path(f"{many}/part-11.csv").read_text().splitlines()
    number, _, *others = lines[4].split(",")
    lines[4] = ",".join([number, "", *others])
    Path(f"{many}/part-11.csv").write_text("\n".join(lines))
    ran = run("compute", many, "-p", "p", "-t", "t")
    # The third file holds the rows from 41 on.
    assert (
        "many-csv, column 'p': 1 of 240 values missing, the first in row 44 (many-csv/part-11.csv, line 5)" in ran.err
    )
    lines[4] = ",".join([number, "oops", *others])
    Path(f"{many}/part-11.csv").write_text("\n".join(lines))
    ran = run("compute", many, "-p", "p", "-t", "t")
    assert "many-csv/part-11.csv, line 5: column 'p': 'oops' is not a number" in ran.err


def test_rows_are_named_by_their_files_wherever_parts_begin() -> None:
    lines = ["p,t", *(f"{number},{number if number % 20 else ''}" for number in range(1, 100))]
    Path("d").mkdir()
    for number in range(3):
        Path(f"d/{number}.csv").write_text("\n".join(lines[:1] + lines[1 + number :: 3]) + "\n")
    with reading_in({"part": 40}):
        found = msecli.score("d", pred="p", target="t", nan_target="propagate", worst=1)
        assert found.status == "nan"
        # The file 0 holds 1, 4, …, 40, in line 15.
        with pytest.raises(DataError, match=r"4 of 99 values missing, the first in row 14 \(d/0\.csv, line 15\)"):
            msecli.score("d", pred="p", target="t")
        # 20 is in line 8 of the file 1, row 40 of all.
        Path("d/0.csv").write_text(Path("d/0.csv").read_text().replace("40,\n", "40,1\n"))
        with pytest.raises(DataError, match=r"3 of 99 values missing, the first in row 40 \(d/1\.csv, line 8\)"):
            msecli.score("d", pred="p", target="t")


@pytest.mark.parametrize(("format", "place"), [("parquet", "row 4"), ("npy", "row 4")])
def test_rows_of_files_without_lines_have_their_numbers(format: str, place: str) -> None:
    data = {name: np.array(values, np.float64) for name, values in DATA.items()}
    data["p"][43] = np.nan
    many, _ = both(format, data)
    with pytest.raises(DataError, match=rf"the first in row 44 \(many-{format}/part-11\.{format}, {place}\)"):
        msecli.score(many, pred=called(format, "p"), target=called(format, "t"))


def test_a_difference_of_rows_is_shown_in_both_files() -> None:
    many, one = both("parquet")
    other = {**DATA, "id": np.where(DATA["id"] == 300, 301, DATA["id"])}
    write(Path(one), other)
    with pytest.raises(DataError) as caught:
        msecli.score(many, one, pred="p", target="t")
    assert "row 101 (many-parquet/part-14.parquet, row 1) of many-parquet and row 101 of one.parquet" in str(
        caught.value
    )


def test_warnings_of_blocks_are_counted_together(run: Run) -> None:
    Path("d").mkdir()
    for number in range(3):
        Path(f"d/{number}.csv").write_text("p,t\n1,2\n\n9007199254740993,4\n")
    ran = run("compute", "d", "-p", "p", "-t", "t")
    assert "d: blank lines were skipped (3 in all)" in ran.err
    assert "d, column 'p': integers beyond 2**53 were rounded to the nearest float64 (3 in all)" in ran.err


# Names of folders


def partitioned(root: str, format: str, names: Mapping[str, slice]) -> None:
    for number, (folder, rows) in enumerate(names.items()):
        path = Path(root) / folder / f"part-{number}{suffix(format)}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, {name: values[rows] for name, values in DATA.items()})


PARTS = {
    "region=north/year=2023": slice(0, 60),
    "region=north/year=2024": slice(60, 120),
    "region=so%2Futh %C3%A9/year=2023": slice(120, 180),
    "region=__HIVE_DEFAULT_PARTITION__/year=2024": slice(180, 240),
}
REGION = ["north"] * 120 + ["so/uth é"] * 60 + [None] * 60
# In natural order: "__HIVE…" before "north".
ORDER = np.r_[180:240, 0:180]


@pytest.mark.parametrize("format", FORMATS)
def test_the_names_of_folders_are_columns_of_labels(format: str) -> None:
    partitioned("d", format, PARTS)
    frame = pa.table(
        {
            "p": DATA["p"],
            "t": DATA["t"],
            "region": REGION,
            "year": [2023] * 60 + [2024] * 60 + [2023] * 60 + [2024] * 60,
        }
    )
    way: dict[str, Any] = {"pred": called(format, "p"), "target": called(format, "t")}
    for by in ("region", "year", ("region", "year")):
        ours, theirs = msecli.score("d", **way, by=by), msecli.score(frame, pred="p", target="t", by=by)
        found, expected = (
            {tuple(entry.label.items()): entry.score.loss for entry in result.groups} for result in (ours, theirs)
        )
        assert found == expected
    source = opened("d")
    assert [(column.name, column.numeric) for column in source.columns or ()][-2:] == [
        ("region", False),
        ("year", True),
    ]
    labels = held(source, [way["pred"]], ["region", "year"]).labels
    assert labels["region"] == [REGION[row] for row in ORDER]
    assert labels["year"] == [2024] * 60 + [2023] * 60 + [2024] * 60 + [2023] * 60


def test_labels_are_those_that_pyarrow_reads() -> None:
    partitioned("d", "parquet", PARTS)
    # pyarrow orders files by their names, too.
    read = ds.dataset("d", partitioning="hive").to_table().sort_by("id").to_pydict()
    found = held(opened("d"), ["p"], ["id", "region", "year"])
    order = np.argsort(found.labels["id"])
    for name in ("region", "year"):
        assert [found.labels[name][row] for row in order] == read[name]


def test_names_of_folders_with_leading_zeros_are_integers_as_elsewhere() -> None:
    partitioned("d", "csv", {"month=01": slice(0, 100), "month=11": slice(100, 240)})
    result = msecli.score("d", pred="p", target="t", by="month")
    # pyarrow 25, DuckDB and Spark read 1, too.
    assert [entry.label for entry in result.groups] == [{"month": 1}, {"month": 11}]


def test_a_value_that_is_no_integer_makes_text_of_all() -> None:
    partitioned("d", "csv", {"k=01": slice(0, 100), "k=x": slice(100, 240)})
    assert [entry.label for entry in msecli.score("d", pred="p", target="t", by="k").groups] == [
        {"k": "01"},
        {"k": "x"},
    ]


@tables
@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("year >= 2024", [*range(60, 120), *range(180, 240)]),
        ("region == 'north'", range(120)),
        ("region == 'north' and year == 2023", range(60)),
        ("year == 2023 and g == 0", [row for row in [*range(60), *range(120, 180)] if row % 5 == 0]),
    ],
)
def test_conditions_may_be_on_the_names_of_folders(format: str, where: str, rows: Any) -> None:
    partitioned("d", format, PARTS)
    expected = msecli.score(DATA["p"][list(rows)], DATA["t"][list(rows)]).loss
    assert msecli.score("d", pred="p", target="t", where=where).loss == expected
    if "g" in where:
        return
    # Both folders have these names, and must agree.
    partitioned("e", format, PARTS)
    assert msecli.score("d", "e", pred="p", target="t", where=where).loss == expected


def test_a_missing_value_in_the_name_of_a_folder_is_no_number() -> None:
    partitioned(
        "d", "csv", {"k=1": slice(0, 100), "k=__HIVE_DEFAULT_PARTITION__": slice(100, 140), "k=": slice(140, 240)}
    )
    expected = msecli.score(DATA["p"][:100], DATA["t"][:100]).loss
    result = msecli.score("d", pred="p", target="t", where="k < 2")
    assert (result.loss, result.rows.used) == (expected, 100)
    assert [warning.code for warning in result.warnings] == ["condition_unknown"]
    found = msecli.score("d", pred="p", target="t", by="k").groups
    assert [(entry.label["k"], entry.score.rows.used) for entry in found] == [(1, 100), (None, 140)]


def test_keys_may_be_in_the_names_of_folders() -> None:
    partitioned("d", "csv", PARTS)
    known = [row for row in range(ROWS) if REGION[row]]
    other = {
        "place": [REGION[row] for row in known],
        "no": [DATA["id"][row] for row in known],
        "t": DATA["t"][known],
    }
    write(Path("other.parquet"), other)
    shutil.rmtree("d/region=__HIVE_DEFAULT_PARTITION__")
    result = msecli.score("d", "other.parquet", pred="p", target="t", on=["region=place", "id=no"])
    assert result.loss == msecli.score(DATA["p"][known], DATA["t"][known]).loss


def test_names_of_folders_are_compared_row_by_row() -> None:
    partitioned("d", "parquet", PARTS)
    partitioned("e", "parquet", PARTS)
    result = msecli.score("d", "e", pred="p", target="t")
    assert {"id", "region", "year"} <= set(result.rows.checked_by)
    # The same rows in a folder of another name are other rows.
    Path("e/region=north/year=2024").rename("e/region=north/year=2025")
    with pytest.raises(DataError, match=r"column 'year' differs between row 121 .*: 2024 in d, 2025 in e"):
        msecli.score("d", "e", pred="p", target="t")
    assert msecli.score("d", "e", pred="p", target="t", row_check=False).loss == result.loss


def test_a_column_in_folders_is_scored_only_if_named() -> None:
    for number in range(3):
        Path(f"y={number}").mkdir()
        write(Path(f"y={number}/a.csv"), {"yhat": [1.0, 2.0]})
    with pytest.raises(DataError, match="target"):
        msecli.score("y=*/*.csv")
    # The squares of 1 and 2, of 0 and 1, and of -1 and 0.
    assert msecli.score("y=*/*.csv", pred="yhat", target="y").loss == 7 / 6


def test_the_name_of_the_folder_wins_over_a_column_of_the_file(run: Run) -> None:
    Path("d/k=1").mkdir(parents=True)
    Path("d/k=2").mkdir()
    Path("d/k=1/a.csv").write_text("k,p,t\n7,1,2\n")
    Path("d/k=2/a.csv").write_text("k,p,t\n7,1,4\n")
    ran = run("compute", "d", "-p", "p", "-t", "t", "--by", "k")
    # As pyarrow, DuckDB and polars read it.
    assert ran.out.splitlines() == ["1\t1.0", "2\t9.0", "pooled\t5.0", "macro\t5.0"]
    assert (
        "d, column 'k': the files have this column, too; the values in the names of their folders were used" in ran.err
    )


def test_folders_must_be_named_after_the_same_columns() -> None:
    partitioned("d", "csv", {"region=a": slice(0, 9), "area=b": slice(9, 20)})
    with pytest.raises(DataError, match=r"d/area=b/part-1\.csv is in area=…, d/region=a/part-0\.csv in region=…"):
        msecli.score("d", pred="p", target="t")
    shutil.rmtree("d")
    partitioned("d", "csv", {"region=a": slice(0, 9), ".": slice(9, 20)})
    with pytest.raises(DataError, match=r"d/part-1\.csv is in no such folder"):
        msecli.score("d", pred="p", target="t")


def test_text_in_names_of_folders_is_no_number() -> None:
    partitioned("d", "csv", PARTS)
    with pytest.raises(DataError, match=r"d: column 'region' holds text such as 'north' in the names of folders"):
        msecli.score("d", pred="region", target="t")
    with pytest.raises(DataError, match="in the names of folders, no numbers"):
        msecli.score("d", pred="p", target="t", where="region > 3")


# Changes while the files are read


@formats
def test_a_file_that_changes_is_noticed(format: str) -> None:
    many, _ = both(format)
    found = opened(many)
    found.verify()
    with Path(f"{many}/part-13{suffix(format)}").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(DataError, match=rf"part-13\.{format}: the file was changed"):
        found.verify()


@formats
@pytest.mark.parametrize("path", ["{many}", "{many}/*", "{many}/part-*"])
def test_a_file_that_comes_or_goes_is_noticed(format: str, path: str) -> None:
    many, _ = both(format)
    found = opened(path.format(many=many))
    Path(f"{many}/_SUCCESS.tmp").touch()
    Path(f"{many}/part-8{suffix(format)}").write_bytes(Path(f"{many}/part-9{suffix(format)}").read_bytes())
    with pytest.raises(DataError, match="files were added or removed while the others were read"):
        found.verify()


def test_a_file_that_is_replaced_before_it_is_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.several.MOST_HELD", 1)
    many, _ = both("csv")
    found = opened(many)
    old = Path(f"{many}/part-9.csv")
    old.rename("old.csv")
    shutil.copy(f"{many}/part-10.csv", old)
    with pytest.raises(DataError, match=r"part-9\.csv: the file was changed"):
        held(found, ["p"])


# Many files


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("encoding", [None, "utf-16"])
def test_files_may_be_opened_again_to_be_read(monkeypatch: pytest.MonkeyPatch, encoding: str | None, jobs: int) -> None:
    """Sources that would take much memory, and copies in another encoding, are not held."""
    monkeypatch.setattr("msecli.formats.folder.MOST_COLUMNS", 100)
    monkeypatch.setattr("msecli.places.several.MOST_HELD", 2)
    loss = msecli.score(DATA["p"], DATA["t"]).loss
    for format in FORMATS:
        many, one = both(format)
        names: dict[str, Any] = {"pred": called(format, "p"), "target": called(format, "t"), "jobs": jobs}
        if encoding is not None and format == "csv":
            for path in (*Path(many).iterdir(), Path(one)):
                path.write_bytes(path.read_text().encode(encoding))
            names["reading"] = msecli.Reading(encoding=encoding)
        assert msecli.score(many, **names).loss == loss
        assert msecli.score(many, one, **names).loss == loss
        assert msecli.score(one, many, **names).loss == loss
        assert msecli.score(many, many, **names, on=called(format, "id")).loss == loss
        bad = {name: np.where(np.arange(ROWS) == 100, np.nan, values) for name, values in DATA.items()}
        shards(Path("bad"), format, bad, 12)
        with pytest.raises(DataError, match=r"the first in row 101 \(bad/part-14"):
            msecli.score("bad", **{**names, "reading": None})


THOUSAND = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import msecli
for path, names in (("csv", ("p", "t")), ("parquet", ("p", "t")), ("npy", ("0", "1"))):
    for jobs in (1, 2):
        print(msecli.score(path, pred=names[0], target=names[1], jobs=jobs).loss)
    print(msecli.score(path, "csv", pred=names[0], target="t").loss)
print(msecli.score("csv", "parquet", pred="p", target="t", on="p").loss)
# Copies of text in another encoding take a descriptor each.
print(msecli.score("other", pred="p", target="t", reading=msecli.Reading(encoding="utf-16")).loss)
"""


def test_a_thousand_files_need_few_descriptors() -> None:
    values = np.arange(2000.0)
    for format in FORMATS:
        shards(Path(format), format, {"p": values, "t": values + 3}, 1000)
    for path in shards(Path("other"), "csv", {"p": values, "t": values + 3}, 100).iterdir():
        path.write_bytes(path.read_text().encode("utf-16"))
    ran = subprocess.run([sys.executable, "-c", THOUSAND], capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout.split() == ["9.0"] * 11


@pytest.mark.parametrize("most_columns", [0, 1 << 15])
@formats
def test_parts_are_read_elsewhere_once_pickled(monkeypatch: pytest.MonkeyPatch, format: str, most_columns: int) -> None:
    monkeypatch.setattr("msecli.formats.folder.MOST_COLUMNS", most_columns)
    many, _ = both(format)
    found = pickle.loads(pickle.dumps(opened(many)))
    name = called(format, "p")
    assert held(found, [name]).numbers[name].tolist() == DATA["p"].tolist()
    assert file_count(found) == (12, 0)


# What else takes paths


@pytest.mark.parametrize("output", ["many-csv/losses.csv", "many-csv/deep/losses.csv", "many-csv/part-9.csv"])
@pytest.mark.parametrize(
    "given", ["many-csv", "many-csv/*.csv", "many-csv/**/*.csv", "many-csv/{part-*,l*,deep/l*}.csv"]
)
def test_an_output_among_the_inputs_is_refused(run: Run, given: str, output: str) -> None:
    both("csv")
    Path("many-csv/deep").mkdir()
    if given == "many-csv/*.csv" and "deep" in output:
        assert run("compute", given, "-p", "p", "-t", "t", "-o", output).code == 0
        return
    ran = run("compute", given, "-p", "p", "-t", "t", "-r", "none", "-o", output, "--overwrite")
    assert (ran.code, ran.out) == (2, "")
    assert "input" in ran.err


def test_the_same_folder_is_merged_only_once(run: Run) -> None:
    both("csv")
    for name in ("a", "b"):
        assert run("compute", "many-csv", "-p", "p", "-t", "t", "--save-state", f"{name}.json").code == 0
    ran = run("merge", "a.json", "b.json")
    assert ran.code == 3
    assert "many-csv is in a.json and in b.json; each input counts once" in ran.err
    document = json.loads(run("merge", "a.json", "--format", "json").out)
    assert document["inputs"][0]["files"] == 12


def test_a_batch_takes_folders_patterns_and_lists(run: Run) -> None:
    both("csv")
    write(Path("other.csv"), {"t": DATA["t"]})
    predictions: dict[str, Any] = {"folder": "many-csv", "pattern": "many-csv/part-*"}
    predictions |= {"list": ["many-csv/part-9.csv", "many-csv/part-[!9]*"]}
    lines = [
        json.dumps({"name": name, "predictions": given, "targets": "other.csv", "pred": "p", "target": "t"})
        for name, given in predictions.items()
    ]
    Path("runs.jsonl").write_text("\n".join(lines))
    ran = run("batch", "runs.jsonl", "--resume", "journal.jsonl")
    loss = msecli.score(DATA["p"], DATA["t"]).loss
    assert [line.split("\t") for line in ran.out.splitlines()][:3] == [
        [name, repr(loss)] for name in ("folder", "pattern", "list")
    ]
    # All of them are known the second time, and none once a file is another.
    known = Path("journal.jsonl").read_text().count("\n")
    run("batch", "runs.jsonl", "--resume", "journal.jsonl")
    assert Path("journal.jsonl").read_text().count("\n") == known == 3
    os.utime("many-csv/part-12.csv", ns=(1, 1))
    run("batch", "runs.jsonl", "--resume", "journal.jsonl")
    assert Path("journal.jsonl").read_text().count("\n") == 6


def test_folders_are_compared_and_normed_as_files_are(run: Run) -> None:
    many, one = both("csv")
    write(Path("zero.csv"), {"p": np.zeros(ROWS)})
    write(Path("targets.csv"), {"t": DATA["t"]})
    compared = [
        run("compare", path, "zero.csv", "targets.csv", "-p", "p", "-t", "t", "--format", "json").out
        for path in both("csv")
    ]
    losses = [[entry["loss"] for entry in json.loads(text)["systems"]] for text in compared]
    assert losses[0] == losses[1]
    assert run("norm", many, "--column", "p").out == run("norm", one, "--column", "p").out
    mapping = {"list": [f"{many}/part-9.csv", f"{many}/part-[!9]*"], "zero": "zero.csv"}
    result = msecli.compare(mapping, "targets.csv", pred="p", target="t")
    assert sorted(system.name for system in result.systems) == ["list", "zero"]


@pytest.mark.parametrize("path", ["many-npz", "many-npz/*", "many-npz/part-*.npz"])
def test_a_name_inside_is_that_in_every_file(path: str) -> None:
    shards(Path("many-npz"), "npz", np.asarray(DATA["p"]), 12)
    found = msecli.score(f"{path}::arr_0", DATA["t"])
    assert found.loss == msecli.score(DATA["p"], DATA["t"]).loss
    with pytest.raises(DataError, match=r"many-npz/part-9\.npz::x: no array 'x'; there is 'arr_0' "):
        msecli.score(f"{path}::x", DATA["t"])


def test_a_name_inside_files_without_names_is_refused() -> None:
    both("parquet")
    with pytest.raises(
        DataError, match=r"many-parquet/part-9\.parquet::x: a parquet file holds nothing that has a name of its own"
    ):
        msecli.score("many-parquet::x", np.ones(ROWS))


def test_weights_may_be_in_a_folder() -> None:
    shards(Path("weights"), "npy", np.asarray(DATA["w"]), 5)
    result = msecli.score(DATA["p"], DATA["t"], weight_file="weights/")
    assert result.loss == msecli.score(DATA["p"], DATA["t"], weight_file=DATA["w"]).loss
    assert "weights:file(weights)" in result.signature


def test_settings_of_reading_are_for_every_file(run: Run) -> None:
    Path("d").mkdir()
    for number in range(3):
        Path(f"d/{number}.csv").write_text("p;t\n1,5;2\n")
    ran = run("compute", "d")
    assert ran.code == 3
    assert "d/0.csv" in ran.err
    assert "--delimiter" in ran.err
    assert run("compute", "d", "-p", "p", "-t", "t", "--delimiter", ";", "--decimal", ",").out == "0.25\n"


def test_standard_input_may_be_one_of_the_files_but_only_once(run: Run) -> None:
    for number in range(3):
        Path(f"{number}.csv").write_text(f"y\n{number}\n")
    Path("t.csv").write_text("y\n0\n5\n2\n")
    # The mean of 0, 16 and 0.
    assert run("compute", "{0.csv,-,2.csv}", "t.csv", stdin=b"y\n1\n").out == f"{16 / 3}\n"
    with pytest.raises(UsageError, match="standard input can be given only once"):
        msecli.score(["0.csv", "-"], ["-", "0.csv"])


def test_text_in_bytes_is_no_list_of_paths() -> None:
    with pytest.raises(DataError):
        open_source([b"a.csv"], AS_FILES_SAY, "data")
    assert text_bytes({"a": [1]}) == b"a\n1\n"
