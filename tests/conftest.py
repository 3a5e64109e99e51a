"""Shared fixtures: the command line run in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from msecli.cli.main import main

ROOT = Path(__file__).parent.parent


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
