"""The native kernel reads nothing outside its buffer; and the inputs that fuzzing kept.

A buffer lies between two pages that cannot be read. A read outside it ends the process, so another one does this.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msecli import kernel
from msecli.kernel.interface import Dialect, Kernel, Kind, Scan, Texts, Wanted
from tests.kernel.differential import differing
from tests.kernel.fuzz import CORPUS
from tests.kernel.kernels import KERNELS, bits

ROOT = Path(__file__).parent.parent.parent
PAGE = mmap.PAGESIZE

TEXTS = [
    *(
        b"",
        b"1",
        b"1,2",
        b"1,2\n",
        b"1,2\r",
        b"1,2\r\n",
        b"12345678",
        b"1234567,",
        b"0.12345678,0.1234567",
        b"-",
        b"+.",
        b"1e",
        b"1e+",
    ),
    *(
        b'"',
        b'""',
        b'"1"',
        b'"1","2"',
        b'"1""',
        b'1,"2\n',
        b'a,"b""c"',
        b"#",
        b"#comment",
        b"#c\r",
        b"\n",
        b"\r",
        b"\r\r\n",
    ),
    *(b"x" * size for size in (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128)),
    *(b"1" * size for size in (7, 8, 9, 15, 16, 17, 19, 20, 31, 32, 33, 400)),
    *(b"a,b,c,d," * 2 + b"e" * size for size in range(18)),
    *(b'"a","""b"' * times + end for times in (7, 8, 16) for end in (b"", b",", b'"', b'"\n')),
    *(b"12,13\n" * 3 + b"\xe2\x82"[:size] for size in (1, 2)),
    b"1,NA,\xf0\x9f\x98",
    b"n",
    b"na",
    b"inf",
    b"i",
]
DIALECTS = [
    Dialect(2, missing=("", "NA", "nan", "1234")),
    Dialect(5, comment="#"),
    Dialect(1, decimal=",", delimiter=";"),
]


def protected(text: bytes, *, at_the_end: bool) -> memoryview:
    """Return a view of a copy of the text that begins or ends where memory that can be read does."""
    pages = max(1, -(-len(text) // PAGE))
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = PAGE + (pages * PAGE - len(text) if at_the_end else 0)
    memory[start : start + len(text)] = text
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (address, address + (pages + 1) * PAGE):
        assert protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) == 0
    return memoryview(memory)[start : start + len(text)]


def read_all(chosen: Kernel) -> None:
    """Read every text in every way, where only it can be read."""
    for text in TEXTS:
        for view in (protected(text, at_the_end=True), protected(text, at_the_end=False)):
            for dialect in DIALECTS:
                for place in {0, 1, len(text) // 2, len(text) - 1, len(text)}:
                    for last in (True, False):
                        border = chosen.border(text, dialect, max(0, place), last=last)
                        assert chosen.border(view, dialect, max(0, place), last=last) == border
                for kind in Kind:
                    wanted = [Wanted(dialect.width - 1, kind)]
                    scan: Scan = chosen.scan(view, dialect, wanted)
                    assert bits(scan) == bits(chosen.scan(text, dialect, wanted))
    for count in (1, 2, 7, 8, 9, 511, 512, 1025):
        data = np.arange(count, dtype=np.float64).tobytes()
        values = [np.frombuffer(protected(data, at_the_end=end), dtype=np.float64) for end in (True, False)]
        codes = np.frombuffer(protected(bytes(8 * count), at_the_end=True), dtype=np.int64)
        for each in values:
            assert chosen.exact_sum(each).units == count * (count - 1) // 2 << 1074
            assert chosen.squared_error(each, each, each) is not None
            assert chosen.gradient(each, each, each, 1.0, np.empty(count))
            assert chosen.sums_by_slot(each, codes, 1).special is None
            assert chosen.squared_error_by_slot(each, each, each, codes, 1) is not None
        assert chosen.codes(codes)[1].tolist() == [0]
    number_all(chosen)


def number_all(chosen: Kernel) -> None:
    """Number texts of every length, where only they can be read."""
    for size in range(20):
        for view in (protected(b"a" * size, at_the_end=True), protected(b"a" * size, at_the_end=False)):
            written = np.array([0, 0, size, size], dtype=np.int32).tobytes()
            ends = np.frombuffer(protected(written, at_the_end=True), dtype=np.int32)
            texts = Texts(np.frombuffer(view, dtype=np.uint8), ends)
            assert chosen.codes(texts)[1].tolist() == ([0, 1] if size else [0])


@pytest.mark.skipif(kernel.name() != "native", reason="Python cannot read outside a buffer")
@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is of POSIX")
def test_nothing_outside_a_buffer_is_read() -> None:
    code = "from msecli import kernel; from tests.kernel.test_safety import read_all; read_all(kernel.chosen())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is of POSIX")
def test_the_pages_around_a_buffer_cannot_be_read() -> None:
    code = (
        "import ctypes; from tests.kernel.test_safety import protected; import numpy as np;"
        "view = protected(b'1,2', at_the_end=True); address = np.frombuffer(view, np.uint8).ctypes.data;"
        "print(ctypes.string_at(address, 3)); ctypes.string_at(address + 3, 1)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert ran.returncode != 0


@pytest.mark.parametrize("digits", CORPUS.read_text(encoding="ascii").split(), ids=lambda digits: digits[:24])
def test_kernels_agree_on_what_fuzzing_kept(digits: str) -> None:
    assert differing(bytes.fromhex(digits), KERNELS) is None
