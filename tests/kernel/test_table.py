"""Codes of labels: every kernel returns those of a Python dict from label to number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msecli.arrays import IntArray
from msecli.kernel.interface import Kernel, Texts
from tests.kernel.kernels import KERNELS

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text("ab\0é", max_size=20) | st.integers(0, 40).map(lambda size: "a" * size)


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return KERNELS[request.param]


def texts(labels: list[str], before: str = "") -> Texts:
    """Return labels as a kernel takes them; other text may lie before them."""
    data = [before.encode(), *(label.encode() for label in labels)]
    return Texts(np.frombuffer(b"".join(data), dtype=np.uint8), np.cumsum([len(each) for each in data], dtype=np.int32))


def by_dict(labels: list[Any]) -> tuple[list[int], list[int]]:
    known: dict[Any, int] = {}
    codes = [known.setdefault(label, len(known)) for label in labels]
    return codes, [codes.index(code) for code in range(len(known))]


def agree(kernel: Kernel, labels: list[Any], given: IntArray | Texts) -> bool:
    found = kernel.codes(given)
    assert all(array.dtype == np.int64 for array in found)
    return (found[0].tolist(), found[1].tolist()) == by_dict(labels)


@settings(deadline=None)
@given(labels=st.lists(INT64) | st.lists(st.integers(-3, 3)))
@pytest.mark.parametrize("name", KERNELS)
def test_integers_have_the_codes_of_a_dict(name: str, labels: list[int]) -> None:
    assert agree(KERNELS[name], labels, np.array(labels, dtype=np.int64))


@settings(deadline=None)
@given(labels=st.lists(TEXT), before=TEXT)
@pytest.mark.parametrize("name", KERNELS)
def test_texts_have_the_codes_of_a_dict(name: str, labels: list[str], before: str) -> None:
    assert agree(KERNELS[name], labels, texts(labels, before))


def test_many_labels_stay_apart_while_the_table_grows(kernel: Kernel) -> None:
    order = np.random.default_rng(1).permutation(40_000)
    labels = [*order.tolist(), *order[::-3].tolist()]
    assert agree(kernel, labels, np.array(labels))
    assert agree(kernel, [str(label) for label in labels], texts([str(label) for label in labels]))
    # Multiples of a power of two agree in all their lower bits.
    assert agree(kernel, [label << 40 for label in labels], np.array(labels) << 40)


@pytest.mark.parametrize("size", range(1, 40))
def test_texts_that_differ_in_one_byte_are_told_apart(kernel: Kernel, size: int) -> None:
    labels = ["a" * size, *("a" * place + "b" + "a" * (size - place - 1) for place in range(size))]
    assert agree(kernel, labels * 2, texts(labels * 2))


@pytest.mark.parametrize("ends", [[], [0, 4], [-1, 2], [2, 1], [0, 3, 1]], ids=repr)
def test_texts_that_do_not_lie_end_to_end_are_refused(kernel: Kernel, ends: list[int]) -> None:
    with pytest.raises(ValueError, match="end to end"):
        kernel.codes(Texts(np.zeros(3, dtype=np.uint8), np.array(ends, dtype=np.int32)))
