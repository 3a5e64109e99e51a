"""Ctrl-C from the first import on, and the command line called by a program that has its own signals and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from msecli.cli.main import main

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("library", ["click", "msecli.cli.main", "msecli.errors", "msecli.cli.grouped"])
@pytest.mark.parametrize("command", [["-m", "msecli"], ["-c", "from msecli.__main__ import main; main()"]])
def test_an_interrupt_while_a_library_is_loaded_has_no_traceback(
    tmp_path: Path, command: list[str], library: str
) -> None:
    # Python imports this module before anything else.
    (tmp_path / "sitecustomize.py").write_text(f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {library!r}:
            sys.meta_path.remove(self)
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
""")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    ran = subprocess.run(
        [sys.executable, *command, "--version"], env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "Error: interrupted\n")


def exit_code_of(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_a_caller_keeps_its_signal_handlers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.csv").write_text("pred,target\n1,2\n")

    def mine(*_: Any) -> None:
        pass

    before = signal.signal(signal.SIGTERM, mine), signal.getsignal(signal.SIGINT)
    try:
        assert exit_code_of("compute", str(tmp_path / "x.csv"), "-o", str(tmp_path / "o.txt")) == 0
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == (mine, before[1])
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert (tmp_path / "o.txt").read_text() == "1.0\n"


def test_it_can_be_called_in_a_thread(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.csv").write_text("pred,target\n1,3\n")
    codes: list[Any] = []
    thread = threading.Thread(target=lambda: codes.append(exit_code_of("compute", str(tmp_path / "x.csv"))))
    thread.start()
    thread.join()
    assert (codes, capfd.readouterr().out) == ([0], "4.0\n")


def test_what_a_caller_has_registered_for_the_exit_is_run(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("pred,target\n1,3\n")
    code = "import atexit; atexit.register(print, 'at exit'); from msecli.__main__ import main; main()"
    for words, ended, printed in ((["x.csv"], 0, "4.0\nat exit\n"), (["no.csv"], 4, "at exit\n")):
        ran = subprocess.run(
            [sys.executable, "-c", code, "compute", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stdout) == (ended, printed)
