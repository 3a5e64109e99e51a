"""Memory does not grow with the files: the peak of whole processes at two sizes of the same data.

Shuffling holds the order of the rows, and nothing else of them. A command that held all rows would show: the inputs
of a linear model, or one column of predictions, targets or values, differ by more than `LIMIT` between the two sizes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

LIMIT = 40.0
"""Megabytes by which the peaks may differ: threads, and the sizes of blocks, make it vary by some of them."""

SMALL, LARGE = 300_000, 1_500_000
"""Rows of 8 inputs; the larger file has 96 MB."""
SHORT, LONG = 4_000_000, 10_000_000
"""Rows of one number for each of prediction and target; a column of the larger file has 48 MB more in memory.

The smaller file is long enough to fill all the places where blocks of text wait for each other: with two threads the
peak rises up to some 3 million rows, and stays where it is from there on.
"""
PERIOD = 1000

# The peak of a process begins with that of the one it was forked from, and a test run has a high one: so the command
# is started, and waited for, by a small process in between.
LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.executable, [sys.executable, "-m", "msecli", *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _peak(*arguments: object) -> float:
    """Return the peak memory of a command in megabytes."""
    command = [sys.executable, "-c", LAUNCHER, *map(str, arguments), "--jobs", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    # In kilobytes, but on macOS in bytes.
    return int(ran.stderr.split()[-1]) / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with files of random numbers, made once: linear data, and predictions with targets."""
    path = tmp_path_factory.mktemp("memory")
    random = np.random.default_rng(0)
    np.save(path / "coef.npy", random.normal(size=8))
    for rows in (SMALL, LARGE):
        inputs = random.normal(size=(rows, 8))
        np.save(path / f"x{rows}.npy", inputs)
        np.save(path / f"y{rows}.npy", inputs.sum(axis=1))
    cells = random.integers(0, 100, size=(PERIOD, 2))
    lines = "".join(f"{prediction},{target}.5\n" for prediction, target in cells.tolist())
    for rows in (SHORT, LONG):
        np.save(path / f"p{rows}.npy", random.random(rows))
        np.save(path / f"t{rows}.npy", random.random(rows))
        with (path / f"d{rows}.csv").open("w") as stream:
            stream.write("pred,target\n")
            stream.writelines(lines for _ in range(rows // PERIOD))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize(
    "options",
    [[], ["--grad-coef", "gradient.npy", "--grad-norm"], ["--predictions", "predictions.npy"]],
    ids=["loss", "gradients", "predictions"],
)
def test_linear_models_need_no_more_memory_for_more_rows(folder: Path, options: list[str]) -> None:
    outputs = [str(folder / text) if text.endswith(".npy") else text for text in options]

    def peak(rows: int) -> float:
        files = folder / f"x{rows}.npy", folder / f"y{rows}.npy"
        return _peak("linear", *files, "--coef", folder / "coef.npy", *outputs, "--overwrite")

    assert peak(LARGE) - peak(SMALL) < LIMIT


@pytest.mark.parametrize("options", [["--reduction", "none", "-o"], ["--grad"]], ids=["none", "grad"])
@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_values_of_elements_need_no_more_memory_for_more_rows(folder: Path, suffix: str, options: list[str]) -> None:
    def peak(rows: int) -> float:
        files = [folder / f"d{rows}.csv"] if suffix == "csv" else [folder / f"p{rows}.npy", folder / f"t{rows}.npy"]
        return _peak("compute", *files, *options, folder / f"values.{suffix}", "--overwrite")

    assert peak(LONG) - peak(SHORT) < LIMIT


@pytest.mark.parametrize("kind", ["stored.npz", "deflated.npz", "safetensors", "h5"])
def test_arrays_in_other_files_need_no_more_memory_for_more_rows(folder: Path, kind: str) -> None:
    def peak(rows: int) -> float:
        array, path = np.load(folder / f"x{rows}.npy"), folder / f"x{rows}.{kind}"
        if kind.endswith("npz"):
            (np.savez if kind == "stored.npz" else np.savez_compressed)(path, x=array.round(1))
        elif kind == "safetensors":
            pytest.importorskip("safetensors.numpy", reason="safetensors is not installed").save_file(
                {"x": array}, path
            )
        else:
            with pytest.importorskip("h5py", reason="h5py is not installed").File(path, "w") as file:
                file.create_dataset("x", data=array.round(1), chunks=(10_000, 8), compression="gzip")
        return _peak("compute", path, path)

    assert peak(LARGE) - peak(SMALL) < LIMIT


def test_shuffling_needs_8_bytes_for_every_row(folder: Path) -> None:
    def peak(rows: int) -> float:
        files = folder / f"p{rows}.npy", folder / f"t{rows}.npy"
        return _peak("compute", *files, "--batch-size", 100_000, "--shuffle", 1)

    assert peak(LONG) - peak(SHORT) < 8e-6 * (LONG - SHORT) + LIMIT


def test_norms_need_no_more_memory_for_more_rows(folder: Path) -> None:
    def peak(rows: int) -> float:
        return _peak("norm", folder / f"p{rows}.npy", folder / f"t{rows}.npy", "--ord", "1,2,3,inf")

    assert peak(LONG) - peak(SHORT) < LIMIT


def test_a_gradient_check_needs_no_more_memory_for_more_rows(folder: Path) -> None:
    def peak(rows: int) -> float:
        files = folder / f"x{rows}.npy", folder / f"y{rows}.npy"
        return _peak("gradcheck", *files, "--coef", folder / "coef.npy", "--samples", 2)

    assert peak(LARGE) - peak(SMALL) < LIMIT
