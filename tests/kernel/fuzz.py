"""What `fuzz.cpp` calls for every input, and the way from `corpus.txt` to a folder of inputs and back; it is no test.

How to fuzz, with clang++ and the folder `build`, which git ignores:

python=.venv/bin/python; packages=$($python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cmake -S . -B build/fuzz -DMSECLI_FUZZ=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ \
    -DPython_EXECUTABLE=$python -Dnanobind_DIR=$($python -m nanobind --cmake_dir) && cmake --build build/fuzz
$python -m tests.kernel.fuzz unpack build/found
export MSECLI_BUILD=build/fuzz PYTHONPATH=$PWD:$packages ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc
build/fuzz/fuzz -max_len=400 -max_total_time=1200 build/found

To keep one input for every place that was reached:

mkdir build/kept && build/fuzz/fuzz -merge=1 -use_counters=0 build/kept build/found
$python -m tests.kernel.fuzz pack build/kept
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msecli import kernel

kernel.__path__[:0] = filter(None, [os.environ.get("MSECLI_BUILD")])

# ruff: noqa: E402 - the path decides which module these find
from tests.kernel.differential import differing
from tests.kernel.kernels import KERNELS

CORPUS = Path(__file__).parent / "corpus.txt"
"""An input in hexadecimal on every line."""

FAST = {name: kernel for name, kernel in KERNELS.items() if name in {"native", "python"}}
"""Arrow is slow on short texts, and it is the native kernel whose coverage counts."""


def check(data: bytes) -> None:
    """Raise if the kernels differ on an input."""
    if len(FAST) < 2:
        raise RuntimeError("there is no native kernel to be tested")
    difference = differing(data, FAST)
    if difference is not None:
        raise AssertionError(difference)


def unpack(folder: Path) -> None:
    """Write every input of the corpus to a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(CORPUS.read_text(encoding="ascii").split()):
        (folder / f"kept {number}").write_bytes(bytes.fromhex(line))


def pack(folder: Path) -> None:
    """Make the files of a folder the corpus, short ones first."""
    inputs = sorted((path.read_bytes() for path in folder.iterdir()), key=lambda data: (len(data), data))
    CORPUS.write_text("".join(f"{data.hex()}\n" for data in inputs), encoding="ascii")


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]))
