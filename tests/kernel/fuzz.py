"""What `fuzz.cpp` calls for every input; it is no test.

How to run it, with clang++ and the folder `build`, which git ignores:

python=.venv/bin/python; packages=$($python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cmake -S . -B build/fuzz -DMSECLI_FUZZ=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=clang++ \
    -DPython_EXECUTABLE=$python -Dnanobind_DIR=$($python -m nanobind --cmake_dir) && cmake --build build/fuzz
MSECLI_BUILD=build/fuzz PYTHONPATH=$PWD:$packages ASAN_OPTIONS=detect_leaks=0 \
    build/fuzz/fuzz -max_len=400 -max_total_time=1200 build/found tests/kernel/corpus
"""

from __future__ import annotations

import os

from msecli import kernel

kernel.__path__[:0] = filter(None, [os.environ.get("MSECLI_BUILD")])

# ruff: noqa: E402 - the path decides which module these find
from tests.kernel.differential import differing
from tests.kernel.kernels import KERNELS

FAST = {name: kernel for name, kernel in KERNELS.items() if name in {"native", "python"}}
"""Arrow is slow on short texts, and it is the native kernel whose coverage counts."""


def check(data: bytes) -> None:
    """Raise if the kernels differ on an input."""
    if len(FAST) < 2:
        raise RuntimeError("there is no native kernel to be tested")
    difference = differing(data, FAST)
    if difference is not None:
        raise AssertionError(difference)
