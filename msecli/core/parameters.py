"""Convert parameters of Python callers: one value or several, of any type that means the same."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from msecli.errors import ReadWriteError, UsageError

LARGEST_INTEGER = 2**63 - 1

Taken = Callable[[str, Any], Any]


def optional(taken: Taken) -> Taken:
    """Return a function that also accepts None."""
    return lambda name, value: None if value is None else taken(name, value)


def several(taken: Taken) -> Taken:
    """Return a function that converts each member of an iterable, or a single path; None has no members."""

    def take(name: str, value: Any) -> tuple[Any, ...]:
        members = (value,) if isinstance(value, str | bytes | os.PathLike) else value
        return () if members is None else tuple(taken(name, member) for member in members)

    return take


def flag(name: str, value: Any) -> bool:
    """Return a truth value."""
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a text.

    Raises
    ------
    UsageError
    """
    if not isinstance(value, str):
        raise UsageError(f"`{name}`: {value!r} is not text")
    return value


def rows(name: str, value: Any) -> Any:
    """Return `data`, having refused a single number, which has no rows; several paths as a tuple of texts.

    Raises
    ------
    UsageError
    ReadWriteError
    """
    if isinstance(value, int | float | complex):
        raise UsageError(f"`{name}`: {value!r} is neither a path nor a table nor an array")
    if isinstance(value, list | tuple) and value and all(isinstance(each, str | os.PathLike) for each in value):
        return tuple(data(name, each) for each in value)
    return data(name, value)


def data(name: str, value: Any) -> Any:
    """Return a path as text, and data in memory unchanged.

    Raises
    ------
    UsageError
        If a path is made of bytes.
    ReadWriteError
        If no file can have this path.
    """
    if not isinstance(value, str | bytes | os.PathLike):
        return value
    path = text(name, os.fspath(value))
    if "\0" in path:
        raise ReadWriteError(f"{path!r}: no such file; a name cannot hold a NUL character")
    return path


def whole_number(name: str, value: Any) -> int:
    """Return a whole number, from Python's or NumPy's types.

    Raises
    ------
    UsageError
        If it is not a whole number, or does not fit in 64 bits.
    """
    try:
        number = operator.index(value)
    except TypeError as error:
        raise UsageError(f"`{name}`: {value!r} is not a whole number") from error
    if abs(number) > LARGEST_INTEGER:
        # Python refuses to print numbers of thousands of digits.
        raise UsageError(f"`{name}`: the number is beyond {LARGEST_INTEGER}")
    return number


def whole_numbers(name: str, value: Any) -> tuple[int, ...]:
    """Return one or more whole numbers as a tuple; None gives an empty one.

    Raises
    ------
    UsageError
    """
    return tuple(whole_number(name, member) for member in _members(value))


def real_number(name: str, value: Any) -> float:
    """Return a number as float.

    Raises
    ------
    UsageError
    """
    numbers = real_numbers(name, value)
    if len(numbers) != 1:
        raise UsageError(f"`{name}`: {value!r} is not a number")
    return numbers[0]


def real_numbers(name: str, value: Any) -> tuple[float, ...]:
    """Return one or more numbers as a tuple of floats; None gives an empty one.

    Raises
    ------
    UsageError
    """
    members = _members(value)
    # float() would drop imaginary parts of NumPy's complex numbers, and would parse text.
    if any(isinstance(member, np.complexfloating) for member in members):
        raise UsageError(f"`{name}`: {value!r} is complex; it must be real")
    if any(isinstance(member, str | bytes) for member in members):
        raise UsageError(f"`{name}`: {value!r} is text, not a number")
    try:
        return tuple(float(member) for member in members)
    except OverflowError as error:
        raise UsageError(f"`{name}`: a number is too large for float64") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"`{name}`: {value!r} is neither a number nor several numbers") from error


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return one or more names as a tuple; None gives an empty one.

    Raises
    ------
    UsageError
    """
    found = _members(value)
    if not all(isinstance(member, str) for member in found):
        raise UsageError(f"`{name}`: {value!r} is neither a name nor several names")
    return found


def words(name: str, value: Any) -> tuple[str, ...]:
    """Return `names`, those of a text separated by commas.

    Examples
    --------
    >>> words("metrics", "rmse, mae"), words("metrics", ["rmse,mae", "r2"])
    (('rmse', 'mae'), ('rmse', 'mae', 'r2'))

    Raises
    ------
    UsageError
    """
    pieces = (piece.strip() for text in names(name, value) for piece in text.split(","))
    return tuple(piece for piece in pieces if piece)


def _members(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    # A 0-dimensional array is an Iterable that cannot be iterated over.
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) != 0
    return tuple(value) if several else (value,)
