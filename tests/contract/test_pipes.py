"""Pipes as the shell makes them: read as they come, in little memory, without a file, and given up at once."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.children import child
from tests.fuzz.sizes import reading_in

Run = Callable[..., Any]

COMMAND = (sys.executable, "-m", "msecli")
PATIENCE = 60
ROWS = 1_000_000
LINES = b"".join(b"%d.25,%d,%s\n" % (row % 1000, row % 997, b"nesw"[row % 4 : row % 4 + 1]) for row in range(1000))
HEADER = b"yhat,y,side\n"


@contextmanager
def writing(writer: int, chunks: Iterator[bytes]) -> Iterator[None]:
    """Write to a pipe beside the block; whoever reads may stop."""

    def write() -> None:
        try:
            with os.fdopen(writer, "wb", buffering=0) as file:
                for chunk in chunks:
                    file.write(chunk)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE)


def rows(times: int) -> Iterator[bytes]:
    yield HEADER
    for _ in range(times):
        yield LINES


RECORDS = b",\n".join(
    b'{"yhat": %d.25, "y": %d, "side": "%s"}' % (row % 1000, row % 997, b"nesw"[row % 4 : row % 4 + 1])
    for row in range(1000)
)


class Text(NamedTuple):
    """The same thousand rows, over and over; `bad` follows a line end."""

    begin: bytes
    rows: bytes
    between: bytes
    end: bytes
    bad: bytes

    def times(self, times: int) -> Iterator[bytes]:
        """Yield the text of so many thousand rows."""
        yield self.begin + self.rows
        for _ in range(times - 1):
            yield self.between + self.rows
        yield self.end


TEXTS = {
    "csv": Text(HEADER, LINES, b"", b"", b"1,x,n\n"),
    "jsonl": Text(b"", RECORDS.replace(b",\n", b"\n") + b"\n", b"", b"", b'{"yhat": 1, "y": "x"}\n'),
    "json": Text(b"[\n", RECORDS, b",\n", b"\n]\n", b'{"yhat": 1, "y": "x"},\n'),
}
texts = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def piped(arguments: Callable[[list[str]], list[str]], *inputs: Iterator[bytes], **options: Any) -> Any:
    """Run msecli on pipes, whose names make the arguments; the first is also standard input."""
    pipes = [os.pipe() for _ in inputs]
    readers = [reader for reader, _ in pipes]
    with ExitStack() as stack:
        command = [*COMMAND, *arguments([f"/dev/fd/{reader}" for reader in readers])]
        process = stack.enter_context(
            child(
                command, stdin=readers[0], stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=readers, **options
            )
        )
        for reader in readers:
            os.close(reader)
        for (_, writer), chunks in zip(pipes, inputs, strict=True):
            stack.enter_context(writing(writer, chunks))
        out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


NOWHERE = {**os.environ, "TMPDIR": "/nonexistent"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("compute", "-", "FD1", "-p", "yhat", "-t", "y"),
        ("compute", "FD0", "FD1", "-p", "yhat", "-t", "y", "--by", "side"),
        ("norm", "FD0", "FD1", "-c", "yhat", "--no-row-check"),
    ],
    ids=" ".join,
)
@texts
def test_two_long_pipes_are_read_without_a_file(text: Text, arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"".join(text.times(1)))
    alone = [word if word != "-" and not word.startswith("FD") else str(tmp_path / "x") for word in arguments]
    expected = subprocess.run([*COMMAND, *alone], capture_output=True, check=True).stdout
    names = {f"FD{number}": number for number in range(2)}
    # Every thousand rows are the same, so that means of all of them are those of the file.
    done = piped(
        lambda fds: [fds[names[word]] if word in names else word for word in arguments],
        text.times(ROWS // 1000),
        text.times(ROWS // 1000),
        env=NOWHERE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    if arguments[0] == "compute":
        assert done.stdout == expected


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command and prints its peak memory; a process begins with the peak of the one that starts it."""


@texts
def test_a_long_pipe_needs_little_memory(text: Text) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-c", MEASURED, *COMMAND, "compute", "-"]
    # 60 MB of CSV, more of JSON, of which 8 are kept.
    with writing(writer, text.times(5 * ROWS // 1000)), child(command, stdin=reader, stdout=subprocess.PIPE) as process:
        os.close(reader)
        loss, peak = process.communicate(timeout=PATIENCE)[0].split()
    assert float(loss) > 0
    assert int(peak) < 150 * 1024


@pytest.mark.parametrize("sent", [b"", HEADER, HEADER + LINES * 1000], ids=["nothing", "a header", "rows"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_wait_for_a_pipe_ends(sent: bytes, jobs: int) -> None:
    reader, writer = os.pipe()
    command = [*COMMAND, "compute", "-", "--jobs", str(jobs)]
    with child(command, stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(reader)
        with os.fdopen(writer, "wb", buffering=0) as file:
            # More than a pipe holds has been taken once this returns.
            file.write(sent)
            deadline = time.monotonic() + PATIENCE
            while waits_for(process.pid) is False and time.monotonic() < deadline:
                time.sleep(0.05)
            begun = usage(process.pid)
            time.sleep(0.5)
            # A wait costs nothing.
            assert usage(process.pid) - begun < 0.2
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"Error: interrupted\n"


def waits_for(pid: int) -> bool:
    """Tell whether a process has done its work so far: all of its threads sleep, and it has loaded what it needs."""
    states = [Path(task, "stat").read_text().rpartition(") ")[2][0] for task in Path(f"/proc/{pid}/task").iterdir()]
    return set(states) == {"S"} and usage(pid) > 0.1


def usage(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@texts
def test_a_bad_line_is_named_far_behind_what_was_forgotten(text: Text) -> None:
    lines = b"".join([text.begin, *[text.rows + text.between] * 1000])

    def spoilt() -> Iterator[bytes]:
        yield lines
        yield text.bad
        yield text.rows + text.end

    line = lines.count(b"\n") + 1
    done = piped(lambda _: ["compute", "-", "-p", "yhat", "-t", "y"], spoilt(), env=NOWHERE)
    assert (done.returncode, done.stdout) == (3, b"")
    assert re.match(rf"Error: -, (row \d+ \()?line {line}\b", done.stderr.decode())


@texts
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_text_is_read_without_a_file(
    text: Text, compress: Callable[[bytes, int], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(compress(b"".join(text.times(ROWS // 2000)), 1))
    command = [*COMMAND, "compute", str(path), "-p", "yhat", "-t", "y"]
    done = subprocess.run(command, capture_output=True, check=False, env=NOWHERE)
    once = piped(lambda _: ["compute", "-", "-p", "yhat", "-t", "y"], text.times(1))
    assert (done.returncode, done.stdout, done.stderr) == (0, once.stdout, b"")


def test_bad_data_end_a_run_while_the_pipe_is_open() -> None:
    reader, writer = os.pipe()
    with child([*COMMAND, "compute", "-"], stdin=reader, stdout=-1, stderr=-1) as process:
        os.close(reader)
        with os.fdopen(writer, "wb", buffering=0) as file:
            file.write(HEADER + LINES * 200 + b"1,x,n\n" + LINES * 200)
            assert process.wait(PATIENCE) == 3
        assert process.stderr is not None
        assert b"-, line 200002: " in process.stderr.read()


def test_rows_are_read_slowly_as_they_come() -> None:
    def slowly() -> Iterator[bytes]:
        for byte in b"yhat,y\n1,2\n3,5\n":
            time.sleep(0.01)
            yield bytes([byte])

    done = piped(lambda _: ["compute", "-"], slowly())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"2.5\n", b"")


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_pipe_of_nothing_is_an_empty_stream(name: str) -> None:
    done = piped(lambda _: ["compute", name], iter([]))
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == f"Error: {name}: the stream is empty (0 bytes)\n".encode()


KEYED = b"id,yhat\n" + b"".join(b"%d,%d\n" % (row, row % 7) for row in range(3000))
TARGETS = b"id,y,w,g\n" + b"".join(
    b"%d,%d,%d,%s\n" % (row, row % 5, 1 + row % 3, b"ab"[row % 2 :][:1]) for row in range(3000)
)


def written(table: bytes, format: str) -> bytes:
    """Return a table of CSV in a format."""
    if format == "csv":
        return table
    records = [
        json.dumps({name: value if value.isalpha() else int(value) for name, value in row.items()})
        for row in csv.DictReader(table.decode().splitlines())
    ]
    return ("\n".join(records) if format == "jsonl" else "[" + ",\n".join(records) + "]").encode()


@pytest.mark.parametrize(
    "options",
    [
        ("--on", "id"),
        ("--on", "id", "--by", "g", "--batch-size", "100", "--shuffle", "1"),
        ("--by", "g", "-w", "w", "-m", "mae,r2"),
        ("--batch-size", "64", "--shuffle", "3", "--drop-last"),
        ("--by-bins", "y:3"),
        ("--on", "id", "--by-bins", "y:3", "--where", "y>1"),
        ("--worst", "3"),
        ("-r", "none"),
        ("--where", "y>1", "--batch-size", "64", "--drop-last"),
        ("--on", "id", "--where", "y>1", "--batch-size", "64", "--drop-last"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kept", [None, 2000])
@pytest.mark.parametrize("format", TEXTS)
def test_whatever_is_asked_of_pipes_is_as_of_files(
    options: tuple[str, ...], kept: int | None, format: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = {"p": written(KEYED, format), "t": written(TARGETS, format)}
    for name, content in inputs.items():
        Path(f"{name}.{format}").write_bytes(content)
    expected = run("compute", f"p.{format}", f"t.{format}", *options)
    assert expected.code == 0, expected.err
    sizes = {"part": 500, "head": 1000, "sample_rows": 9, **({"kept": kept} if kept else {})}
    monkeypatch.setattr("msecli.places.local.PIPE_BYTES", 300)
    os.mkfifo("p")
    os.mkfifo("t")
    feeders = [
        threading.Thread(target=lambda to, data: Path(to).write_bytes(data), args=each, daemon=True)
        for each in inputs.items()
    ]
    for feeder in feeders:
        feeder.start()
    with reading_in(sizes):
        ran = run("compute", "p", "t", *options)
    for feeder in feeders:
        feeder.join(PATIENCE)
    assert (ran.code, ran.out, ran.err) == (0, expected.out, expected.err)


def test_weights_and_systems_come_through_pipes(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_bytes(b"yhat\n1\n2\n")
    Path("t.csv").write_bytes(b"y\n2\n4\n")
    # (1 · 1 + 3 · 4) / 4
    assert run("compute", "p.csv", "t.csv", "--weight-file", "-", stdin=b"w\n1\n3\n").out == "3.25\n"
    Path("q.csv").write_bytes(b"yhat\n2\n3\n")
    for options in ((), ("--fail-fast",)):
        expected = run("compare", "p.csv", "q.csv", "t.csv", "--format", "json", *options)
        ran = run("compare", "p.csv", "-", "t.csv", "--format", "json", *options, stdin=b"yhat\n2\n3\n")
        assert (ran.code, ran.out) == (expected.code, expected.out.replace("q.csv", "-").replace('"q"', '"-"'))
