"""What changed between two results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msecli._version import __version__
from msecli.results.base import SCHEMA, Number, Report, Row, Section, jsonable, marked, not_finite
from msecli.results.signature import Change, changes, incomparable
from msecli.tuples import NamedTuple

LISTS = {"groups": "group", "columns": "column", "batches": "batch", "systems": "system", "runs": "run"}
"""The lists of a document, and what their entries are called by."""

OWN_NUMBERS = ("loss", "objective", "gradient_norm", "running_mean", "max_relative_error")
"""The numbers that stand by themselves, beside those that are listed."""

NUMBER_LISTS = ("metrics", "norms")
LEDGERS = ("rows", "elements")

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Pair(NamedTuple):
    """A number of two results; None is a number that one of them does not have.

    Attributes
    ----------
    part : str
        "number" or "ledger".
    kind : str
        "group", "column", "batch", "macro", …; "" for all rows together.
    label : str
    name : str
    old, new : float or None
    """

    part: str
    kind: str
    label: str
    name: str
    old: Number
    new: Number

    @property
    def change(self) -> Number:
        """The new number minus the old one."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def relative(self) -> float | None:
        """The change as a share of the old number's magnitude; None where this is 0."""
        return None if self.change is None or not self.old else self.change / abs(self.old)

    @property
    def changed(self) -> bool:
        """Whether the numbers differ; nan is nan."""
        return repr(self.old) != repr(self.new) and self.old != self.new


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Report):
    """What changed between two results.

    Attributes
    ----------
    old, new : str
        What the results are called.
    pairs : tuple of Pair
        All numbers of both, changed or not.
    signature : tuple of Change
        The fields in which the signatures differ.
    comparable : bool
        Whether the signatures agree up to `used` and the version.
    version : str
    """

    old: str
    new: str
    pairs: tuple[Pair, ...]
    signature: tuple[Change, ...]
    comparable: bool
    version: str = __version__

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.signature) or any(pair.changed for pair in self.pairs)

    @property
    def title(self) -> tuple[tuple[str, ...], ...]:
        """Both results."""
        return ((self.old, f"to {self.new}"),)

    @property
    def what(self) -> Row:
        """Whether they can be compared."""
        return () if self.comparable else ("not comparable: the signatures differ",)

    def numbers(self) -> dict[str, Number]:
        """Return the changes of the numbers over all rows."""
        return {pair.name: pair.change for pair in self.pairs if pair.part == "number" and not pair.kind}

    def records(self, missing_label: str | None = None) -> list[dict[str, Any]]:
        """Return a row for each number and each field of the signatures that differs."""
        rows = [
            {
                **dict(zip(("part", "kind", "label", "name"), pair[:4], strict=True)),
                "old": pair.old,
                "new": pair.new,
                "change": pair.change,
                "relative": pair.relative,
                "old_text": None,
                "new_text": None,
            }
            for pair in self.pairs
        ]
        blank = {"old": None, "new": None, "change": None, "relative": None}
        rows += [
            {"part": "signature", "kind": "", "label": "", "name": field, **blank, "old_text": old, "new_text": new}
            for field, old, new in self.signature
        ]
        return rows

    def sections(self) -> list[Section]:
        """Return the numbers, the groups, the ledger where it changed, and the fields of the signatures."""
        overall = [pair for pair in self.pairs if pair.part == "number" and not pair.kind]
        scoped = [pair for pair in self.pairs if pair.part == "number" and pair.kind]
        ledger = [pair for pair in self.pairs if pair.part == "ledger" and pair.changed]
        found = [Section(("", *COLUMNS), [(pair.name, *_cells(pair)) for pair in overall], headline=True)]
        if scoped:
            rows = [(pair.label, pair.name, *_cells(pair)) for pair in scoped]
            kinds = dict.fromkeys(pair.kind for pair in scoped if pair.kind != MACRO)
            found.append(Section((", ".join(kinds) or MACRO, "number", *COLUMNS), rows, kind="number"))
        if ledger:
            counts = [(pair.name, *_cells(pair)[:3]) for pair in ledger]
            found.append(Section(("ledger", *COLUMNS[:3]), counts, kind="count"))
        if self.signature:
            rows = [(field, old or "none", new or "none") for field, old, new in self.signature]
            found.append(Section(("signature", *COLUMNS[:2]), rows, kind="field"))
        if not self.changed:
            found.append(Section(None, note=("nothing changed",)))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the difference in the shape of the JSON output; nan and infinities are None."""

        def entry(pair: Pair) -> dict[str, Any]:
            numbers = {"old": pair.old, "new": pair.new, "change": pair.change, "relative": pair.relative}
            place = {"kind": pair.kind, "label": pair.label} if pair.kind else {}
            return {**place, "name": pair.name, **numbers, **not_finite(numbers)}

        parts = {part: [entry(pair) for pair in self.pairs if pair.part == part] for part in ("number", "ledger")}
        return dict(
            jsonable(
                {
                    "schema": SCHEMA,
                    "old": self.old,
                    "new": self.new,
                    "comparable": self.comparable,
                    "changed": self.changed,
                    "numbers": parts["number"],
                    "ledger": parts["ledger"],
                    "signature": [change._asdict() for change in self.signature],
                    "version": self.version,
                }
            )
        )


COLUMNS = ("old", "new", "change", "relative")
MACRO = "macro"


def _cells(pair: Pair) -> tuple[str | Number, ...]:
    share = "" if pair.relative is None else f"{pair.relative:+.2%}"
    return (*("" if value is None else value for value in (pair.old, pair.new, pair.change)), share)


def difference_of(old: tuple[str, Mapping[str, Any]], new: tuple[str, Mapping[str, Any]]) -> Difference:
    """Return what changed between two documents, each with what it is called."""
    (old_name, before), (new_name, after) = old, new
    ours, theirs = _numbers(before), _numbers(after)
    keys = _in_order(list(ours), list(theirs))
    signatures = str(before.get("signature", "")), str(after.get("signature", ""))
    return Difference(
        old_name,
        new_name,
        tuple(Pair(*key, ours.get(key), theirs.get(key)) for key in keys),
        tuple(changes(*signatures)),
        not incomparable(*signatures),
    )


Key = tuple[str, str, str, str]
"""The part, the kind, the label and the name of a number."""


def _in_order(ours: Sequence[Key], theirs: Sequence[Key]) -> list[Key]:
    """Return the keys of both, those of the second behind the one that they follow there."""
    found = dict.fromkeys(ours)
    if all(key in found for key in theirs):
        return list(found)
    merged, known = list(ours), set(ours)
    place = 0
    for key in theirs:
        if key in known:
            place = merged.index(key) + 1
        else:
            merged.insert(place, key)
            place += 1
    return merged


def _numbers(document: Mapping[str, Any]) -> dict[Key, Number]:
    """Return all numbers of a document by part, kind, label and name."""
    found: dict[Key, Number] = {("number", "", "", name): value for name, value in _of_score(document)}
    for name, kind in LISTS.items():
        for entry in _items(document.get(name)):
            label = _label(entry.get(kind))
            found |= {("number", kind, label, each): value for each, value in _of_score(entry)}
    macro = document.get(MACRO)
    if isinstance(macro, Mapping):
        found |= {("number", MACRO, MACRO, name): value for name, value in _of_score(macro)}
    for ledger in LEDGERS:
        counts = document.get(ledger)
        if isinstance(counts, Mapping):
            found |= {
                ("ledger", "", "", f"{ledger}.{name}"): count
                for name, count in counts.items()
                if isinstance(count, int | float)
            }
    return found


def _items(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def _label(value: Any) -> str:
    """Return the label of an entry; those of a group by several columns are joined, and quoted if they hold commas."""
    if not isinstance(value, Mapping):
        return str(marked(value))
    texts = [str(marked(label)) for label in value.values()]
    return texts[0] if len(texts) == 1 else ",".join(f'"{text}"' if "," in text else text for text in texts)


def _of_score(entry: Mapping[str, Any]) -> Iterator[tuple[str, Number]]:
    """Yield the numbers of a score; those that are not finite have words beside them."""
    words = entry.get("not_finite")
    words = words if isinstance(words, Mapping) else {}

    def number(name: str, value: Any) -> Number:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return NOT_FINITE.get(str(words.get(name)))

    for name in OWN_NUMBERS:
        if name in entry:
            yield name, number(name, entry[name])
    for group in NUMBER_LISTS:
        numbers = entry.get(group)
        if isinstance(numbers, Mapping):
            yield from ((name, number(name, value)) for name, value in numbers.items())
    penalties = entry.get("penalties")
    if isinstance(penalties, Mapping):
        yield from ((f"{name}_penalty", number(name, value)) for name, value in penalties.items())
