"""Which kernel is used, and how a user sees and chooses it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from msecli import UsageError, kernel

THERE = kernel._unavailable() is None


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(kernel.VARIABLE, raising=False)
    yield
    kernel._unavailable.cache_clear()


@pytest.fixture
def without_native(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the native module impossible to import, as where it was not built."""
    monkeypatch.setitem(sys.modules, "msecli.kernel._native", None)
    kernel._unavailable.cache_clear()


@pytest.mark.skipif(not THERE, reason="needs the native kernel")
def test_the_native_kernel_is_used_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel.name() == "native"
    assert getattr(kernel.chosen(), "__name__", "") == "msecli.kernel.native"
    monkeypatch.setenv(kernel.VARIABLE, "native")
    assert kernel.name() == "native"


@pytest.mark.usefixtures("without_native")
def test_otherwise_the_python_kernel_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel.name() == "python"
    assert getattr(kernel.chosen(), "__name__", "") == "msecli.kernel.python"
    monkeypatch.setenv(kernel.VARIABLE, "native")
    with pytest.raises(UsageError, match=r"^MSECLI_KERNEL=native: msecli was installed without its native kernel"):
        kernel.chosen()


@pytest.mark.parametrize("value", ["", "python"])
def test_the_environment_can_ask_for_python(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(kernel.VARIABLE, value)
    assert kernel.name() == ("python" if value or not THERE else "native")


def test_another_value_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.setenv(kernel.VARIABLE, "rust")
    for arguments in (["--version"], ["compute", "no.csv", "no.csv"]):
        ran = run(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == "Error: MSECLI_KERNEL=rust: there is no such kernel; choose from native, python\n"


@pytest.mark.usefixtures("without_native")
def test_a_kernel_that_is_not_there_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]) -> None:
    monkeypatch.setenv(kernel.VARIABLE, "native")
    ran = run("compute", "no.csv", "no.csv")
    assert ran.code == 2
    assert "installed without its native kernel" in ran.err


def test_the_version_and_results_say_which_one_it_is(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any], sample_data: Path
) -> None:
    monkeypatch.setenv(kernel.VARIABLE, "python")
    assert run("--version").out.endswith(" (kernel: python)\n")
    files = [sample_data / name for name in ("diabetes_ridge.csv", "diabetes_target.csv")]
    assert json.loads(run("compute", *files, "--format", "json").out)["kernel"] == "python"


def test_asking_for_the_name_loads_no_numpy() -> None:
    code = "import sys; from msecli import kernel; kernel.name(); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
