"""Parameters of Python callers: whatever means a number, several numbers or names becomes just that."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from msecli.errors import UsageError

LARGEST_INTEGER = 2**63 - 1


def whole_number(name: str, value: Any) -> int:
    """Return a whole number of any type, NumPy's as well as Python's.

    Raises
    ------
    UsageError
        If it is none, or one that 64 bits cannot hold.
    """
    try:
        number = operator.index(value)
    except TypeError as error:
        raise UsageError(f"{name}: {value!r} is not a whole number") from error
    if abs(number) > LARGEST_INTEGER:
        # Python refuses to print numbers of thousands of digits.
        raise UsageError(f"{name}: the number is beyond {LARGEST_INTEGER}")
    return number


def whole_numbers(name: str, value: Any) -> tuple[int, ...]:
    """Return a whole number, or several; none for None.

    Raises
    ------
    UsageError
    """
    return tuple(whole_number(name, member) for member in _members(value))


def real_numbers(name: str, value: Any) -> tuple[float, ...]:
    """Return a number, or several, as floats; none for None.

    Raises
    ------
    UsageError
    """
    members = _members(value)
    # Python would take the real parts of NumPy's complex numbers, and numbers out of text.
    if any(isinstance(member, np.complexfloating) for member in members):
        raise UsageError(f"{name}: {value!r} is complex; real numbers are wanted")
    if any(isinstance(member, str | bytes) for member in members):
        raise UsageError(f"{name}: {value!r} is text, not a number")
    try:
        return tuple(float(member) for member in members)
    except OverflowError as error:
        raise UsageError(f"{name}: a number is beyond those of float64") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: {value!r} is neither a number nor several") from error


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return a name, or several; none for None.

    Raises
    ------
    UsageError
    """
    found = _members(value)
    if not all(isinstance(member, str) for member in found):
        raise UsageError(f"{name}: {value!r} is neither a name nor several")
    return found


def _members(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    # An array of no dimensions is an Iterable that cannot be iterated over.
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) != 0
    return tuple(value) if several else (value,)
