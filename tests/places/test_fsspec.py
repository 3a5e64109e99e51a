"""Files that fsspec finds by their URLs, and URLs that no place knows."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import msecli
from msecli.errors import ReadWriteError
from msecli.places import open_input, place_of, split_inner
from tests.places.servers import Answer, Asked, Files, Server

fsspec = pytest.importorskip("fsspec", reason="the extra remote")

Run = Callable[..., Any]

P = b"yhat\n1\n2\n3\n"
T = b"y\n1\n2\n5\n"


@pytest.fixture
def memory() -> Iterator[Any]:
    """Return a file system in memory with the files of one score."""
    system = fsspec.filesystem("memory")
    system.pipe_file("/box/p.csv", P)
    system.pipe_file("/box/t.csv", T)
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_any_file_system_of_fsspec_is_read(memory: Any, run: Run) -> None:
    ran = run("compute", "memory://box/p.csv", "memory://box/t.csv", "-r", "sum")
    assert (ran.code, ran.out, ran.err) == (0, "4.0\n", "")


def test_chained_urls_are_read(memory: Any, run: Run) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("in/p.csv", P)
    memory.pipe_file("/box/a.zip", stream.getvalue())
    ran = run("compute", "zip://in/p.csv::memory://box/a.zip", "memory://box/t.csv", "-r", "sum")
    assert (ran.code, ran.out) == (0, "4.0\n")


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("memory://box/nothing.csv", 4, "memory://box/nothing.csv: no such file"),
        ("memory://box", 4, "memory://box: this is a folder, not a file"),
        ("memory://box/empty.csv", 3, "memory://box/empty.csv: the file is empty (0 bytes)"),
    ],
)
def test_what_cannot_be_read_is_told(path: str, code: int, said: str, memory: Any, run: Run) -> None:
    memory.pipe_file("/box/empty.csv", b"")
    ran = run("compute", path)
    assert (ran.code, ran.out, ran.err) == (code, "", f"Error: {said}\n")


def test_an_unknown_scheme_is_told_with_those_that_are_known(run: Run) -> None:
    ran = run("compute", "memroy://box/p.csv")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith(
        "Error: memroy://box/p.csv: no place is called memroy://; did you mean memory://? There are "
    )
    assert " ftp, " in ran.err
    assert run("compute", "s4://box/p.csv").err.startswith("Error: s4://box/p.csv: no place is called s4://")


def test_a_library_that_fsspec_misses_is_told(run: Run) -> None:
    if importlib.util.find_spec("smbprotocol"):
        pytest.skip("it is there")
    ran = run("compute", "smb://host/share/p.csv")
    assert ran.code == 4
    assert 'SMB requires "smbprotocol" or "smbprotocol[kerberos]" installed' in ran.err


def test_a_file_system_that_fails_is_an_error_and_no_bug(
    memory: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the library has its own errors, with https://me:tomato@host/x?sig=soup")

    monkeypatch.setattr(type(memory), "info", fail)
    ran = run("compute", "memory://box/p.csv")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == (
        "Error: memory://box/p.csv: cannot read: the library has its own errors, with https://...@host/x?...\n"
    )


def test_a_connection_that_is_lost_is_tried_again_and_a_copy_that_has_no_room_is_not(
    memory: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if tried:
                return super().read(size)
            tried.append(size)
            raise ConnectionResetError("gone")

    tried: list[int | None] = []
    monkeypatch.setattr(type(memory), "open", lambda _, path, *__: Lost(P if "p.csv" in path else T))
    ran = run("compute", "memory://box/p.csv", "memory://box/t.csv", "-r", "sum")
    assert (ran.code, ran.out, len(tried)) == (0, "4.0\n", 1)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", "/nonexistent")
        ran = run("compute", "memory://box/p.csv")
    assert (ran.code, ran.err) == (
        4,
        "Error: memory://box/p.csv: cannot be copied to a temporary file: No such file or directory; see TMPDIR\n",
    )


def test_ranges_of_the_hub_are_read_as_they_are_needed(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # In place of the Hub: a file system that is told to read ranges well.
    from msecli.places import fsspec_fs

    monkeypatch.setattr(fsspec_fs, "RANGED", frozenset({"memory"}))
    content = b"yhat\n" + b"1.25\n" * 100_000
    memory.pipe_file("/box/long.csv", content)
    file = open_input("memory://box/long.csv")
    assert type(file).__name__ == "RemoteFile"
    assert b"".join(file.read(50_000, start) for start in range(0, file.size, 50_000)) == content
    file.verify()
    memory.pipe_file("/box/long.csv", content + b"1\n")
    with pytest.raises(msecli.DataError, match="the file was changed while it was read"):
        file.verify()


def test_urls_of_files_of_this_machine(tmp_path: Path, run: Run) -> None:
    (tmp_path / "p x.csv").write_bytes(P)
    (tmp_path / "t.csv").write_bytes(T)
    for start in ("file://", "FILE://localhost"):
        ran = run("compute", f"{start}{tmp_path}/p%20x.csv", tmp_path / "t.csv", "-r", "sum")
        assert (ran.code, ran.out, ran.err) == (0, "4.0\n", "")
    assert run("compute", tmp_path / "t.csv", tmp_path / "t.csv", "-o", f"file://{tmp_path}/r.json").code == 0
    assert (tmp_path / "r.json").exists()
    with pytest.raises(ReadWriteError, match="the file is on the machine elsewhere"):
        msecli.score(f"file://elsewhere{tmp_path}/t.csv", f"{tmp_path}/t.csv")


def test_a_file_whose_name_looks_like_a_url_is_a_file(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "box").mkdir(parents=True)
    (tmp_path / "s3:" / "box" / "p.csv").write_bytes(b"yhat,y\n1,3\n")
    assert run("compute", "s3://box/p.csv").out == "4.0\n"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("p.csv", "local"), ("-", "local"), ("a:b://c", "local"), ("FILE:///p.csv", "local"), ("s3://b/p", "s3"),
        ("S3A://b/p", "s3"), ("gcs://b/p", "gs"),
        ("abfss://c@a.dfs.core.windows.net/p", "abfs"), ("http://h/p", "https"),
        ("HTTPS://h/p", "https"), ("hf://datasets/a/b/p", "others"), ("what://p", "others"),
    ],
)  # fmt: skip
def test_each_path_has_a_place(path: str, place: str) -> None:
    assert place_of(path).name == place


def test_names_in_files_are_split_from_urls() -> None:
    assert split_inner("https://h/p.npz?sig=a::pred") == ("https://h/p.npz?sig=a", "pred")
    assert split_inner("zip://p.csv::https://h/a.zip") == ("zip://p.csv::https://h/a.zip", "")


def test_the_hub_is_read_by_ranges_with_the_token_of_the_environment() -> None:
    pytest.importorskip("huggingface_hub", reason="the extra remote")
    files = Files({"/p.csv": b"yhat\n" + b"1.5\n" * 60_000, "/t.csv": b"y\n" + b"1\n" * 60_000})

    def hub(asked: Asked) -> Answer:
        """Answer as the Hub does, as far as huggingface_hub 0.26 and 2.4 ask."""
        path = asked.path.partition("?")[0]
        found: Any = {
            "id": "me/box",
            "sha": "1",
            "siblings": [],
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        if path.startswith("/datasets/me/box/resolve/main/"):
            return files(asked._replace(path=path.removeprefix("/datasets/me/box/resolve/main")))
        if path != "/api/datasets/me/box":
            found = [
                {"type": "file", "path": name[1:], "size": len(content), "oid": "1"}
                for name, content in files.content.items()
                if "tree" in path or name[1:].encode() in asked.body
            ]
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    with Server(hub).running() as server:
        # The library reads the address when it is imported.
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.url,
            "HF_TOKEN": "hf_tomato",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        paths = [f"hf://datasets/me/box/{name}.csv" for name in ("p", "t")]
        ran = subprocess.run(
            [sys.executable, "-m", "msecli", "compute", *paths],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0.25\n", "")
    data = [each for each in server.asked if each.range]
    assert {each.headers["authorization"] for each in data} == {"Bearer hf_tomato"}
    assert sum(each.sent for each in data) == sum(map(len, files.content.values()))
