"""How real processes end: their exit codes, what they say, and what they leave behind.

The codes are those the README promises; 143 is the shell's word for SIGTERM. Whatever happens there is no traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msecli.errors import DataError, ReadWriteError, UsageError
from msecli.places.stream import KEPT_BYTES
from tests.children import child

Run = Callable[..., Any]
Completed = subprocess.CompletedProcess[bytes]

COMMAND = (sys.executable, "-m", "msecli")
TABLE = b"yhat,y\n1,2\n3,4\n"
PREDICTION, TARGET = b"yhat\n1\n3\n", b"y\n2\n4\n"
PATIENCE = 60
ROWS = 200_000
"""Of an array whose losses are more than a pipe holds."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of its own that holds x.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_bytes(TABLE)
    return tmp_path


@pytest.fixture
def big(folder: Path) -> Path:
    path = folder / "big.npy"
    np.save(path, np.arange(float(ROWS)) / 7)
    return path


def msecli(*arguments: object, **options: Any) -> Completed:
    """Run a process to its end."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, **options)


def shell(script: str, *arguments: object, **options: Any) -> Completed:
    """Run a process by a line of shell, in which "$@" is the command."""
    command = ["sh", "-c", script, "sh", *COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def assert_one_error(done: Completed, code: int, *words: str) -> None:
    message = done.stderr.decode().removeprefix("\n" if code == 130 else "")  # behind the ^C of a terminal
    assert (done.returncode, done.stdout) == (code, b""), message
    assert message.startswith("Error: ")
    assert message.count("Error: ") == 1
    assert "Traceback" not in message
    assert [word for word in words if word not in message] == []


@contextlib.contextmanager
def feeding(path: Path, content: bytes) -> Iterator[None]:
    """Write the content to a new named pipe, once, as soon as somebody reads from it."""

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb") as file:
            file.write(content)

    os.mkfifo(path)
    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        thread.join(5)


def until_read(pipe: Path, process: subprocess.Popen[bytes]) -> BinaryIO:
    """Return a named pipe, open to be written, as soon as the process has opened it."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
        time.sleep(0.01)
    process.kill()
    raise AssertionError(process.communicate())


# What the command line alone shows to be wrong.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compute", "x.csv", "-r", "bogus"), ("'bogus'", "mean")),
        (("compute", "x.csv", "--jobs", "0"), ("--jobs", "0")),
        (("compute", "x.csv", "--jobs", "two"), ("--jobs", "two")),
        (("compute", "x.csv", "--precision", "18"), ("--precision",)),
        (("compute", "x.csv", "--format", "npy"), ("--format", "npy")),
        (("compute", "x.csv", "--nan-policy", "drop"), ("--nan-policy", "omit")),
        (("compute", "x.csv", "--ignore-index", "x"), ("--ignore-index", "'x'")),
        (("compute", "x.csv", "--bogus"), ("--bogus",)),
        (("compute", "x.csv", "x.csv", "x.csv"), ("x.csv",)),
        (("bogus",), ("bogus",)),
    ],
)
def test_a_bad_value_is_a_usage_error(run: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert [word for word in words if word not in ran.err] == []
    assert ran.err.count("Error: ") == 1
    assert "Traceback" not in ran.err


def test_a_bad_value_in_the_environment_is_a_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSECLI_COMPUTE_REDUCTION", "bogus")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (2, "")
    assert "'bogus'" in ran.err


@pytest.mark.parametrize("option", ["--grad", "--grad-target"])
def test_none_has_no_gradient(run: Run, folder: Path, option: str) -> None:
    before = contents(folder)
    ran = run("compute", "x.csv", "-r", "none", option, "g.npy")
    assert (ran.code, ran.out, contents(folder)) == (2, "", before)
    assert ran.err.startswith("Error: ")


def test_a_bug_is_told_with_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("msecli.scoring.run.run", fail)
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (1, "")
    assert "RuntimeError: boom" in ran.err
    assert "bug in msecli" in ran.err


def test_every_error_of_the_library_keeps_its_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {UsageError: 2, DataError: 3, ReadWriteError: 4}
    for kind, code in codes.items():

        def fail(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("x.csv: why")

        monkeypatch.setattr("msecli.scoring.run.run", fail)
        ran = run("compute", "x.csv")
        assert (ran.code, ran.out, ran.err) == (code, "", "Error: x.csv: why\n")


# Standard output that cannot be written.


def almost(big: Path) -> Path:
    """Return a file of the same numbers but for the last, as equal files are warned of."""
    values = np.load(big)
    values[-1] += 1
    np.save(big.parent / "almost.npy", values)
    return big.parent / "almost.npy"


@pytest.mark.parametrize("format", ["plain", "csv", "tsv", "json", "markdown"])
def test_a_reader_that_has_seen_enough_ends_it_silently(big: Path, format: str) -> None:
    command = [*COMMAND, "compute", str(big), str(almost(big)), "-r", "none", "--format", format]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(PATIENCE)) == (b"", 141)


@pytest.mark.parametrize("arguments", [("compute", "x.csv"), ("--help",), ("compute", "--help"), ("--version",)])
def test_a_closed_pipe_ends_it_silently(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_through_head(big: Path) -> None:
    done = shell('{ "$@"; echo $? >&2; } | head -1', "compute", big, almost(big), "-r", "none")
    assert (done.stdout, done.stderr) == (b"0\n", b"141\n")


@pytest.mark.parametrize(
    "arguments", [("compute", "x.csv"), ("compute", "x.csv", "--format", "json"), ("--help",), ("--version",)]
)
def test_a_full_device_is_a_write_error(arguments: tuple[str, ...]) -> None:
    assert_one_error(shell('"$@" > /dev/full', *arguments), 4, "No space left")


def test_a_full_device_is_a_write_error_for_many_values(big: Path) -> None:
    assert_one_error(shell('"$@" > /dev/full', "compute", big, almost(big), "-r", "none"), 4, "No space left")


@pytest.mark.parametrize("arguments", [("compute", "x.csv")])
def test_standard_output_that_is_closed_is_a_write_error(arguments: tuple[str, ...]) -> None:
    assert_one_error(shell('"$@" >&-', *arguments), 4)


def test_with_an_output_file_standard_output_is_not_needed(folder: Path) -> None:
    done = shell('"$@" >&-', "compute", "x.csv", "-o", "o.txt")
    assert (done.returncode, done.stderr, (folder / "o.txt").read_bytes()) == (0, b"", b"1.0\n")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_the_result_does_not_need_standard_error(redirection: str) -> None:
    done = shell(f'"$@" {redirection}', "compute", "x.csv")
    assert (done.returncode, done.stdout) == (0, b"1.0\n")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>/dev/null"])
def test_an_error_keeps_its_code_where_nobody_hears_it(redirection: str) -> None:
    done = shell(f'"$@" {redirection}', "compute", "missing.csv")
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")


# Standard input and pipes.


def binary(format: str) -> bytes:
    stream = io.BytesIO()
    if format == "npy":
        np.save(stream, np.array([1.0, 3.0]))
    elif format == "parquet":
        pq.write_table(pa.table({"yhat": [1.0, 3.0]}), stream)
    else:
        return PREDICTION
    return stream.getvalue()


@pytest.mark.parametrize("format", ["csv", "npy", "parquet"])
@pytest.mark.parametrize("redirected", [True, False])
def test_standard_input_of_any_format(folder: Path, format: str, redirected: bool) -> None:
    (folder / "t.csv").write_bytes(TARGET)
    (folder / "in").write_bytes(binary(format))
    if redirected:
        done = shell('"$@" < in', "compute", "-", "t.csv")
    else:
        done = msecli("compute", "-", "t.csv", input=binary(format))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1.0\n", b"")


def test_standard_input_as_the_target(folder: Path) -> None:
    (folder / "p.csv").write_bytes(PREDICTION)
    assert msecli("compute", "p.csv", "-", input=TARGET).stdout == b"1.0\n"


def test_standard_input_twice_is_refused() -> None:
    assert_one_error(msecli("compute", "-", "-", input=PREDICTION), 2, "standard input")


@pytest.mark.parametrize("second", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_under_another_name_is_refused(second: str) -> None:
    assert_one_error(msecli("compute", "-", second, input=PREDICTION), 2)


def test_empty_standard_input_is_bad_data() -> None:
    assert_one_error(msecli("compute", "-", input=b""), 3, "-: ", "empty")


def test_bad_data_from_standard_input() -> None:
    assert_one_error(msecli("compute", "-", input=b"yhat,y\n1,2\n1,x\n3,3\n4,4\n"), 3, "-, line 3", "'x'")


def test_closed_standard_input_cannot_be_read() -> None:
    assert_one_error(shell('"$@" <&-', "compute", "-"), 4, "-: ")


def test_two_named_pipes(folder: Path) -> None:
    with feeding(folder / "p", PREDICTION), feeding(folder / "t", TARGET):
        done = msecli("compute", "p", "t")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1.0\n", b"")


def test_unnamed_pipes_of_the_shell(folder: Path) -> None:
    (folder / "t.csv").write_bytes(TARGET)
    reader, writer = os.pipe()
    os.write(writer, PREDICTION)
    os.close(writer)
    done = msecli("compute", f"/dev/fd/{reader}", "t.csv", pass_fds=[reader])
    os.close(reader)
    assert (done.returncode, done.stdout) == (0, b"1.0\n")


@pytest.mark.parametrize("second", ["pipe", "./pipe", "link"])
def test_the_same_named_pipe_twice_is_refused(folder: Path, second: str) -> None:
    (folder / "link").symlink_to("pipe")
    with feeding(folder / "pipe", PREDICTION):
        assert_one_error(msecli("compute", "pipe", second), 2, "pipe")


# Files that change, and files that cannot be written.


@pytest.mark.parametrize("change", ["append", "touch", "truncate", "rewrite"])
def test_a_file_that_changes_while_it_is_read_is_bad_data(folder: Path, change: str) -> None:
    prediction, pipe, old = folder / "p.csv", folder / "t", folder / "o.json"
    prediction.write_bytes(PREDICTION)
    old.write_bytes(b"old")
    changes: dict[str, Callable[[], object]] = {
        "append": lambda: prediction.write_bytes(PREDICTION + b"5\n"),
        "touch": lambda: os.utime(prediction, ns=(0, 1)),
        "truncate": lambda: os.truncate(prediction, 7),
        "rewrite": lambda: prediction.write_bytes(PREDICTION.replace(b"1", b"7")),
    }
    os.mkfifo(pipe)
    command = [*COMMAND, "compute", "p.csv", "t", "-o", "o.json", "--overwrite"]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        with until_read(pipe, process) as file:  # the target is opened after the prediction
            changes[change]()
            file.write(TARGET)
        out, err = process.communicate(timeout=PATIENCE)
    assert_one_error(subprocess.CompletedProcess(command, process.returncode, out, err), 3, "p.csv")
    assert old.read_bytes() == b"old"


def limited(size: int) -> dict[str, Any]:
    """Options for a process whose files may grow to this size only, as if the disk were full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return {"preexec_fn": limit}


@pytest.mark.parametrize("suffix", ["txt", "json", "csv", "tsv", "md", "npy", "parquet"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(folder: Path, suffix: str, old: bytes | None) -> None:
    if old is not None:
        (folder / f"o.{suffix}").write_bytes(old)
    before = contents(folder)
    done = msecli("compute", "x.csv", "-o", f"o.{suffix}", "--overwrite", **limited(2))
    assert_one_error(done, 4, f"o.{suffix}", "cannot write", "too large")
    assert contents(folder) == before


@pytest.mark.parametrize("suffix", ["txt", "json", "csv", "tsv", "npy", "parquet"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(big: Path, folder: Path, suffix: str) -> None:
    (folder / f"o.{suffix}").write_bytes(b"old")
    np.save(folder / "noise.npy", np.random.default_rng(0).normal(size=ROWS))
    before = contents(folder)
    # Enough for nearly all of the file, and not for its end.
    limit = (8 if suffix in ("npy", "parquet") else 9) * ROWS
    losses = ("-r", "none", "-o", f"o.{suffix}", "--overwrite")
    assert_one_error(msecli("compute", big, "noise.npy", *losses, **limited(limit)), 4, f"o.{suffix}", "too large")
    assert contents(folder) == before


@pytest.mark.parametrize("options", [("--nan-target", "omit", "--grad", "o.npy"), ("-r", "none")])
def test_no_room_for_temporary_values_is_a_write_error(big: Path, folder: Path, options: tuple[str, ...]) -> None:
    """The divisor of a gradient is known at the end where targets may be missing, and long output has to wait."""
    np.save(folder / "noise.npy", np.random.default_rng(0).normal(size=ROWS))
    before = contents(folder)
    assert_one_error(msecli("compute", big, "noise.npy", *options, **limited(1000)), 4, "too large")
    assert contents(folder) == before


def test_no_room_for_a_copy_of_standard_input_is_a_read_error(folder: Path) -> None:
    np.save(folder / "long.npy", np.zeros(KEPT_BYTES // 8 + 1))
    long = (folder / "long.npy").read_bytes()
    assert_one_error(msecli("compute", "-", "long.npy", input=long, **limited(1000)), 4, "-: ", "too large", "TMPDIR")


# The disk is full at the end of a record: the rest must not be missed in silence.
LONG = b"yhat,y\n" + b"1,2\n" * (KEPT_BYTES // 8) + b"1,9\n" * (KEPT_BYTES // 8)
ROOM = len(LONG) // 2
TWICE = ("--batch-size", "1000", "--shuffle", "1")


def test_room_for_half_a_copy_of_standard_input_is_a_read_error() -> None:
    assert_one_error(msecli("compute", "-", *TWICE, input=LONG, **limited(ROOM)), 4, "-: ", "too large")


def test_room_for_half_a_copy_of_a_pipe_is_a_read_error(folder: Path) -> None:
    with feeding(folder / "pipe", LONG):
        assert_one_error(msecli("compute", "pipe", *TWICE, **limited(ROOM)), 4, "pipe", "too large")


@pytest.mark.parametrize("room", [0, ROOM])
def test_room_for_half_a_copy_in_another_encoding_is_a_read_error(folder: Path, room: int) -> None:
    (folder / "u.csv").write_bytes(LONG.decode().encode("utf-16"))
    done = msecli("compute", "u.csv", "--encoding", "utf-16", *TWICE, **limited(room))
    assert_one_error(done, 4, "u.csv")


def test_what_is_read_once_needs_no_room(folder: Path) -> None:
    (folder / "u.csv").write_bytes(LONG.decode().encode("utf-16"))
    # As many errors of 1 as of 8.
    for arguments in (("u.csv", "--encoding", "utf-16"), ("-",)):
        done = msecli("compute", *arguments, input=LONG, **limited(0))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"32.5\n", b"")


@pytest.mark.parametrize("suffix", ["txt", "json", "csv", "tsv", "md", "npy", "parquet"])
def test_an_output_on_a_full_device_is_a_write_error(folder: Path, suffix: str) -> None:
    (folder / f"o.{suffix}").symlink_to("/dev/full")
    assert_one_error(msecli("compute", "x.csv", "-o", f"o.{suffix}"), 4, f"o.{suffix}", "No space left")


def test_a_failed_gradient_keeps_the_result_from_being_written(folder: Path) -> None:
    (folder / "g.npy").symlink_to("/dev/full")
    assert_one_error(msecli("compute", "x.csv", "--grad", "g.npy", "-o", "o.json"), 4, "g.npy")
    assert not (folder / "o.json").exists()


# Signals.


def stopped_while_reading(number: signal.Signals, *arguments: str) -> Completed:
    """Send a signal to a process that waits for its input."""
    os.mkfifo("pipe")
    command = [*COMMAND, "compute", "x.csv", "pipe", *arguments]
    with (
        child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
        until_read(Path("pipe"), process),
    ):
        time.sleep(0.1)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize("arguments", [(), ("-o", "old.json", "--overwrite"), ("--grad", "g.npy")])
def test_an_interrupt_while_reading(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "old.json").write_bytes(b"old")
    before = contents(folder)
    done = stopped_while_reading(signal.SIGINT, *arguments)
    assert_one_error(done, 130, "interrupted")
    assert contents(folder) == before


def test_a_termination_while_reading(folder: Path) -> None:
    (folder / "old.json").write_bytes(b"old")
    before = contents(folder)
    done = stopped_while_reading(signal.SIGTERM, "-o", "old.json", "--overwrite")
    assert (done.returncode, done.stdout, done.stderr) == (143, b"", b"")
    assert contents(folder) == before


def stopped_while_writing(number: signal.Signals, folder: Path) -> Completed | None:
    """Send a signal to a process as soon as there is output in its file; None if it was faster."""
    command = [*COMMAND, "compute", "large.npy", "large.npy", "-r", "none", "-o", "old.csv", "--overwrite"]
    with child(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while process.poll() is None and not any(path.stat().st_size for path in folder.glob(".old.csv*")):
            time.sleep(0.001)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        return None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_writing_leaves_the_old_file_and_nothing_else(
    folder: Path, number: signal.Signals, code: int
) -> None:
    np.save(folder / "large.npy", np.arange(4e6) / 7)
    (folder / "old.csv").write_bytes(b"old")
    before = sorted(path.name for path in folder.iterdir())
    done = stopped_while_writing(number, folder)
    assert done is not None
    assert (done.returncode, done.stdout, b"Traceback" in done.stderr) == (code, b"", False)
    assert (folder / "old.csv").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == before


# Names that are no text.


def test_a_name_that_is_not_utf8_is_read_and_told(folder: Path) -> None:
    name = b"\xff.csv"
    (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(TABLE)
    assert msecli("compute", os.fsdecode(name)).stdout == b"1.0\n"
    done = msecli("compute", os.fsdecode(name), "--format", "json")
    assert (done.returncode, b'"loss": 1.0' in done.stdout) == (0, True)
    assert_one_error(msecli("compute", os.fsdecode(b"\xfe.csv")), 4, "no such file")
