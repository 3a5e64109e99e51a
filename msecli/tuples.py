"""Named tuples whose classes cost little to create.

`typing.NamedTuple` compiles source text for each class and for each of its annotations. A short run creates a hundred
such classes, which would take a tenth of its time. These are the same to whoever uses them and to type checkers, but
for the signature that `help` shows: a class that users create has `typing.NamedTuple` as its base.
"""

from __future__ import annotations

from msecli import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from operator import itemgetter

    class _Type(type):
        """Makes a field of each annotation of a class, as `typing.NamedTuple` does."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, object]) -> type:
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            if fields:
                namespace |= {field: property(itemgetter(place)) for place, field in enumerate(fields)}
                namespace |= {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
                namespace["_defaults"] = tuple(defaults.values())
            return super().__new__(cls, name, bases, namespace | {"__slots__": ()})

        def __call__(cls, *values: object, **named: object) -> tuple[object, ...]:
            missing = len(cls._fields) - len(values)
            if named or not 0 <= missing <= len(cls._defaults):
                values = cls._completed(values, named)
            elif missing:
                values += cls._defaults[-missing:]
            return tuple.__new__(cls, values)

        def _completed(cls, values: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
            """Return all values, those of the last fields by name or by default."""
            rest, given = cls._fields[len(values) :], cls._field_defaults | named
            missing, unknown = [field for field in rest if field not in given], named.keys() - set(rest)
            if missing or unknown or len(values) > len(cls._fields):
                wrong = f"without {', '.join(missing)}" if missing else f"with {', '.join(unknown) or len(values)}"
                raise TypeError(f"{cls.__name__}({', '.join(cls._fields)}) was called {wrong}")
            return (*values, *[given[field] for field in rest])

    class NamedTuple(tuple, metaclass=_Type):
        """A tuple whose items have names. See `typing.NamedTuple`."""

        __slots__ = ()
        _fields, _defaults, _field_defaults = (), (), {}

        @classmethod
        def _make(cls, values: object) -> tuple[object, ...]:
            return cls(*values)

        def _replace(self, **named: object) -> tuple[object, ...]:
            replaced = tuple.__new__(type(self), map(named.pop, self._fields, self))
            if named:
                raise TypeError(f"{type(self).__name__}({', '.join(self._fields)}) has no {', '.join(named)}")
            return replaced

        __replace__ = _replace  # of copy.replace, from Python 3.13 on

        def _asdict(self) -> dict[str, object]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"


__all__ = ["NamedTuple"]
