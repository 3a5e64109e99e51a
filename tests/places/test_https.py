"""Files on web servers: with ranges or without, slow, faulty, forbidden, or changed under the reader."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.errors import DataError, ReadWriteError
from msecli.places import open_input
from tests.files import WRITERS, npy_bytes, parquet_bytes, suffix, text_bytes
from tests.places.servers import Answer, Asked, Files, Server

Run = Callable[..., Any]

P = b"yhat\n1\n2\n3\n"
T = b"y\n1\n2\n5\n"
"""The sum of squares is 4."""


def score(web: Server, *names: str, **settings: Any) -> float:
    """Return the sum of squares of files of the server."""
    loss = msecli.score(*(f"{web.url}/{name}" for name in names), reduction="sum", **settings).loss
    assert loss is not None
    return loss


def numbers(count: int, seed: int) -> list[float]:
    """Return numbers with two decimals."""
    return list((np.random.default_rng(seed).integers(0, 10000, count) / 100).tolist())


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole"])
def test_every_format_is_read_as_from_this_machine(
    format: str, ranges: bool, web: Server, files: Files, tmp_path: Path
) -> None:
    rows = 2000
    data = {"a": numbers(rows, 1), "b": numbers(rows, 2)}
    other = {"a": numbers(rows, 3), "b": numbers(rows, 4)}
    files.ranges = ranges
    for name, columns in (("p", data), ("t", other)):
        content = WRITERS[format].content(columns)
        (tmp_path / f"{name}{suffix(format)}").write_bytes(content)
        files.content[f"/{name}{suffix(format)}"] = content
    local, there = (
        json.dumps(msecli.score(*(f"{place}/{name}{suffix(format)}" for name in "pt"), metrics=["r2", "mae"]).to_dict())
        for place in (tmp_path, web.url)
    )
    assert there.replace(web.url, "PLACE") == local.replace(str(tmp_path), "PLACE")


def test_whole_files_of_a_server_are_not_for_workers(run: Run, web: Server, files: Files) -> None:
    files.content, files.ranges = {"/x.csv": b"yhat,y\n1,2\n"}, False
    ran = run("compute", f"{web.url}/x.csv", "--engine", "dask", "--explain-plan")
    assert (ran.code, ran.out) == (2, "")
    assert f"{web.url}/x.csv is compressed, or its server sends only whole files; copy what it holds" in ran.err


def test_a_copy_that_has_no_room_is_an_error_of_reading(
    run: Run, web: Server, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.content, files.ranges = {"/p.csv": P, "/t.csv": T}, False
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", "/nonexistent")
        ran = run("compute", f"{web.url}/p.csv", f"{web.url}/t.csv")
    assert (ran.code, ran.out) == (4, "")
    told = f"{web.url}/p.csv: cannot be copied to a temporary file: No such file or directory; see TMPDIR"
    assert told in ran.err
    assert "cannot write the result" not in ran.err


def test_runs_of_a_batch_wait_for_servers_side_by_side(web: Server, files: Files) -> None:
    both = threading.Barrier(2)

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("p.csv") and asked.path not in seen:
            seen.add(asked.path)
            both.wait(timeout=10)  # until the other run has asked, too
        return files(asked)

    seen: set[str] = set()
    files.content = {f"/{name}/{file}.csv": content for name in "ab" for file, content in (("p", P), ("t", T))}
    web.answer = answer
    runs = [
        {"name": name, "predictions": f"{web.url}/{name}/p.csv", "targets": f"{web.url}/{name}/t.csv"} for name in "ab"
    ]
    found = msecli.batch(runs, jobs=2).runs
    assert not both.broken
    assert [run.numbers() for run in found] == [{"loss": 4 / 3}, {"loss": 4 / 3}]


def test_the_command_line_reads_links_and_tells_their_format_by_their_name(run: Run, web: Server, files: Files) -> None:
    files.content = {"/p.tsv": b"id\tyhat\n1\t5\n", "/t.csv": b"id,y\n1,3\n"}
    ran = run("compute", f"{web.url}/p.tsv?download=1", f"{web.url}/t.csv", "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["loss"] == 4.0
    assert [each["format"] for each in found["inputs"]] == ["tsv", "csv"]
    assert [each["path"] for each in found["inputs"]] == [f"{web.url}/p.tsv?...", f"{web.url}/t.csv"]


def test_two_small_files_take_two_requests_and_two_checks(web: Server, files: Files) -> None:
    files.content = {"/p.csv": P, "/t.csv": T}
    assert score(web, "p.csv", "t.csv") == 4.0
    asked = [(each.path, each.range and each.range[1] > 0) for each in web.asked]
    # The two of a kind are under way at the same time.
    assert [sorted(asked[:2]), sorted(asked[2:])] == [
        [("/p.csv", True), ("/t.csv", True)], [("/p.csv", False), ("/t.csv", False)],
    ]  # fmt: skip


def test_text_is_fetched_once_in_few_requests(web: Server, files: Files) -> None:
    files.content = {
        "/p.csv": text_bytes({"yhat": numbers(2_000_000, 1)}),
        "/t.csv": text_bytes({"y": numbers(2_000_000, 2)}),
    }
    score(web, "p.csv", "t.csv")
    size = sum(map(len, files.content.values()))
    assert web.sent <= size + 2
    # 12 MB each in requests of 4 MiB, the start, and a check at the end.
    assert len(web.asked) <= 14


def test_of_parquet_only_the_wanted_columns_travel(web: Server, files: Files) -> None:
    rows = 200_000
    columns = {f"x{number}": numbers(rows, number) for number in range(20)}
    options: dict[str, Any] = {"row_group_size": 20_000, "use_dictionary": False, "compression": "none"}
    files.content = {
        "/p.parquet": parquet_bytes({"yhat": numbers(rows, 50), **columns}, **options),
        "/t.parquet": parquet_bytes(
            {**{f"z{name}": each for name, each in columns.items()}, "y": numbers(rows, 51)}, **options
        ),
    }
    score(web, "p.parquet", "t.parquet", pred="yhat", target="y")
    # Of 67 MB two columns of 8 bytes a row, and for each file 64 KiB at the start and at the end, twice at most.
    assert web.sent <= 2 * (rows * 8 + 4 * 65536)
    # Each file has 10 row groups.
    assert len(web.asked) <= 2 * (10 + 5)


def test_of_arrays_each_byte_travels_once(web: Server, files: Files) -> None:
    array = np.random.default_rng(0).random((100_000, 16))
    files.content = {"/p.npy": npy_bytes(array), "/t.npy": npy_bytes(np.asfortranarray(array + 1))}
    assert score(web, "p.npy", "t.npy") == pytest.approx(1_600_000)
    assert web.sent <= sum(map(len, files.content.values())) + 2 * 65536


def test_a_server_without_ranges_sends_the_whole_once(web: Server, files: Files) -> None:
    files.ranges = False
    files.content = {
        "/p.csv": text_bytes({"yhat": numbers(100_000, 1)}),
        "/t.csv": text_bytes({"y": numbers(100_000, 1)}),
    }
    assert score(web, "p.csv", "t.csv") == 0.0
    assert len(web.asked) == 2


def test_ranges_are_those_of_the_stored_bytes(web: Server, files: Files) -> None:
    files.content = {"/p.csv": P, "/t.csv": T}
    score(web, "p.csv", "t.csv")
    assert {each.headers["accept-encoding"] for each in web.asked} == {"identity"}


@pytest.mark.parametrize(
    "fault", ["reset", "cut", Answer(503), Answer(500), Answer(429, {"Retry-After": "0"})], ids=str
)
@pytest.mark.parametrize("number", range(5))
def test_passing_faults_are_tried_again(number: int, fault: Any, web: Server, files: Files) -> None:
    files.content = {"/p.csv": text_bytes({"yhat": numbers(30_000, 1)}), "/t.csv": T}
    web.faults = {number: fault}
    if number == 4:
        web.faults = {number: fault, number + 1: fault}
    with open_file(web, "/p.csv") as file:
        content = b"".join(file.read(50_000, start) for start in range(0, file.size, 50_000))
        file.verify()
    assert content == files.content["/p.csv"]


class open_file:  # noqa: N801 - reads like a function
    """A file of the server for the time of a block."""

    def __init__(self, web: Server, path: str) -> None:
        self.file = open_input(web.url + path)

    def __enter__(self) -> Any:
        return self.file

    def __exit__(self, *_: object) -> None:
        del self.file


def test_faults_that_do_not_pass_end_the_run_after_a_few_tries(run: Run, web: Server, files: Files) -> None:
    files.content = {"/p.csv": P}
    web.faults = {number: Answer(503) for number in range(100)}
    ran = run("compute", f"{web.url}/p.csv", "t.csv")
    assert (ran.code, ran.out) == (4, "")
    assert (
        f"Error: {web.url}/p.csv: cannot read: the server answered 503 Service Unavailable (tried 5 times)" in ran.err
    )
    assert len(web.asked) == 5


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            401,
            "the credentials are missing or not accepted (401 Unauthorized); set ~/.netrc, or headers in FSSPEC_HTTPS",
        ),
        (403, "access is denied (403 Forbidden); has a signed link expired?"),
        (404, "no such file (404 Not Found)"),
        (418, "cannot read: the server answered 418 I'm a Teapot"),
    ],
)
def test_refusals_are_told_at_once(status: int, said: str, run: Run, web: Server, files: Files) -> None:
    web.faults = {0: Answer(status, {}, b"<html>no</html>")}
    ran = run("compute", f"{web.url}/p.csv")
    assert (ran.code, ran.out, ran.err) == (4, "", f"Error: {web.url}/p.csv: {said}\n")
    assert len(web.asked) == 1


def test_a_server_that_sends_nothing_is_not_waited_for(
    run: Run, web: Server, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msecli.places import https

    monkeypatch.setenv("MSECLI_TIMEOUT", "0.2")
    https._filesystem.cache_clear()
    try:
        files.content = {"/p.csv": P}
        web.faults = dict.fromkeys(range(5), "stall")
        ran = run("compute", f"{web.url}/p.csv")
    finally:
        https._filesystem.cache_clear()
    assert (ran.code, ran.out) == (4, "")
    assert (
        ran.err == f"Error: {web.url}/p.csv: cannot read: the server did not send anything for 0.2 s (tried 5 times)\n"
    )


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_out_is_a_number(seconds: str, run: Run, web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from msecli.places import https

    https._filesystem.cache_clear()
    monkeypatch.setenv("MSECLI_TIMEOUT", seconds)
    ran = run("compute", f"{web.url}/p.csv")
    assert (ran.code, ran.err) == (4, f"Error: MSECLI_TIMEOUT: '{seconds}' is not a number of seconds\n")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/p.csv", "the server 127.0.0.1 cannot be reached"),
        ("http://no-such-host.invalid/p.csv", "the server's name no-such-host.invalid is not known"),
        ("https://", "this is not a valid URL"),
        ("https://host:x/p.csv", "this is not a valid URL"),
    ],
)
def test_servers_that_are_not_there(url: str, said: str, run: Run, web: Server) -> None:
    ran = run("compute", url)
    assert (ran.code, ran.out) == (4, "")
    assert f"Error: {url}: cannot read: {said}" in ran.err


def test_an_address_without_a_secure_connection_is_refused(run: Run, web: Server) -> None:
    url = web.url.replace("http:", "https:")
    ran = run("compute", f"{url}/p.csv")
    assert ran.code == 4
    assert f"{url}/p.csv: cannot read: the connection to 127.0.0.1 is not secure" in ran.err


@pytest.mark.parametrize("ranges", [True, False])
def test_an_empty_file_is_refused(ranges: bool, run: Run, web: Server, files: Files) -> None:
    files.content, files.ranges = {"/p.csv": b""}, ranges
    ran = run("compute", f"{web.url}/p.csv")
    assert (ran.code, ran.err) == (3, f"Error: {web.url}/p.csv: the file is empty (0 bytes)\n")


@pytest.mark.parametrize("tags", [True, False], ids=["tags", "size"])
def test_a_file_that_changes_meanwhile_is_refused(tags: bool, web: Server, files: Files) -> None:
    content = text_bytes({"yhat": numbers(100_000, 1)})
    files.content, files.tags = {"/p.csv": content}, tags
    file = open_input(f"{web.url}/p.csv")
    assert file.read(10, 0) == content[:10]
    files.content["/p.csv"] = content.replace(b"1", b"2") if tags else content + b"1\n"
    with pytest.raises(DataError, match="the file was changed while it was read; run again once it is complete"):
        file.read(100_000, 100_000)
    with pytest.raises(DataError, match="the file was changed while it was read"):
        file.verify()
    files.content["/p.csv"] = b"yhat\n"
    with pytest.raises(DataError, match="the file was changed while it was read"):
        file.read(100_000, 200_000)


def test_a_damaged_parquet_file_is_told_as_on_this_machine(web: Server, files: Files, run: Run, tmp_path: Path) -> None:
    good, path = (
        parquet_bytes({"y": numbers(3000, 1)}, row_group_size=1000, use_dictionary=False),
        tmp_path / "p.parquet",
    )
    codes = set()
    for place in range(4, len(good), len(good) // 40):
        damaged = good[:place] + bytes(value ^ 0xFF for value in good[place : place + 8]) + good[place + 8 :]
        files.content = {"/p.parquet": damaged}
        path.write_bytes(damaged)
        there, here = run("norm", f"{web.url}/p.parquet"), run("norm", path)
        assert there.code == here.code
        assert there.err.replace(web.url, "") == here.err.replace(str(tmp_path), "")
        codes.add(there.code)
    assert 3 in codes


def test_faults_of_servers_are_not_taken_for_damage(web: Server, files: Files, run: Run) -> None:
    files.content = {"/p.parquet": parquet_bytes({"y": numbers(200_000, 1)}, use_dictionary=False)}
    web.faults = {number: Answer(403) for number in range(2, 50)}
    ran = run("norm", f"{web.url}/p.parquet")
    assert (ran.code, ran.err) == (
        4, f"Error: {web.url}/p.parquet: access is denied (403 Forbidden); has a signed link expired?\n",
    )  # fmt: skip


def test_an_error_page_is_no_table(web: Server, files: Files, run: Run) -> None:
    files.content = {"/p.csv": b"<!DOCTYPE html><html>Please log in</html>"}
    ran = run("compute", f"{web.url}/p.csv")
    assert ran.code == 3
    assert f"{web.url}/p.csv: this is an HTML page, not a table of numbers" in ran.err


def test_manifests_earlier_results_and_states_are_read_from_servers_too(
    run: Run, web: Server, files: Files, tmp_path: Path
) -> None:
    files.content = {"/p.csv": P, "/t.csv": T}
    assert run("compute", f"{web.url}/p.csv", f"{web.url}/t.csv", "-o", tmp_path / "r.json").code == 0
    files.content["/old.json"] = (tmp_path / "r.json").read_bytes()
    ran = run(
        "compute", f"{web.url}/p.csv", f"{web.url}/t.csv", "--baseline", f"{web.url}/old.json", "--max-increase", "0"
    )
    assert (ran.code, ran.out) == (0, "1.3333333333333333\n")
    files.content["/runs.toml"] = b'[[run]]\nname = "one"\npredictions = "p.csv"\ntargets = "t.csv"\n'
    ran = run("batch", f"{web.url}/runs.toml", "--format", "plain")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "one\t1.3333333333333333")


def test_outputs_cannot_be_written_to_servers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"yhat,y\n1,2\n")
    ran = run("compute", tmp_path / "p.csv", "-o", "https://host/r.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "Error: https://host/r.json: nothing can be written there; "
        "write a file of this machine, or to s3://, gs://, abfs://\n"
    )


@pytest.mark.parametrize("scheme", ["https", "hf"])
def test_a_missing_library_is_told_with_its_extra(scheme: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in {"fsspec", "aiohttp"} or name in {
            "msecli.places.https",
            "msecli.places.fsspec_fs",
        }:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    ran = run("compute", f"{scheme}://host/p.csv")
    assert (ran.code, ran.err) == (
        4,
        f"Error: {scheme}://host/p.csv: {scheme}:// needs another library; run: pip install 'msecli[remote]'\n",
    )


def test_a_link_asks_for_ranges_with_a_user(web: Server, files: Files) -> None:
    files.content, files.user = {"/p.csv": P, "/t.csv": T}, "me:tomato"
    with pytest.raises(ReadWriteError, match="401 Unauthorized"):
        score(web, "p.csv", "t.csv")
    url = web.url.replace("http://", "http://me:tomato@")
    assert msecli.score(f"{url}/p.csv", f"{url}/t.csv", reduction="sum").loss == 4.0
