"""The pure-Python kernel for labels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from msecli.arrays import IntArray
from msecli.kernel.interface import Texts


def codes(labels: IntArray | Texts) -> tuple[IntArray, IntArray]:
    """See `msecli.kernel.interface.Kernel`."""
    if not isinstance(labels, Texts):
        _, rows, ranks = np.unique(labels, return_index=True, return_inverse=True)
        firsts = np.sort(rows)
        return np.searchsorted(firsts, rows)[ranks], firsts
    labels.check()
    data, ends = labels.data.tobytes(), labels.ends.tolist()
    known: dict[bytes, int] = {}
    first_rows: list[int] = []
    found = np.empty(len(ends) - 1, dtype=np.int64)
    for row, (start, stop) in enumerate(pairwise(ends)):
        number = known.setdefault(data[start:stop], len(known))
        if number == len(first_rows):
            first_rows.append(row)
        found[row] = number
    return found, np.array(first_rows, dtype=np.int64)
