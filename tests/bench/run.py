"""Time whole processes of msecli and of its peers, alternately, on the same files.

    python tests/bench/run.py                              every job on 10 million rows, five rounds
    python tests/bench/run.py --quick                      a minute's version of it
    python tests/bench/run.py --jobs-list csv-wide,npy     some of the jobs

Prints a Markdown table; progress goes to standard error. The exit code is 1 if a process failed or answers disagreed.
A new job is one entry in JOBS; a new file is one entry in data.FILES, a new peer one in peers.PEERS.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

# This process imports nothing large: a child begins with the peak memory of the process that starts it.

ROWS, RUNS = 10_000_000, 5
QUICK_ROWS, QUICK_RUNS = 200_000, 3
TOLERANCE = 1e-9
OURS = "msecli"
OUTPUT = "OUTPUT.npy"
"""Stands, in a command, for the file to which a tool writes its array."""
PACKAGES = ("numpy", "pyarrow", "pandas", "polars", "duckdb", "scikit-learn", "msecli")

HERE = Path(__file__).parent
PYTHON = sys.executable
MSECLI = str(Path(sysconfig.get_path("scripts"), "msecli"))

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """Something to compute from files, and who computes it.

    Parameters
    ----------
    name : str
    files : tuple of str
        Names in data.FILES. Where they occur in a command, they become paths.
    ours : tuple of str
        The arguments of msecli.
    peers : mapping of name to tuple of str
        Commands of other tools, whose answers must agree with ours.
    floors : mapping of name to tuple of str
        Commands that do only a part of the job: timed, and not asked for an answer.
    """

    name: str
    files: Command
    ours: Command
    peers: Mapping[str, Command] = field(default_factory=dict)
    floors: Mapping[str, Command] = field(default_factory=dict)

    def commands(self, folder: Path) -> dict[str, Command]:
        """Return the whole command of every tool, ours first."""
        commands = {OURS: (MSECLI, *self.ours), **self.peers, **self.floors}
        return {tool: tuple(self._path(word, tool, folder) for word in words) for tool, words in commands.items()}

    @property
    def writes(self) -> bool:
        """Whether the tools write an array."""
        return OUTPUT in self.ours

    def output(self, tool: str, folder: Path) -> Path:
        """Return the file to which a tool writes its array."""
        return folder / f"output-{self.name}-{tool}.npy"

    def _path(self, word: str, tool: str, folder: Path) -> str:
        if word == OUTPUT:
            return str(self.output(tool, folder))
        return str(folder / word) if word in self.files else word


@dataclass(frozen=True, slots=True)
class Run:
    """One process: its seconds of wall clock and of CPU, its peak memory in MB, and what it said."""

    wall: float
    cpu: float
    peak: float
    code: int
    said: str
    complained: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: the timed runs of each tool, and what went wrong."""

    job: Job
    runs: Mapping[str, Sequence[Run]]
    problems: Sequence[str]


def compute(*words: str) -> Command:
    """Return the arguments of `msecli compute`."""
    return ("compute", *words)


def peers(words: Command, *names: str) -> dict[str, Command]:
    """Return commands that give the same words to members of peers.PEERS."""
    return {name: (PYTHON, str(HERE / "peers.py"), name, *words) for name in names}


def floor(statement: str) -> dict[str, Command]:
    """Return the command that runs one statement of Python."""
    return {f"`{statement}`": (PYTHON, "-c", statement)}


TABLE_TOOLS = ("pandas+scikit-learn", "polars", "duckdb", "pyarrow")
CSV, PARQUET, NPY = (tuple(f"{side}.{suffix}" for side in ("pred", "target")) for suffix in ("csv", "parquet", "npy"))
SMALL = ("small_pred.csv", "small_target.csv")
ONE_CSV, WIDE_CSV, ONE_PARQUET = ("both.csv",), ("wide.csv",), ("both.parquet",)
NAMED = ("-p", "pred", "-t", "target")

JOBS = (
    Job("csv-two-files", CSV, compute(*CSV), peers(CSV, *TABLE_TOOLS)),
    Job("csv-one-file", ONE_CSV, compute(*ONE_CSV), peers(ONE_CSV, *TABLE_TOOLS)),
    Job("csv-wide", WIDE_CSV, compute(*WIDE_CSV, *NAMED), peers(WIDE_CSV, *TABLE_TOOLS)),
    Job("parquet-one-file", ONE_PARQUET, compute(*ONE_PARQUET), peers(ONE_PARQUET, *TABLE_TOOLS)),
    Job("parquet-two-files", PARQUET, compute(*PARQUET), peers(PARQUET, *TABLE_TOOLS)),
    Job("npy", NPY, compute(*NPY), peers(NPY, "numpy")),
    Job("npy-losses", NPY, compute(*NPY, "-r", "none", "-o", OUTPUT), peers((*NPY, OUTPUT), "numpy-losses")),
    Job("npy-gradient", NPY, compute(*NPY, "--grad", OUTPUT), peers((*NPY, OUTPUT), "numpy-gradient")),
    Job("csv-100-rows", SMALL, compute(*SMALL), peers(SMALL, *TABLE_TOOLS), floor("import numpy, pyarrow.csv")),
    Job("version", (), ("--version",), floors=floor("import click")),
)


def spawn(command: Command, folder: Path) -> Run:
    """Run a command to its end and measure that process alone."""
    said, complained = folder / "stdout", folder / "stderr"
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(said), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(complained), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MSECLI_")}
    start = time.perf_counter()
    process = os.posix_spawn(command[0], command, environment, file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - start
    return Run(
        wall,
        usage.ru_utime + usage.ru_stime,
        _megabytes(usage.ru_maxrss),
        os.waitstatus_to_exitcode(status),
        said.read_text(errors="replace"),
        complained.read_text(errors="replace"),
    )


def _megabytes(maxrss: int) -> float:
    """`ru_maxrss` is in bytes on macOS, in KiB elsewhere."""
    return maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def time_job(job: Job, runs: int, folder: Path) -> Outcome:
    """Warm every tool up, then run the ones that work alternately, and compare their answers."""
    commands = job.commands(folder)
    warm = {tool: _once(job, tool, commands[tool], folder) for tool in commands}
    problems = [f"{tool} failed: {_reason(run)}" for tool, run in warm.items() if run.code]
    timed: dict[str, list[Run]] = {tool: [] for tool, run in warm.items() if not run.code}
    for number in range(1, runs + 1):
        progress(f"{job.name}: round {number} of {runs}")
        for tool, done in timed.items():
            done.append(_once(job, tool, commands[tool], folder))
    problems += [
        f"{tool} failed: {_reason(run)}" for tool, done in timed.items() for run in done if run.code
    ] or list(_disagreements(job, timed, folder))
    for tool in commands:
        job.output(tool, folder).unlink(missing_ok=True)
    return Outcome(job, timed, problems)


def _once(job: Job, tool: str, command: Command, folder: Path) -> Run:
    # Without the output of the run before: every tool writes a new file.
    job.output(tool, folder).unlink(missing_ok=True)
    return spawn(command, folder)


def _reason(run: Run) -> str:
    lines = run.complained.strip().splitlines()
    return f"exit code {run.code}: {lines[-1] if lines else 'no message'}"


def _disagreements(job: Job, timed: Mapping[str, Sequence[Run]], folder: Path) -> Iterator[str]:
    """Compare every answer of every peer with our first one, and the last array of each peer with ours."""
    if OURS not in timed:
        return
    for tool in (OURS, *job.peers):
        expected = timed[OURS][0].said
        for run in timed.get(tool, ()) if job.peers else ():
            if not agree(expected, run.said):
                yield f"{tool} answers {run.said.strip()!r}, {OURS} {expected.strip()!r}"
        if job.writes and tool in timed and tool != OURS:
            ours, theirs = job.output(OURS, folder), job.output(tool, folder)
            compared = spawn((PYTHON, str(HERE / "data.py"), "difference", str(ours), str(theirs)), folder)
            if compared.code or not float(compared.said) <= TOLERANCE:
                yield f"the arrays of {tool} and {OURS} differ: {compared.said.strip() or _reason(compared)}"


def agree(expected: str, said: str) -> bool:
    """Whether two answers have the same labels, and equal values within the tolerance."""
    left, right = _values(expected), _values(said)
    return left.keys() == right.keys() and all(
        math.isclose(left[label], right[label], rel_tol=TOLERANCE) for label in left
    )


def _values(said: str) -> dict[str, float]:
    """Read lines of a value, or of a label, a tab and a value."""
    try:
        return {label: float(value) for label, _, value in (line.rpartition("\t") for line in said.splitlines())}
    except ValueError:
        return {said: math.nan}


def generate(jobs: Sequence[Job], rows: int, folder: Path) -> None:
    """Have another process write the files that are not there yet."""
    names = dict.fromkeys(name for job in jobs for name in job.files)
    command = [PYTHON, str(HERE / "data.py"), "write", str(folder), str(rows), *names]
    _, status = os.waitpid(os.posix_spawn(PYTHON, command, os.environ), 0)
    if status:
        sys.exit("cannot write the files of the benchmark")


def render(outcomes: Sequence[Outcome], rows: int, runs: int) -> str:
    """Return the versions, the table, and what went wrong."""
    lines = [
        f"{versions()}, {len(os.sched_getaffinity(0))} cores. {rows:,} rows (csv-wide: a fifth), {runs} alternate runs.",
        "",
        "| job | tool | median wall s | msecli / peer | CPU s | peak MB |",
        "|---|---|--:|--:|--:|--:|",
        *(line for outcome in outcomes for line in _lines(outcome)),
        "",
        f"CPU is user + system, median; peak memory is the largest of the runs, and {_own_peak():.0f} MB if smaller.",
        *(f"* {outcome.job.name}: {problem}" for outcome in outcomes for problem in outcome.problems),
    ]
    return "\n".join(lines) + "\n"


def _own_peak() -> float:
    return _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _lines(outcome: Outcome) -> Iterator[str]:
    walls = {tool: median(run.wall for run in runs) for tool, runs in outcome.runs.items()}
    for tool, runs in outcome.runs.items():
        ratio = f"{walls[OURS] / walls[tool]:.2f}" if OURS in walls else "–"
        cpu, peak = median(run.cpu for run in runs), max(run.peak for run in runs)
        yield f"| {outcome.job.name} | {tool} | {walls[tool]:.3f} | {ratio} | {cpu:.2f} | {peak:.0f} |"


def versions() -> str:
    """Return the versions of everything that takes part."""
    # Here, after the measuring, because it would make this process larger.
    from importlib.metadata import PackageNotFoundError, version

    found = [f"python {sys.version.split()[0]}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} missing")
    return ", ".join(found)


def progress(message: str) -> None:
    """Say on standard error how far the benchmark is."""
    sys.stderr.write(f"{message}\n")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time msecli and its peers side by side.")
    parser.add_argument("--rows", type=_positive, help=f"rows of the files [default: {ROWS:,}]")
    parser.add_argument("--runs", type=_positive, help=f"timed runs of each tool [default: {RUNS}]")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} rows and {QUICK_RUNS} runs")
    default = Path(tempfile.gettempdir(), "msecli-bench")
    parser.add_argument("--folder", type=Path, default=default, help=f"where the files are kept [default: {default}]")
    parser.add_argument("--jobs-list", type=_jobs, default=JOBS, metavar="NAME,…", help=", ".join(job.name for job in JOBS))
    arguments = parser.parse_args()
    arguments.rows = arguments.rows or (QUICK_ROWS if arguments.quick else ROWS)
    arguments.runs = arguments.runs or (QUICK_RUNS if arguments.quick else RUNS)
    return arguments


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _jobs(text: str) -> tuple[Job, ...]:
    wanted = text.split(",")
    known = {job.name: job for job in JOBS}
    if unknown := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"no job {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def main() -> int:
    """Write the files, time the jobs, print the table."""
    arguments = parse()
    folder = arguments.folder.resolve() / f"{arguments.rows}-rows"
    folder.mkdir(parents=True, exist_ok=True)
    generate(arguments.jobs_list, arguments.rows, folder)
    outcomes = [time_job(job, arguments.runs, folder) for job in arguments.jobs_list]
    sys.stdout.write(render(outcomes, arguments.rows, arguments.runs))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
