"""Shared fixtures: the command line run in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from msecli.cli.main import main

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the tests in `tests/fuzz`; only those of this folder are known wherever pytest starts."""
    group = parser.getgroup("fuzz", "random cases against references")
    group.addoption("--fuzz-cases", type=int, metavar="N", help="how many cases of each test; a few hundred")
    group.addoption("--fuzz-seed", default="1", metavar="S", help="the cases of another seed are others (default 1)")
    group.addoption("--fuzz-case", type=int, metavar="N", help="only the case of this number")
    parser.addoption("--faults", action="store_true", help="also the minutes of faults in clusters")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of many faults unless they are asked for."""
    if not config.getoption("--faults"):
        for item in items:
            if item.get_closest_marker("faults"):
                item.add_marker(pytest.mark.skip(reason="many faults in clusters; use --faults"))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Return a function that runs `msecli` with arguments, and standard input from bytes."""

    def run_command(*arguments: object, stdin: bytes = b"") -> Ran:
        capfdbinary.readouterr()
        stream = io.TextIOWrapper(io.BytesIO(stdin))
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert isinstance(exit_info.value.code, int)
        return Ran(exit_info.value.code, out.decode(), err.decode())

    return run_command


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Return the folder of the sample files."""
    return ROOT / "sample_data"
