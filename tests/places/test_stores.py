"""Object stores: read, listed and written through pyarrow, on a server of the S3 protocol on this machine."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import msecli
from msecli.errors import DataError, ReadWriteError, UsageError
from msecli.places import PLACES, arrow_fs, open_input
from tests.files import WRITERS, parquet_bytes, suffix, text_bytes
from tests.places.conftest import SECRET, got, put
from tests.places.servers import Answer, Asked, Server

Run = Callable[..., Any]

P = b"yhat\n1\n2\n3\n"
T = b"y\n1\n2\n5\n"
"""The sum of squares is 4."""


def numbers(count: int, seed: int) -> list[float]:
    """Return numbers with two decimals."""
    return list((np.random.default_rng(seed).integers(0, 10000, count) / 100).tolist())


@pytest.fixture
def box(s3: Server) -> Server:
    """Return the server with the files of one score."""
    put(s3, "box/p.csv", P)
    put(s3, "box/t.csv", T)
    s3.forget()
    return s3


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_is_read_as_from_this_machine(format: str, s3: Server, tmp_path: Path) -> None:
    for seed, name in enumerate("pt"):
        content = WRITERS[format].content({"a": numbers(2000, seed), "b": numbers(2000, seed + 5)})
        (tmp_path / f"{name}{suffix(format)}").write_bytes(content)
        put(s3, f"box/{name}{suffix(format)}", content)
    local, there = (
        json.dumps(msecli.score(*(f"{place}/{name}{suffix(format)}" for name in "pt"), metrics=["r2", "mae"]).to_dict())
        for place in (tmp_path, "s3://box")
    )
    assert there.replace("s3://box", "PLACE") == local.replace(str(tmp_path), "PLACE")


def test_a_small_file_takes_three_requests(box: Server) -> None:
    assert msecli.score("s3://box/p.csv", "s3://box/t.csv", reduction="sum").loss == 4.0
    # Of each file: what it is, its bytes, and whether it is still the same.
    assert [each.method for each in box.asked if each.path == "/box/p.csv"] == ["HEAD", "GET", "HEAD"]
    assert len(box.asked) == 6


def test_of_parquet_only_the_wanted_columns_travel(s3: Server) -> None:
    rows = 100_000
    columns = {f"x{number}": numbers(rows, number) for number in range(20)}
    content = parquet_bytes(
        {"yhat": numbers(rows, 50), **columns, "y": numbers(rows, 51)},
        row_group_size=10_000, use_dictionary=False, compression="none",
    )  # fmt: skip
    put(s3, "box/all.parquet", content)
    s3.forget()
    msecli.score("s3://box/all.parquet", pred="yhat", target="y")
    # Two columns of 8 bytes a row, and 64 KiB at the start and at the end.
    assert s3.sent <= 2 * rows * 8 + 3 * 65536 < len(content) / 8
    assert len(s3.asked) <= 10 * 2 + 5


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://box/nothing.csv", "s3://box/nothing.csv: no such file"),
        ("s3://nowhere/p.csv", "s3://nowhere/p.csv: no such file"),
        ("s3:///p.csv", "s3:///p.csv: there is no bucket; use s3://BUCKET/FILE"),
        ("gs://", "gs://: there is no bucket; use gs://BUCKET/FILE"),
    ],
)
def test_what_is_not_there_is_told(path: str, said: str, box: Server, run: Run) -> None:
    ran = run("compute", path, "s3://box/t.csv")
    assert ran.code in {2, 4}
    assert ran.out == ""
    assert f"Error: {said}" in ran.err


@pytest.mark.parametrize(
    ("first", "answer", "said"),
    [
        (0, Answer(403), "access is denied"),
        (1, Answer(403), "access is denied"),
    ],
)
def test_refusals_are_told_at_once(first: int, answer: Answer, said: str, box: Server, run: Run) -> None:
    box.faults = dict.fromkeys(range(first, 100), answer)
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv")
    assert (ran.code, ran.out) == (4, "")
    advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    assert f"s3://box/p.csv: cannot read: {said}; {advice}" in ran.err
    # Files are opened at the same time, so that the second request may be for the other one.
    assert 1 <= len([each for each in box.asked if each.path == "/box/p.csv"]) <= first + 1


@pytest.mark.parametrize("fault", ["reset", "cut", Answer(503), Answer(500, {}, b"x" * 100_000)], ids=str)
def test_passing_faults_are_tried_again(fault: Any, box: Server) -> None:
    content = text_bytes({"yhat": numbers(50_000, 1)})
    put(box, "box/long.csv", content)
    for number in range(4):
        box.forget()
        box.faults = {number: fault}
        file = open_input("s3://box/long.csv")
        assert b"".join(file.read(50_000, start) for start in range(0, file.size, 50_000)) == content
        file.verify()


def test_faults_that_do_not_pass_end_the_run(box: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_fs, "TRIES", 2)  # the library waits for seconds
    box.faults = {number: Answer(503) for number in range(1, 1000)}
    ran = run("compute", "s3://box/p.csv", "s3://box/p.csv", "--no-row-check")
    assert (ran.code, ran.out) == (4, "")
    assert "s3://box/p.csv: cannot read: the server is overloaded or has a fault" in ran.err
    assert len(box.asked) < 30


def test_an_object_that_changes_meanwhile_is_refused(box: Server) -> None:
    file = open_input("s3://box/p.csv")
    again = pickle.dumps(file)
    file.verify()
    put(box, "box/p.csv", P.replace(b"3", b"4"))
    with pytest.raises(DataError, match=r"s3://box/p\.csv: the file was changed while it was read"):
        file.verify()
    del file
    with pytest.raises(DataError, match=r"s3://box/p\.csv: the file was changed while it was read"):
        pickle.loads(again).read(10, 0)


def test_an_object_changed_during_a_run_makes_it_fail(box: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from msecli.formats.csv import CsvSource

    verify = CsvSource.verify

    def changed(source: CsvSource) -> None:
        put(box, "box/p.csv", P.replace(b"3", b"4"))
        verify(source)

    monkeypatch.setattr(CsvSource, "verify", changed)
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv")
    assert (ran.code, ran.out) == (3, "")
    assert "s3://box/p.csv: the file was changed while it was read; run again once it is complete" in ran.err


def test_unpickling_costs_no_request(box: Server) -> None:
    file = open_input("s3://box/p.csv", "pred")
    again = pickle.dumps(file)
    del file
    box.forget()
    copy = pickle.loads(again)
    assert (copy.path, copy.word, copy.size, box.asked) == ("s3://box/p.csv", "pred", len(P), [])
    assert copy.read(100, 0) == P


def test_odd_names_are_those_of_the_objects(s3: Server) -> None:
    for name in ("a b.csv", "50%25.csv", "ü.csv", "a+b.csv", "x=1/p?.csv", "h#1.csv"):
        with s3_file(f"box/{name}") as stream:
            stream.write(P)
        assert open_input(f"s3://box/{name}").read(100, 0) == P


def s3_file(path: str) -> Any:
    """Return an object open for writing."""
    return arrow_fs.Location.of(f"s3://{path}").connect().open_output_stream(path)


# Listing


def listed(folder: str) -> list[str] | None:
    """Return the files below a folder in order."""
    found = arrow_fs.files_below(folder, bool)
    return None if found is None else sorted(found)


def test_folders_are_listed_at_any_depth(s3: Server) -> None:
    for name in ("preds/a.csv", "preds/b/c.csv", "preds/b/.hidden", "other.csv", "preds2/x.csv", "preds/_SUCCESS"):
        put(s3, f"box/{name}", P)
    put(s3, "box/preds/", b"")
    put(s3, "box/preds/b_$folder$", b"")
    expected = ["_SUCCESS", "a.csv", "b/.hidden", "b/c.csv"]
    assert listed("s3://box/preds") == listed("s3://box/preds/") == expected
    assert listed("s3://box/preds/b") == [".hidden", "c.csv"]
    assert listed("s3://box") == sorted(["other.csv", "preds2/x.csv", *(f"preds/{name}" for name in expected)])
    assert listed("s3://box/nothing") is None
    assert listed("s3://nowhere/nothing") is None


def test_looking_for_a_folder_first_costs_no_request(box: Server) -> None:
    assert listed("s3://box/p.csv") is None
    assert open_input("s3://box/p.csv").read(100, 0) == P
    assert [each.method for each in box.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "AWS Error EXPIRED_TOKEN during HeadObject operation: no",
            "the credentials are not accepted; set AWS_PROFILE",
        ),
        ("AWS Error INVALID_ACCESS_KEY_ID during GetObject operation", "the credentials are not accepted; set"),
        ("AWS Error UNKNOWN (HTTP status 301) during HeadObject", "the bucket is in another region; set AWS_REGION"),
        ("AWS Error NETWORK_CONNECTION: curlCode: 28, Timeout was reached", "the server did not answer in time"),
        ("AWS Error NETWORK_CONNECTION: curlCode: 6, Couldn't resolve host name", "the server's name is not known"),
        ("AWS Error NETWORK_CONNECTION: curlCode: 7, Could not connect", "the server cannot be reached"),
        ("AWS Error SLOW_DOWN during GetObject", "the server is overloaded or has a fault"),
        ("google::cloud::Status(PERMISSION_DENIED: Permission denied)", "access is denied"),
        ("something else (Request ID: 4035)", "something else"),
    ],
)
def test_texts_of_libraries_are_told_in_words(text: str, said: str) -> None:
    with pytest.raises(ReadWriteError, match=rf"^s3://box/p\.csv: cannot read: {said}"):  # noqa: SIM117 - one of ours
        with arrow_fs._explained(arrow_fs.Location.of("s3://box/p.csv")):
            raise OSError(text)


def test_a_folder_that_cannot_be_listed_is_told(box: Server) -> None:
    box.faults = dict.fromkeys(range(1, 100), Answer(403))
    with pytest.raises(ReadWriteError, match="s3://box/preds: cannot list: access is denied"):
        listed("s3://box/preds")


# Writing


def test_results_are_written_whole(box: Server, run: Run) -> None:
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/out/r.json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert json.loads(got(box, "box/out/r.json") or b"")["loss"] == pytest.approx(4 / 3)


def test_values_of_many_megabytes_are_written_in_several_requests(s3: Server, run: Run) -> None:
    array = np.random.default_rng(0).random(3_000_000)
    with s3_file("box/p.npy") as stream:
        np.save(stream, array)
    assert run("compute", "s3://box/p.npy", "s3://box/p.npy", "-r", "none", "-o", "s3://box/losses.npy").code == 0
    with arrow_fs.Location.of("s3://box").connect().open_input_file("box/losses.npy") as stream:
        assert np.load(stream).tolist() == [0.0] * len(array)


def test_an_object_is_replaced_only_if_asked_for(box: Server, run: Run) -> None:
    put(box, "box/r.json", b"old")
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/r.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "Error: -o s3://box/r.json: the file exists; use --overwrite to replace it\n"
    assert got(box, "box/r.json") == b"old"
    assert run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/r.json", "--overwrite").code == 0
    assert got(box, "box/r.json") != b"old"


def test_an_object_that_appears_meanwhile_is_kept(box: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from msecli.outputs.files import Staging

    def write() -> None:
        with Staging() as staging:
            with staging.open("s3://box/r.txt") as stream:
                stream.write(b"new")
            put(box, "box/r.txt", b"of another")

    with pytest.raises(UsageError, match=r"s3://box/r\.txt: the file exists"):
        write()
    assert got(box, "box/r.txt") == b"of another"


def test_nothing_is_written_if_the_run_fails(box: Server, run: Run) -> None:
    put(box, "box/short.csv", b"yhat\n1\n")
    ran = run("compute", "s3://box/short.csv", "s3://box/t.csv", "-o", "s3://box/r.json")
    assert ran.code == 3
    assert got(box, "box/r.json") is None
    assert not box.of("PUT")
    assert not box.of("POST")


def test_all_outputs_are_written_or_none(box: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msecli.outputs.files import Staging

    put_one = arrow_fs.ArrowStore.put

    def fail(store: arrow_fs.ArrowStore, content: str) -> None:
        if store.path.endswith("b.txt"):
            raise ReadWriteError(f"{store.path}: cannot write: no")
        put_one(store, content)

    monkeypatch.setattr(arrow_fs.ArrowStore, "put", fail)
    (tmp_path / "old.txt").write_bytes(b"old")
    paths = [str(tmp_path / "old.txt"), "s3://box/a.txt", "s3://box/b.txt"]

    def write() -> None:
        with Staging(overwrite=True) as staging:
            for path in paths:
                with staging.open(path) as stream:
                    stream.write(b"new")

    with pytest.raises(ReadWriteError, match=r"b\.txt: cannot write: no"):
        write()
    assert got(box, "box/a.txt") is None
    assert (tmp_path / "old.txt").read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["old.txt"]


def test_an_upload_that_fails_leaves_nothing(box: Server, run: Run) -> None:
    before = len(box.asked)
    run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/probe.json")
    uploads = [number for number, each in enumerate(box.asked) if each.method in {"PUT", "POST"}]
    assert uploads
    for number in uploads:
        box.forget()
        box.faults = dict.fromkeys(range(number - before, 1000), Answer(403))
        ran = run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/r.json")
        assert (ran.code, ran.out) == (4, "")
        assert "s3://box/r.json: cannot write: access is denied" in ran.err
        assert got(box, "box/r.json") is None


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("s3://nowhere/r.json", 4, "s3://nowhere/r.json: cannot write: there is no bucket nowhere"),
        ("s3://box/p.csv", 2, "-o csv=s3://box/p.csv: this is also the input s3://box/p.csv; choose another name"),
        ("s3://box/out/", 4, "s3://box/out/: cannot write: this is a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_anything_is_read(
    path: str, code: int, said: str, box: Server, run: Run
) -> None:
    output = path if path.endswith("json") else f"csv={path}"
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", output)
    assert (ran.code, ran.out) == (code, "")
    assert said.removeprefix("-o csv=").replace("-o ", "") in ran.err
    assert not box.of("GET") or code == 4


def test_lines_cannot_be_added_to_an_object(box: Server, run: Run) -> None:
    ran = run("compute", "s3://box/p.csv", "s3://box/t.csv", "-o", "s3://box/h.jsonl", "--append")
    assert (ran.code, ran.out) == (2, "")
    assert "s3://box/h.jsonl: nothing can be added to a file there; write a file of this machine" in ran.err


def test_states_are_saved_and_merged_there(box: Server, run: Run) -> None:
    assert run("compute", "s3://box/p.csv", "s3://box/t.csv", "--save-state", "s3://box/s.json").code == 0
    ran = run("merge", "s3://box/s.json", "--format", "plain")
    assert (ran.code, ran.out) == (0, "1.3333333333333333\n")
    result = msecli.score("s3://box/p.csv", "s3://box/t.csv", save_state="s3://box/s2.json")
    assert msecli.merge("s3://box/s2.json").loss == result.loss


# The other stores: what can be known without them.


def test_each_store_says_where_credentials_come_from() -> None:
    stores = [place for place in PLACES.values() if place.store]
    assert [place.name for place in stores] == ["s3", "gs", "abfs"]
    assert all(place.credentials for place in stores)


@pytest.mark.parametrize("url", [f"s3://key:{SECRET}@box/p.csv", f"gs://me:{SECRET}@box/p.csv"])
def test_credentials_in_paths_are_refused(url: str, run: Run) -> None:
    ran = run("compute", url)
    assert (ran.code, ran.out) == (2, "")
    assert "credentials do not belong in a path; set " in ran.err
    assert SECRET not in ran.err


def test_a_container_of_azure_needs_an_account(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "_NAME"):
        monkeypatch.delenv(f"AZURE_STORAGE_ACCOUNT{name}", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    ran = run("compute", "abfs://box/p.csv")
    assert ran.code == 4
    assert "the storage account is not known; set AZURE_STORAGE_ACCOUNT" in ran.err


@pytest.mark.parametrize("variable", ["AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING"])
def test_a_damaged_key_of_azure_is_told(variable: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    key = f"{SECRET}=="
    monkeypatch.setenv(variable, key if variable.endswith("KEY") else f"AccountName=me;AccountKey={key}")
    ran = run("compute", "abfs://box@me.dfs.core.windows.net/p.csv")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "Error: the key of the storage account is not in Base64; check AZURE_STORAGE_KEY\n"


def test_parquet_is_written_to_a_store(box: Server, run: Run) -> None:
    assert run("compute", "s3://box/p.csv", "s3://box/t.csv", "-r", "none", "-o", "s3://box/l.parquet").code == 0
    found = pq.read_table("box/l.parquet", filesystem=arrow_fs.Location.of("s3://box").connect())
    assert found.column("loss").to_pylist() == [0.0, 0.0, 4.0]


# Folders


@pytest.fixture
def parts(s3: Server) -> dict[str, Any]:
    """Put twelve parts as CSV, compressed CSV and Parquet into folders named after their month; return all rows."""
    random = np.random.default_rng(12)
    rows = {"pred": random.standard_normal(1200), "target": random.standard_normal(1200)}
    writers: dict[str, Callable[[Any], bytes]] = {
        ".csv": text_bytes,
        ".csv.gz": lambda data: gzip.compress(text_bytes(data)),
        ".parquet": parquet_bytes,
    }
    for number in range(12):
        part = {name: values[number * 100 : number * 100 + 100] for name, values in rows.items()}
        for ending, content in writers.items():
            put(s3, f"box/{ending}/month={number + 1}/part-{number}{ending}", content(part))
    for ending in writers:
        put(s3, f"box/{ending}/_SUCCESS", b"")
    s3.forget()
    return rows


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("pattern", ["", "/month=*/part-*"])
def test_a_folder_of_twelve_parts_takes_three_requests_for_each(
    ending: str, pattern: str, parts: dict[str, Any], s3: Server
) -> None:
    path = f"s3://box/{ending}{pattern or '/'}"
    result = msecli.score(path, pred="pred", target="target", by="month")
    months = {"month": np.repeat(np.arange(1, 13), 100)}
    expected = msecli.score(parts | months, pred="pred", target="target", by="month")
    assert result.loss == expected.loss
    assert [entry.score for entry in result.entries] == [entry.score for entry in expected.entries]
    file, *_ = result.inputs
    assert (file.files, file.skipped) == (12, 0 if pattern else 1)
    # Of each part: what it is, its bytes, and whether it is still the same. The parts are listed before and after, and
    # so is what a folder with the very name of the pattern holds.
    asked = [each for each in s3.asked if re.search(r"part-\d", each.path)]
    assert sorted(each.method for each in asked) == ["GET"] * 12 + ["HEAD"] * 24
    assert len([each for each in s3.asked if "list-type" in each.path]) == (4 if pattern else 2)


def test_parts_are_opened_and_looked_at_again_several_at_once(parts: dict[str, Any], s3: Server) -> None:
    under_way, most, lock = 0, 0, threading.Lock()
    answer = s3.answer

    def slow(asked: Asked) -> Answer:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return answer(asked)

    s3.answer = slow
    msecli.score("s3://box/.csv/", pred="pred", target="target")
    assert most >= 6


def test_a_part_that_cannot_be_read_is_told_with_the_number_of_others(parts: dict[str, Any], s3: Server) -> None:
    for number in (3, 7):
        put(s3, f"box/.csv/month={number + 1}/part-{number}.csv", b"pred,other\n1,2\n")
    with pytest.raises(DataError, match=r"part-3\.csv: the columns are not those of .*part-0\.csv") as caught:
        msecli.score("s3://box/.csv/", pred="pred", target="target")
    assert "part-7.csv" in str(caught.value)


# Clusters


def test_the_workers_of_a_cluster_read_a_store_with_their_own_credentials(s3: Server, tmp_path: Path) -> None:
    """What travels to them holds none; those without any say so."""
    pytest.importorskip("distributed")
    from tests.engines.cluster import cluster_of

    for number in range(3):
        content = text_bytes({"yhat": numbers(500, number), "y": numbers(500, number + 9)})
        put(s3, f"box/rows/{number}.csv", content)
    settings = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    expected = msecli.score("s3://box/rows/*.csv", pred="yhat", target="y")
    with cluster_of(tmp_path / "with", 2, more=settings) as cluster:
        found = msecli.score("s3://box/rows/*.csv", pred="yhat", target="y", engine="dask", scheduler=cluster.address)
    assert found.to_dict() == expected.to_dict()
    nobody = settings | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with (
        cluster_of(tmp_path / "without", 1, more=nobody) as cluster,
        pytest.raises(ReadWriteError, match="worker tcp://"),
    ):
        msecli.score("s3://box/rows/*.csv", pred="yhat", target="y", engine="dask", scheduler=cluster.address)
