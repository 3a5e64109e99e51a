"""`--explain-plan`: what a run would do. Expected numbers are counted by hand, or those of the run itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from tests.conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(run: Run, *words: object) -> dict[str, Any]:
    ran = run("compute", *words, "--explain-plan", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    return found


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"pred": np.arange(rows) + 0.5, "target": np.arange(rows) % 7})


def test_the_parts_of_a_parquet_file_are_its_row_groups(run: Run) -> None:
    frame(1000).to_parquet("x.parquet", row_group_size=300)
    found = planned(run, "x.parquet", "--jobs", "2")
    assert (found["rows"], found["parts"], found["tasks"], found["threads"]) == (1000, 4, 4, 2)
    assert (found["pairing"], found["tasks_about"], found["bytes"]) == (
        "one file",
        False,
        Path("x.parquet").stat().st_size,
    )


def test_row_groups_that_begin_at_other_rows_are_read_twice_by_a_cluster(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks begin where the groups of the larger parts do, at 0 and 600; the group from 400 to 800 is in both."""
    monkeypatch.setattr("msecli.scoring.spans.VALUES_PER_SECOND", 400)
    frame(1000)[["pred"]].to_parquet("p.parquet", row_group_size=600)
    frame(1000)[["target"]].to_parquet("t.parquet", row_group_size=400)
    found = planned(run, "p.parquet", "t.parquet", "--engine", "dask", "--local", "2")
    assert (found["tasks"], [each["parts"] for each in found["inputs"]]) == (2, [2, 4])
    assert (found["pairing"], found["threads"], found["surveys"]) == ("position", 2, 0)


def test_rows_of_text_are_estimated_and_a_cluster_would_count_them_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for constant, value in {
        "msecli.formats.csv.PART_BYTES": 1000,
        "msecli.formats.csv.RANGES_SURVEYED": 4,
        "msecli.scoring.spans.BYTES_PER_SECOND": 1000,
    }.items():
        monkeypatch.setattr(constant, value)
    Path("x.csv").write_text("pred,target\n" + "1.5,2.5\n" * 1000)  # 8000 bytes of rows, 12 of the header
    found = planned(run, "x.csv", "--engine", "dask")
    assert (found["rows"], found["rows_about"], found["tasks_about"]) == (None, 1000, True)
    # 8 parts, in stretches of 4; one thread has tasks of 2 seconds, 8012 bytes at 1000 a second.
    assert (found["parts"], found["surveys"], found["tasks"], found["threads"]) == (8, 2, 4, None)


def test_rows_paired_by_key_on_a_cluster_are_dealt_into_buckets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is 1000 values, two of which are in a row, and 0.5 seconds are a task at least: 4 of 250 rows for p.

    t has two row groups, and so two tasks. A row takes 8 bytes, and so does its value, and its key 16: 64 kB of both
    files, into buckets of 10,000 bytes.
    """
    monkeypatch.setattr("msecli.scoring.spans.VALUES_PER_SECOND", 1000)
    monkeypatch.setattr("msecli.scoring.buckets.BUCKET_BYTES", 10_000)
    data = frame(1000).assign(id=np.arange(1000)[::-1])
    data[["id", "pred"]].to_parquet("p.parquet", row_group_size=50)
    data[["id", "target"]].to_parquet("t.parquet", row_group_size=500)
    words = ("p.parquet", "t.parquet", "--on", "id", "--engine", "dask", "--local", "2")
    found = planned(run, *words)
    assert (found["tasks"], found["buckets"], found["ordered"], found["pairing"]) == (6, 7, False, "key")
    assert [each["parts"] for each in found["inputs"]] == [20, 2]
    assert planned(run, *words, "--batch-size", "10")["ordered"]
    assert planned(run, *words[:4])["buckets"] is None
    out = " ".join(run("compute", *words, "--explain-plan", "--format", "table").out.split())
    assert "6 tasks to read rows and deal them by key, 7 tasks to pair and score rows" in out
    out = " ".join(run("compute", *words, "-m", "mase", "--explain-plan", "--format", "table").out.split())
    assert "7 tasks to pair rows, and others to put them in order and score them" in out


def test_plain_lines_are_names_and_numbers(run: Run) -> None:
    frame(10).to_csv("x.csv", index=False)
    ran = run("compute", "x.csv", "--explain-plan", "--jobs", "1")
    assert (ran.code, ran.err) == (0, "")
    lines = dict(line.split("\t") for line in ran.out.splitlines())
    size = str(Path("x.csv").stat().st_size)
    assert {**lines, "worker_bytes": ""} == {
        "files": "1", "bytes": size, "rows_about": "10", "parts": "1", "surveys": "0", "tasks": "1", "threads": "1",
        "worker_bytes": "",
    }  # fmt: skip
    assert int(lines["worker_bytes"]) > 0


def test_people_read_a_table_and_sentences(run: Run) -> None:
    frame(10).to_csv("x.csv", index=False)
    np.save("t.npy", np.arange(10.0))
    ran = run("compute", "x.csv", "t.npy", "-p", "pred", "--engine", "dask", "--explain-plan", "--format", "table")
    out = " ".join(ran.out.split())
    assert (ran.code, ran.err) == (0, "")
    assert "input format bytes rows parts x.csv csv" in out
    assert "rows are paired by position" in out
    assert "1 task to count rows, about 1 task to read, pair and score rows" in out
    assert "MiB for a worker" in out


def test_nothing_is_scored_and_nothing_written(run: Run, tmp_path: Path) -> None:
    Path("x.csv").write_text("pred,target\n1,2\n")
    words = ("x.csv", "-p", "pred", "-t", "target", "-o", "r.json", "--save-state", "s", "--grad", "g.npy")
    ran = run("compute", *words, "--explain-plan")
    assert (ran.code, sorted(path.name for path in tmp_path.iterdir())) == (0, ["x.csv"])


def test_a_linear_model_has_a_plan_too(run: Run) -> None:
    frame(100).to_parquet("x.parquet", row_group_size=50)
    np.save("w.npy", np.array([0.5]))
    ran = run("linear", "x.parquet", "-x", "pred", "-t", "target", "--coef", "w.npy", "--explain-plan")
    assert (ran.code, "tasks\t2" in ran.out.splitlines()) == (0, True)


def test_a_dry_run_looks_here_whatever_the_engine(run: Run) -> None:
    frame(100).to_csv("x.csv", index=False)
    words = ("compute", "x.csv", "-p", "pred", "-t", "target")
    ran = run(*words, "--engine", "dask", "--local", "2", "--resume", "journal", "--dry-run", "--format", "json")
    here = run(*words, "--dry-run", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found, expected = (json.loads(each.out)["reading"] for each in (ran, here))
    assert found.pop("command") == f"msecli {' '.join(words)} --format json --engine dask --local 2 --resume journal"
    assert found == {name: value for name, value in expected.items() if name != "command"}
    assert not Path("journal").exists()
    call = msecli.inspect("x.csv", pred="pred", target="target", engine="dask").reading
    assert call is not None
    assert call.command == "score('x.csv', pred='pred', target='target', engine='dask')"
    # What the workers cannot do is refused as without a look.
    with gzip.open("x.npy.gz", "wb") as file:
        np.save(file, np.zeros((10, 2)))
    ran = run("compute", "x.npy.gz", "-p", "0", "-t", "1", "--engine", "dask", "--local", "2", "--dry-run")
    assert (ran.code, "x.npy.gz is compressed" in ran.err) == (2, True)


def test_a_stream_has_parts_as_it_comes(run: Run) -> None:
    ran = run("compute", "-", "--explain-plan", "--format", "json", stdin=b"pred,target\n1,2\n")
    found = json.loads(ran.out)
    assert (ran.code, found["parts"], found["tasks"], found["inputs"][0]["bytes"]) == (0, None, None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x.jsonl.gz", "--engine", "dask"), "x.jsonl.gz is compressed; decompress it, or use --engine local"),
        (("f/*.jsonl.gz", "--engine", "dask"), "x.jsonl.gz is compressed; decompress it, or use --engine local"),
        (("x.jsonl", "--engine", "dask"), "jsonl files cannot be read by the workers of a cluster yet"),
    ],
)
def test_what_a_run_would_refuse_is_refused(run: Run, words: tuple[str, ...], message: str) -> None:
    Path("f").mkdir()
    for path in ("x.jsonl", "x.jsonl.gz", "f/x.jsonl.gz"):
        frame(10).to_json(path, orient="records", lines=True)
    ran = run("compute", *words, "--input-format", "jsonl", "--explain-plan")
    assert (ran.code, message in ran.err) == (2, True), ran.err
