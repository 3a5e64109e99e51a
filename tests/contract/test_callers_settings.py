"""What the calling process has set, NumPy's error handling or the processor's, changes no result.

Expected values of sums and quotients are exact powers of ten, as Python reads them, and hand arithmetic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli

NUMBERS = [1e-200, 1e-310, 1e200, 3.0]
ZEROS = [0.0] * 4

CALLS: dict[str, Callable[[], Any]] = {
    "mean": lambda: msecli.mse_loss(NUMBERS, ZEROS),
    "none": lambda: msecli.mse_loss(NUMBERS, ZEROS, reduction="none"),
    "weighted none": lambda: msecli.mse_loss(NUMBERS, ZEROS, reduction="none", weight=NUMBERS),
    "gradient": lambda: msecli.mse_loss_grad(NUMBERS, ZEROS, weight=NUMBERS),
    "module": lambda: (loss := msecli.MSELoss(weight=NUMBERS))(NUMBERS, ZEROS) and loss.backward(),
    "model": lambda: msecli.linear_loss(NUMBERS, ZEROS, [1e-200], [1e-310], weight=NUMBERS, l1=1e-300, l2=1e-300),
    "penalty": lambda: msecli.penalty(NUMBERS, l1=1e-300, l2=1e-300),
    "norm": lambda: [msecli.vector_norm(NUMBERS, ord=order) for order in (1, 1.5, 2, 3, np.inf)],
    "single precision": lambda: msecli.mse_loss(np.array([1e-40, 1.0], dtype=np.float32), [0.0, np.longdouble(1e-320)]),
}


@pytest.fixture
def raising() -> Iterator[None]:
    before = np.seterr(all="raise")
    yield
    np.seterr(**before)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    return {name: call() for name, call in CALLS.items()}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("raising")
def test_arrays_are_scored_where_numpy_was_told_to_raise(name: str, undisturbed: dict[str, Any]) -> None:
    np.testing.assert_equal(repr(CALLS[name]()), repr(undisturbed[name]))
    assert np.geterr()["over"] == "raise"


@pytest.mark.usefixtures("raising")
def test_files_are_scored_where_numpy_was_told_to_raise(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", NUMBERS)
    np.save(tmp_path / "t.npy", ZEROS)
    result = msecli.score(
        tmp_path / "p.npy", tmp_path / "t.npy", weight_file=tmp_path / "p.npy", metrics=("r2", "l2", "lp:3")
    )
    assert result.metrics["l2"] == 1e200
    assert result.status == "inf"


def in_a_process_that_flushes(code: str) -> str:
    """Run code where PyTorch has set the processor to take subnormal numbers as 0; the rest of a process keeps it."""
    if find_spec("torch") is None:
        pytest.skip("PyTorch is not installed, and nothing else here can set the processor")
    start = "import torch, msecli, numpy as np\nif not torch.set_flush_denormal(True): raise SystemExit('cannot')\n"
    command = [sys.executable, "-W", "always", "-c", start + code]
    path = str(Path(msecli.__file__).parent.parent)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": path})
    if ran.stderr == "cannot\n":
        pytest.skip("this processor cannot be set to take subnormal numbers as 0")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_array_sums_do_not_depend_on_the_processor() -> None:
    out = in_a_process_that_flushes(
        "print(msecli.mse_loss([1e-150], [0.0], weight=[1e-10]))\n"
        "print(msecli.mse_loss_grad([1e-150], [0.0], weight=[1e-160]).tolist())\n"
        "print((np.full(8, 1e-300) * 1e-10 == 0).all())\n"
    )
    # The loss is the subnormal 1e-310 over 1e-10; the last line says that the caller has its own setting back.
    loss = float(np.float64(1e-300) * np.float64(1e-10)) / 1e-10
    assert out == f"{loss!r}\n[2e-150]\nTrue\n"


@pytest.mark.slow
def test_sums_of_files_do_not_depend_on_the_processor(tmp_path: Path) -> None:
    rows = 300_000
    np.save(tmp_path / "p.npy", np.full(rows, 1e-150))
    np.save(tmp_path / "t.npy", np.zeros(rows))
    np.save(tmp_path / "w.npy", np.full(rows, 1e-10))
    paths = [str(tmp_path / f"{name}.npy") for name in "ptw"]
    out = in_a_process_that_flushes(
        f"p, t, w = {paths!r}\n"
        "result = msecli.score(p, t, weight_file=w, metrics=('sse', 'l2'), jobs=2)\n"
        "import json; print(json.dumps([result.loss, [warning.code for warning in result.warnings]]))\n"
    )
    loss = msecli.score(*paths[:2], weight_file=paths[2]).loss
    assert json.loads(out) == [loss, ["subnormal_numbers_restored"]]


@pytest.mark.slow
def test_a_processor_that_cannot_be_set_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("pred,target\n1,2\n")
    out = in_a_process_that_flushes(
        "import warnings, msecli.core.processor\n"
        "msecli.core.processor.MACHINES = set()\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for call in (msecli.mse_loss, msecli.mse_loss_grad, msecli.MSELoss()): call([1.0], [2.0])\n"
        "    msecli.linear_loss([1.0], [2.0], [1.0]); msecli.vector_norm([1.0]); msecli.penalty([1.0])\n"
        "print([(w.category.__name__, w.filename, 'subnormal' in str(w.message)) for w in caught])\n"
        f"result = msecli.score({str(tmp_path / 'table.csv')!r})\n"
        "print(result.loss, [(w.code, w.count) for w in result.warnings])\n"
    )
    said = [("RuntimeWarning", "<string>", True)] * 6
    assert out == f"{said}\n1.0 [('subnormal_numbers_lost', 1)]\n"


def test_a_call_that_raised_leaves_no_gradient_behind() -> None:
    loss = msecli.MSELoss()
    loss([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(msecli.DataError):
        loss([1.0, 2.0], [0.0, float("nan")])
    with pytest.raises(msecli.UsageError, match="before a loss was computed"):
        loss.backward()
    loss([3.0], [1.0])
    assert loss.backward()[0].tolist() == [4.0]
