"""Files that appear whole or not at all, and outputs that would destroy something."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from msecli.errors import ReadWriteError, UsageError
from msecli.outputs.files import Staging, check_outputs


class Stopped(BaseException):
    """What ends a block in the middle, as Ctrl-C does."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, content: bytes = b"new") -> None:
    with Staging(overwrite=True) as staging, staging.open(str(path)) as stream:
        stream.write(content)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    path.write_bytes(b"old")
    return path


def test_a_file_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with Staging(overwrite=True) as staging:
        with staging.open(str(path)) as stream:
            stream.write(b"new")
        assert not path.exists()
    assert contents(tmp_path) == {"x.json": b"new"}


def test_an_old_file_is_whole_until_the_end_of_the_block(tmp_path: Path, old: Path) -> None:
    with Staging(overwrite=True) as staging:
        with staging.open(str(old)) as stream:
            stream.write(b"new")
        assert old.read_bytes() == b"old"
    assert contents(tmp_path) == {"old.json": b"new"}


def test_a_reader_of_the_old_file_keeps_it(old: Path) -> None:
    with old.open("rb") as reader:
        write(old)
        assert reader.read() == b"old"


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt, SystemExit, Stopped])
@pytest.mark.parametrize("inside", [True, False])
def test_a_failed_block_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, old: Path, failure: type[BaseException], inside: bool
) -> None:
    def fail_in(staging: Staging) -> None:
        with staging.open(str(old)) as stream:
            stream.write(b"new")
            if inside:
                raise failure
        raise failure

    with pytest.raises((failure, ReadWriteError)), Staging(overwrite=True) as staging:
        fail_in(staging)
    assert contents(tmp_path) == {"old.json": b"old"}


def test_a_signal_right_behind_the_making_of_a_file_leaves_nothing(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = os.open

    def make_and_stop(path: str, *arguments: Any, **options: Any) -> int:
        descriptor = make(path, *arguments, **options)
        if not str(path).startswith(str(tmp_path)):
            return descriptor
        os.close(descriptor)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("os.open", make_and_stop)
        with pytest.raises(Stopped):
            write(old)
    assert contents(tmp_path) == {"old.json": b"old"}


def test_files_appear_together_or_not_at_all(tmp_path: Path, old: Path) -> None:
    def fail_in(staging: Staging) -> None:
        for name in ("first.npy", "old.json"):
            with staging.open(str(tmp_path / name)) as stream:
                stream.write(b"new")
        with staging.open(str(tmp_path / "third.npy")) as stream:
            stream.write(b"new")
            raise Stopped

    with pytest.raises(Stopped), Staging(overwrite=True) as staging:
        fail_in(staging)
    assert contents(tmp_path) == {"old.json": b"old"}


@pytest.mark.parametrize("call", ["replace", "fchmod"])
def test_what_the_system_refuses_is_told_with_the_name(
    tmp_path: Path, old: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{call}", refuse)
        with pytest.raises(ReadWriteError, match=r"old\.json: cannot write: Operation not permitted"):
            write(old)
    assert contents(tmp_path) == {"old.json": b"old"}


def test_a_missing_folder_is_told_with_the_name(tmp_path: Path) -> None:
    with pytest.raises(ReadWriteError, match=r"nowhere/x\.json: cannot write"):
        write(tmp_path / "nowhere" / "x.json")


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "x.json")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert mode(tmp_path / "x.json") == 0o666 & ~mask


@pytest.mark.parametrize("permissions", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_keeps_its_permissions(old: Path, permissions: int) -> None:
    old.chmod(permissions)
    write(old)
    assert (mode(old), old.read_bytes()) == (permissions, b"new")


@pytest.mark.parametrize("there", [True, False])
def test_through_a_link_its_file_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "real.json", tmp_path / "link.json"
    link.symlink_to(target)
    if there:
        target.write_bytes(b"old")
    write(link)
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["real.json"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 250 + ".json"))
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.json"))
    write(path)
    assert path.read_bytes() == b"new"


def test_a_name_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("x.json"))
    assert contents(tmp_path) == {"x.json": b"new"}


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    fifo, read = tmp_path / "x.json", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    check_outputs([("-o", str(fifo))], [], overwrite=False)
    write(fifo)
    reader.join(10)
    assert (read, stat.S_ISFIFO(fifo.stat().st_mode)) == ([b"new"], True)


def test_a_full_device_is_told_with_the_name(tmp_path: Path) -> None:
    link = tmp_path / "x.json"
    link.symlink_to("/dev/full")
    with pytest.raises(ReadWriteError, match=r"x\.json: cannot write: No space left"):
        write(link)


def check(option: str, path: Path | str, *inputs: Path, overwrite: bool = True) -> None:
    check_outputs([(option, str(path))], [str(entry) for entry in inputs], overwrite=overwrite)


def test_an_existing_file_is_replaced_only_where_said(old: Path) -> None:
    check("-o", old)
    with pytest.raises(UsageError, match=r"old\.json: the file exists; use --overwrite"):
        check("-o", old, overwrite=False)


def test_a_new_file_needs_no_permission(tmp_path: Path) -> None:
    check("-o", tmp_path / "x.json", overwrite=False)


@pytest.mark.parametrize("kind", ["itself", "another way to say it", "symlink", "hardlink", "linked folder"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_an_input_is_never_an_output(tmp_path: Path, old: Path, kind: str, overwrite: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    names: dict[str, Path | str] = {
        "itself": old,
        "another way to say it": f"{tmp_path}/folder/../old.json",
        "symlink": tmp_path / "link.json",
        "hardlink": tmp_path / "hard.json",
        "linked folder": tmp_path / "again" / "old.json",
    }
    (tmp_path / "link.json").symlink_to(old)
    (tmp_path / "hard.json").hardlink_to(old)
    with pytest.raises(UsageError, match=f"--grad {names[kind]}: this is also the input {old}"):
        check("--grad", names[kind], tmp_path / "other.csv", old, overwrite=overwrite)


def test_an_input_that_is_missing_is_left_to_the_reader(tmp_path: Path) -> None:
    check("-o", tmp_path / "x.json", tmp_path / "missing.csv")


@pytest.mark.parametrize("second", ["x.npy", "./x.npy", "link/x.npy"])
def test_two_outputs_are_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r"--grad-target .*x\.npy: this is also the file of --grad"):
        check_outputs([("--grad", "x.npy"), ("--grad-target", second)], [], overwrite=True)


def test_a_device_may_be_input_and_output() -> None:
    check_outputs([("-o", "/dev/null"), ("--grad", "/dev/null")], ["/dev/null"], overwrite=False)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ReadWriteError, match="folder"):
        check("-o", tmp_path)


@pytest.mark.parametrize("name", ["nowhere/x.json", "old.json/x.json", "nowhere/../nowhere/x.json"])
def test_a_missing_folder_is_named(tmp_path: Path, old: Path, name: str) -> None:
    with pytest.raises(ReadWriteError, match=f"there is no folder {tmp_path}/{name.split('/')[-2]}"):
        check("-o", f"{tmp_path}/{name}")


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write anywhere, so the system's answer is put in its mouth.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ReadWriteError, match=f"folder {tmp_path} is read-only"):
        check("-o", tmp_path / "x.json")
