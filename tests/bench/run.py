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
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

# This process imports nothing large: a child begins with the peak memory of the process that starts it.

ROWS, RUNS = 10_000_000, 5
QUICK_ROWS, QUICK_RUNS = 200_000, 3
TOLERANCE = 1e-9
SIZES = (
    "a fifth if wide, shuffled or numbered, half if compressed; "
    "if large four times as many in Parquet, six times in NPY"
)
OURS = "msecli"
OUTPUT = "OUTPUT.npy"
"""Stands, in a command, for the file to which a tool writes its array."""
NEWLINE = "\n"
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

    def commands(self, folder: Path, scratch: Path) -> dict[str, Command]:
        """Return the whole command of every tool, ours first."""
        paths = {name: str(folder / name) for name in self.files}
        commands = {OURS: (MSECLI, *self.ours), **self.peers, **self.floors}
        return {
            tool: tuple(str(self.output(tool, scratch)) if word == OUTPUT else paths.get(word, word) for word in words)
            for tool, words in commands.items()
        }

    @property
    def writes(self) -> bool:
        """Whether the tools write an array."""
        return OUTPUT in self.ours

    def output(self, tool: str, scratch: Path) -> Path:
        """Return the file to which a tool writes its array."""
        return scratch / f"{tool}.npy"


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
QUOTING_TOOLS = TABLE_TOOLS[:3]
"""Those that read line ends in quotes without being told of them."""
CSV, PARQUET, NPY = (tuple(f"{side}.{suffix}" for side in ("pred", "target")) for suffix in ("csv", "parquet", "npy"))
SMALL, LARGE = ("small_pred.csv", "small_target.csv"), ("large_pred.npy", "large_target.npy")
LARGE_PARQUET = ("large_pred.parquet", "large_target.parquet")
ONE_CSV, WIDE_CSV, ONE_PARQUET = ("both.csv",), ("wide.csv",), ("both.parquet",)
SHUFFLED, SHUFFLED_CSV = (
    tuple(f"shuffled_{side}.{suffix}" for side in ("pred", "target")) for suffix in ("parquet", "csv")
)
NUMBERED, NUMBERED_CSV = (
    tuple(f"numbered_{side}.{suffix}" for side in ("pred", "target")) for suffix in ("parquet", "csv")
)
GZIPPED = ("pred.csv.gz", "target.csv.gz")
GROUPED, GROUPED_CSV, QUOTED_CSV = ("grouped.parquet",), ("grouped.csv",), ("quoted.csv",)
JOIN_TOOLS = ("pandas-merge", "polars-join", "duckdb-join")
GROUP_TOOLS = ("pandas-groups", "polars-groups", "duckdb-groups")
NAMED = ("-p", "pred", "-t", "target")


def unchecked(words: Command) -> dict[str, Command]:
    """Return our command without the check of rows, which need not read the column that both files have."""
    return {"without the row check": (MSECLI, *compute(*words, "--no-row-check"))}


def twin(words: Command) -> dict[str, Command]:
    """Return our command with the kernel in Python."""
    return {"msecli, kernel in Python": ("/usr/bin/env", "MSECLI_KERNEL=python", MSECLI, *compute(*words))}


def piped(program: str, words: Command) -> dict[str, Command]:
    """Return our command for files that a program writes to pipes."""
    inputs = " ".join(f'<({program} "${number}")' for number, _ in enumerate(words, 1))
    return {f"{program} and msecli": ("/bin/bash", "-c", f'"$0" compute {inputs}', MSECLI, *words)}


JOBS = (
    Job("csv-two-files", CSV, compute(*CSV), {**peers(CSV, *TABLE_TOOLS), **twin(CSV)}),
    Job("csv-one-file", ONE_CSV, compute(*ONE_CSV), peers(ONE_CSV, *TABLE_TOOLS)),
    Job("csv-wide", WIDE_CSV, compute(*WIDE_CSV, *NAMED), peers(WIDE_CSV, *TABLE_TOOLS)),
    Job("csv-quoted", QUOTED_CSV, compute(*QUOTED_CSV), peers(QUOTED_CSV, *QUOTING_TOOLS)),
    Job("csv-by-key", SHUFFLED_CSV, compute(*SHUFFLED_CSV, "--on", "id"), peers(SHUFFLED_CSV, *JOIN_TOOLS)),
    Job("csv-by-group", GROUPED_CSV, compute(*GROUPED_CSV, "--by", "group"), peers(GROUPED_CSV, *GROUP_TOOLS)),
    Job("csv-row-check", NUMBERED_CSV, compute(*NUMBERED_CSV), floors=unchecked(NUMBERED_CSV)),
    Job("gz", GZIPPED, compute(*GZIPPED), piped("gzip -dc", GZIPPED)),
    Job("pipe", CSV, compute(*CSV), piped("cat", CSV)),
    Job("parquet-row-check", NUMBERED, compute(*NUMBERED), floors=unchecked(NUMBERED)),
    Job("parquet-one-file", ONE_PARQUET, compute(*ONE_PARQUET), peers(ONE_PARQUET, *TABLE_TOOLS)),
    Job("parquet-two-files", PARQUET, compute(*PARQUET), peers(PARQUET, *TABLE_TOOLS)),
    Job("parquet-large", LARGE_PARQUET, compute(*LARGE_PARQUET), peers(LARGE_PARQUET, *TABLE_TOOLS)),
    Job("parquet-by-key", SHUFFLED, compute(*SHUFFLED, "--on", "id"), peers(SHUFFLED, *JOIN_TOOLS)),
    Job("parquet-by-group", GROUPED, compute(*GROUPED, "--by", "group"), peers(GROUPED, *GROUP_TOOLS)),
    Job("npy", NPY, compute(*NPY), peers(NPY, "numpy")),
    Job("npy-large", LARGE, compute(*LARGE), peers(LARGE, "numpy")),
    Job("npy-losses", NPY, compute(*NPY, "-r", "none", "-o", OUTPUT), peers((*NPY, OUTPUT), "numpy-losses")),
    Job("npy-gradient", NPY, compute(*NPY, "--grad", OUTPUT), peers((*NPY, OUTPUT), "numpy-gradient")),
    Job("csv-100-rows", SMALL, compute(*SMALL), peers(SMALL, *TABLE_TOOLS), floor("import numpy, click")),
    Job("version", (), ("--version",), floors=floor("import click")),
)


def spawn(command: Command, scratch: Path) -> Run:
    """Run a command to its end and measure that process alone."""
    said, complained = scratch / "stdout", scratch / "stderr"
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
        said.read_text(errors="replace").strip(),
        complained.read_text(errors="replace").strip(),
    )


def _megabytes(maxrss: int) -> float:
    """`ru_maxrss` is in bytes on macOS, in KiB elsewhere."""
    return maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def time_job(job: Job, runs: int, folder: Path, scratch: Path) -> Outcome:
    """Warm every tool up, run the ones that work alternately, and compare their answers."""
    commands = job.commands(folder, scratch)
    progress(f"{job.name}: warm-up")
    warm = {tool: _once(job, tool, commands[tool], scratch) for tool in commands}
    timed: dict[str, list[Run]] = {tool: [] for tool, run in warm.items() if not run.code}
    for number in range(1, runs + 1):
        progress(f"{job.name}: round {number} of {runs}")
        for tool, done in timed.items():
            done.append(_once(job, tool, commands[tool], scratch))
    everything = {tool: [run, *timed.get(tool, ())] for tool, run in warm.items()}
    problems = [*_failures(everything), *_disagreements(job, everything), *_differences(job, timed, scratch)]
    for tool in commands:
        job.output(tool, scratch).unlink(missing_ok=True)
    # Each once: what goes wrong in one run goes wrong in all.
    return Outcome(job, timed, list(dict.fromkeys(problems)))


def _once(job: Job, tool: str, command: Command, scratch: Path) -> Run:
    # Without the output of the run before: every tool writes a new file.
    job.output(tool, scratch).unlink(missing_ok=True)
    return spawn(command, scratch)


def _failures(runs: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    for tool, done in runs.items():
        for run in done:
            if run.code:
                yield f"{tool} failed with exit code {run.code}: {run.complained.rpartition(NEWLINE)[2]}"


def _disagreements(job: Job, runs: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Compare every answer of every tool with our first one."""
    expected = runs[OURS][0]
    for tool in (OURS, *job.peers) if job.peers and not expected.code else ():
        for run in runs[tool]:
            if not run.code and not agree(expected.said, run.said):
                yield f"{tool} answers {run.said!r}, {OURS} {expected.said!r}"


def _differences(job: Job, tools: Collection[str], scratch: Path) -> Iterator[str]:
    """Compare the last array of every peer with ours, in another process."""
    for tool in job.peers if job.writes and OURS in tools else ():
        if tool in tools:
            pair = str(job.output(OURS, scratch)), str(job.output(tool, scratch))
            compared = spawn((PYTHON, str(HERE / "data.py"), "difference", *pair), scratch)
            if compared.code or not float(compared.said) <= TOLERANCE:
                yield f"the arrays of {tool} and {OURS} differ: {compared.said or compared.complained}"


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


def compile_bytecode() -> None:
    """Compile msecli as its installation would; a checkout that is only read from may have no bytecode."""
    command = [PYTHON, "-c", "import compileall, msecli; compileall.compile_dir(msecli.__path__[0], quiet=1)"]
    os.waitpid(os.posix_spawn(PYTHON, command, os.environ), 0)


def render(outcomes: Sequence[Outcome], rows: int, runs: int) -> str:
    """Return the versions, the table, and what went wrong."""
    own_peak = _megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    lines = [
        f"{versions()}; {_cores()} cores; {rows:,} rows ({SIZES}); {runs} runs of each tool",
        "",
        "| job | tool | median wall s | msecli / peer | CPU s | peak MB |",
        "|---|---|--:|--:|--:|--:|",
        *(line for outcome in outcomes for line in _lines(outcome)),
        "",
        f"CPU is user + system, median. Peak is the largest of the runs; below {own_peak:.0f} MB it cannot be seen.",
        *(f"* {outcome.job.name}: {problem}" for outcome in outcomes for problem in outcome.problems),
    ]
    return "\n".join(lines) + "\n"


def _cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _lines(outcome: Outcome) -> Iterator[str]:
    walls = {tool: median(run.wall for run in runs) for tool, runs in outcome.runs.items()}
    for tool, runs in outcome.runs.items():
        ratio = f"{walls[OURS] / walls[tool]:.2f}" if OURS in walls else ""
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
    names = ", ".join(job.name for job in JOBS)
    parser.add_argument("--jobs-list", type=_jobs, default=JOBS, metavar="NAME,NAME", help=f"some of {names}")
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
    if not Path(MSECLI).exists():
        sys.exit(f"there is no {MSECLI}: pip install '.[bench]' with this Python first")
    folder = arguments.folder.resolve() / f"{arguments.rows}-rows"
    folder.mkdir(parents=True, exist_ok=True)
    generate(arguments.jobs_list, arguments.rows, folder)
    compile_bytecode()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        outcomes = [time_job(job, arguments.runs, folder, Path(scratch)) for job in arguments.jobs_list]
    sys.stdout.write(render(outcomes, arguments.rows, arguments.runs))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
