"""Outputs for other programs: reports of CI servers, histories, annotations, summaries of limited size.

What they hold is tested in `tests/outputs`; here are the options, and what happens to files. The loss of x.csv is
(1 + 4) / 2 = 2.5.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msecli.errors import UsageError
from msecli.outputs.files import Staging
from tests.children import child

Run = Callable[..., Any]
NOTICE = "::notice title=x.csv%3A yhat vs y::loss 2.5\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder that holds x.csv."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("yhat,y\n1,2\n2,4\n")
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def losses(path: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("command", ["compute", "norm", "gradcheck"])
def test_every_command_has_them_all(run: Run, folder: Path, command: str) -> None:
    outputs = ("junit=r.xml", "dvc=m.json", "openmetrics=m.prom", "h.jsonl", "markdown=s.txt", "github=-")
    ran = run(command, "x.csv", *(word for output in outputs for word in ("-o", output)))
    assert (ran.code, ran.out.startswith("::notice title=")) == (0, True)
    assert names(folder) == {"x.csv", "r.xml", "m.json", "m.prom", "h.jsonl", "s.txt"}


# Standard output


def test_annotations_are_printed_below_the_result(run: Run) -> None:
    assert run("compute", "x.csv", "-o", "github=-").out == NOTICE
    assert run("compute", "x.csv", "-o", "github=-", "--format", "plain").out == f"2.5\n{NOTICE}"
    assert run("compute", "x.csv", "--format", "github").out == NOTICE


def test_annotations_of_failed_gates_are_errors(run: Run) -> None:
    ran = run("compute", "x.csv", "-o", "github=-", "--fail-if", "loss > 1")
    assert (ran.code, ran.out) == (5, "::error title=gate failed::x.csv: yhat vs y: loss 2.5 > 1\n")


@pytest.mark.parametrize("outputs", [("github=-", "junit=full", "o.json"), ("o.json", "junit=full", "github=-")])
def test_nothing_is_printed_where_a_file_cannot_be_written(run: Run, folder: Path, outputs: tuple[str, ...]) -> None:
    (folder / "full").symlink_to("/dev/full")
    ran = run("compute", "x.csv", *(word for output in outputs for word in ("-o", output)), "--format", "plain")
    assert (ran.code, ran.out, names(folder)) == (4, "", {"x.csv", "full"})


# Histories


def test_every_run_adds_a_line_with_the_time(run: Run, folder: Path) -> None:
    for _ in range(3):
        ran = run("compute", "x.csv", "-o", "h.jsonl", "--append")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert losses(folder / "h.jsonl") == [2.5] * 3
    time = datetime.fromisoformat(json.loads((folder / "h.jsonl").read_text().splitlines()[0])["time"])
    assert timedelta() <= datetime.now(UTC) - time < timedelta(minutes=5)


def test_only_histories_are_continued(run: Run, folder: Path) -> None:
    assert run("compute", "x.csv", "-o", "h.jsonl", "-o", "o.json").code == 0
    ran = run("compute", "x.csv", "-o", "h.jsonl", "-o", "o.json", "--append")
    assert (ran.code, "o.json: the file exists" in ran.err) == (2, True)
    assert run("compute", "x.csv", "-o", "h.jsonl").code == 2
    assert losses(folder / "h.jsonl") == [2.5]
    assert run("compute", "x.csv", "-o", "h.jsonl", "-o", "o.json", "--append", "--overwrite").code == 0
    assert losses(folder / "h.jsonl") == [2.5, 2.5]


def test_a_line_that_was_cut_off_stays_alone(run: Run, folder: Path) -> None:
    (folder / "h.jsonl").write_text('{"loss": 1}\n{"lo')
    assert run("compute", "x.csv", "-o", "jsonl=h.jsonl", "--append").code == 0
    lines = (folder / "h.jsonl").read_text().splitlines()
    assert lines[:2] == ['{"loss": 1}', '{"lo']
    assert json.loads(lines[2])["loss"] == 2.5


@pytest.mark.parametrize("old", [None, "", '{"loss": 1}\n'])
def test_a_history_stays_as_it_was_where_another_file_fails(run: Run, folder: Path, old: str | None) -> None:
    if old is not None:
        (folder / "h.jsonl").write_text(old)
    (folder / "full").symlink_to("/dev/full")
    before = names(folder)
    assert run("compute", "x.csv", "-o", "h.jsonl", "--append", "-o", "csv=full").code == 4
    assert names(folder) == before
    assert old is None or (folder / "h.jsonl").read_text() == old


def write_while_another_takes_a_name(folder: Path) -> None:
    with Staging() as staging:
        for name in ("old.jsonl", "new.jsonl"):
            with staging.append(name) as stream:
                stream.write(b"line\n")
        with staging.open("taken.csv") as stream:
            stream.write(b"csv\n")
        (folder / "taken.csv").write_text("another's")


def test_a_history_is_undone_where_a_name_is_taken_meanwhile(folder: Path) -> None:
    (folder / "old.jsonl").write_text("old\n")
    with pytest.raises(UsageError):
        write_while_another_takes_a_name(folder)
    assert names(folder) == {"x.csv", "old.jsonl", "taken.csv"}
    assert (folder / "old.jsonl").read_text() == "old\n"


def test_a_history_may_be_a_link(run: Run, folder: Path) -> None:
    (folder / "real.jsonl").write_text("")
    (folder / "link.jsonl").symlink_to("real.jsonl")
    assert run("compute", "x.csv", "-o", "link.jsonl", "--append").code == 0
    assert losses(folder / "real.jsonl") == [2.5]


def test_a_run_waits_for_another_that_adds_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def waited(file: int, how: int) -> None:
        (folder / "h.jsonl").write_text("another's, cut o")

    monkeypatch.setattr("fcntl.flock", waited)
    with Staging() as staging, staging.append("h.jsonl") as stream:
        stream.write(b"line\n")
    assert (folder / "h.jsonl").read_text() == "another's, cut o\nline\n"


def test_lines_of_runs_at_the_same_time_are_all_there_and_whole(folder: Path) -> None:
    script = (
        "import sys\nfrom msecli.outputs.files import Staging\n"
        "for number in range(50):\n"
        "    with Staging() as staging:\n"
        "        with staging.append('h.jsonl') as stream:\n"
        "            stream.write(sys.argv[1].encode() * 20000 + b'\\n')\n"
    )

    def write(letter: str) -> int:
        with child([sys.executable, "-c", script, letter], stderr=subprocess.PIPE) as process:
            return process.wait()

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(write, "abcd")) == [0] * 4
    lines = (folder / "h.jsonl").read_text().splitlines()
    assert sorted(lines) == sorted(letter * 20000 for letter in "abcd" for _ in range(50))


def test_a_line_holds_the_losses_of_elements_too(run: Run) -> None:
    document = json.loads(run("compute", "x.csv", "-r", "none", "-m", "mae", "--format", "jsonl").out)
    assert (document["values"], document["shape"], document["metrics"]) == ([1.0, 4.0], [2], {"mae": 1.5})


# Summaries


def test_a_summary_of_very_many_groups_stays_under_a_mebibyte_and_keeps_the_totals(run: Run, folder: Path) -> None:
    groups = 30_000
    rows = "".join(f"{number},1,0\n" for number in range(groups))
    (folder / "x.csv").write_text(f"g,yhat,y\n{rows}")
    command = ("compute", "x.csv", "-p", "yhat", "-t", "y", "--by", "g", "-o", "s.md")
    assert run(*command, "--fail-if", "loss[any] > 0").code == 5
    text = (folder / "s.md").read_bytes()
    assert 1 << 19 < len(text) < 1 << 20
    lines = text.decode().splitlines()
    written = sum(line.startswith("| group |") for line in lines)
    assert f"{groups - written:,} more rows; use --format csv or -o FILE" in lines
    assert [line.split(" | ")[0] for line in lines if line.startswith(("| pooled", "| macro"))] == [
        "| pooled",
        "| macro",
    ]
    assert lines[-1].startswith("`mse|")


def test_a_summary_of_very_many_elements_stays_under_a_mebibyte(run: Run, folder: Path) -> None:
    (folder / "x.csv").write_text("yhat,y\n" + "1.2345678,0\n" * 120_000)
    assert run("compute", "x.csv", "-r", "none", "-m", "mae", "-o", "s.md").code == 0
    text = (folder / "s.md").read_text()
    assert len(text) < 1 << 20
    written = text.count("1.52416")
    assert f"\n{120_000 - written:,} more rows; " in text
    assert "| mae | 1.23457 |" in text
