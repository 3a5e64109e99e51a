"""Named tuples that are cheap to create are those of `typing` in all that a caller sees."""

from __future__ import annotations

import copy
import pickle
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest

import msecli.tuples

T = TypeVar("T")


class Ours(msecli.tuples.NamedTuple):
    """Three fields."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        """Twice the first field."""
        return 2 * self.a


class Theirs(typing.NamedTuple):
    """The same."""

    a: int
    b: str = "x"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        """Twice the first field."""
        return 2 * self.a


class Of(msecli.tuples.NamedTuple, Generic[T]):
    """A field of any type."""

    found: T
    number: int = 0


def _matched(made: Any) -> Any:
    match made:
        case Ours(first, second) | Theirs(first, second):
            return first, second
    return None


SEEN: list[Callable[[Any], Any]] = [
    lambda kind: tuple(kind(1)),
    lambda kind: tuple(kind(1, "y", (2,))),
    lambda kind: tuple(kind(c=(3,), a=1)),
    lambda kind: tuple(kind(1, c=(3,))),
    lambda kind: kind(1) == (1, "x", ()),
    lambda kind: kind(1) == kind(1, "y"),
    lambda kind: kind(1) < kind(2),
    lambda kind: hash(kind(1, "y")) == hash((1, "y", ())),
    lambda kind: repr(kind(1, "y")).replace(kind.__name__, ""),
    lambda kind: kind(4).twice,
    lambda kind: (kind(4).a, kind(4).b, kind(4)[2], len(kind(4))),
    lambda kind: kind(1)._asdict(),
    lambda kind: tuple(kind(1)._replace(b="z")),
    lambda kind: (type(kind(1)._replace(a=2)) is kind, type(kind(1)) is kind),
    lambda kind: hasattr(copy, "replace") and tuple(copy.replace(kind(1), b="z")),
    lambda kind: tuple(kind._make([1, "y", ()])),
    lambda kind: (kind._fields, kind._field_defaults, kind.__match_args__),
    lambda kind: kind.__annotations__.keys(),
    lambda kind: kind.__doc__ is not None,
    lambda kind: _matched(kind(1, "y")),
    lambda kind: [*map(type, (pickle.loads(pickle.dumps(kind(1))), copy.copy(kind(1))))] == [kind, kind],
    lambda kind: tuple(pickle.loads(pickle.dumps(kind(1, "y", (2,))))),
]

REFUSED: list[Callable[[Any], Any]] = [
    lambda kind: kind(),
    lambda kind: kind(b="y"),
    lambda kind: kind(1, "y", (), 4),
    lambda kind: kind(1, d=2),
    lambda kind: kind(1, a=2),
    lambda kind: kind(1)._replace(d=2),
    lambda kind: setattr(kind(1), "a", 2),
    lambda kind: setattr(kind(1), "d", 2),
    lambda kind: kind._make([]),
]


@pytest.mark.parametrize("seen", SEEN)
def test_they_behave_as_those_of_typing(seen: Callable[[Any], Any]) -> None:
    assert seen(Ours) == seen(Theirs)


@pytest.mark.parametrize("refused", REFUSED)
def test_they_refuse_what_those_of_typing_refuse(refused: Callable[[Any], Any]) -> None:
    errors = (TypeError, AttributeError, ValueError)
    for kind in (Ours, Theirs):
        with pytest.raises(errors):
            refused(kind)


def test_they_may_be_generic() -> None:
    assert Of[int](3) == Of(3) == (3, 0)
    assert Of(found="a").found == "a"


def test_a_wrong_call_is_told_with_the_fields() -> None:
    with pytest.raises(TypeError, match=r"^Ours\(a, b, c\) was called without a$"):
        typing.cast("Any", Ours)(b="y")
