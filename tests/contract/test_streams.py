"""Standard input and pipes where a command reads its files several times: as good as the files themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]

TABLE = b"x,pred,target\n1,1.5,2\n2,3.25,5\n3,0.5,7\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d.csv").write_bytes(TABLE)
    (tmp_path / "coef.csv").write_text("c\n0.5\n")
    return tmp_path


PREDICTIONS = ["-p", "pred", "-t", "target", "--format", "json"]
MODEL = ["-x", "x", "-t", "target", "--format", "json"]


def test_a_gradient_is_checked_on_standard_input(run: Run, folder: Path) -> None:
    expected = run("gradcheck", folder / "d.csv", *PREDICTIONS)
    ran = run("gradcheck", "-", *PREDICTIONS, stdin=TABLE)
    assert (expected.code, ran.code, ran.err) == (0, 0, "")
    assert ran.out == expected.out


def test_a_model_is_checked_on_standard_input(run: Run, folder: Path) -> None:
    expected = run("gradcheck", folder / "d.csv", "--coef", folder / "coef.csv", *MODEL)
    assert expected.code == 0
    assert run("gradcheck", "-", "--coef", folder / "coef.csv", *MODEL, stdin=TABLE).out == expected.out
    assert run("gradcheck", folder / "d.csv", "--coef", "-", *MODEL, stdin=b"c\n0.5\n").out == expected.out


def test_a_gradient_is_checked_on_a_named_pipe(run: Run, folder: Path) -> None:
    expected = run("gradcheck", folder / "d.csv", *PREDICTIONS)
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes(TABLE), daemon=True)
    writer.start()
    ran = run("gradcheck", folder / "pipe", *PREDICTIONS)
    writer.join()
    assert (ran.code, ran.out) == (0, expected.out)


def test_standard_input_is_read_anew_by_the_next_run(run: Run, folder: Path) -> None:
    for error in (1.0, 2.0):
        np.save(folder / "p.npy", np.array([error, 0.0]))
        np.save(folder / "t.npy", np.zeros(2))
        ran = run("compute", "-", folder / "t.npy", stdin=(folder / "p.npy").read_bytes())
        assert ran.out == f"{error * error / 2}\n"
        assert run("gradcheck", "-", folder / "t.npy", stdin=(folder / "p.npy").read_bytes()).code == 0
    assert run("gradcheck", "-", *PREDICTIONS, stdin=b"").code == 3
