"""Signatures read back: whether two scores are comparable, and if not, in what they differ."""

from __future__ import annotations

import re

from msecli.results.score import SIGNATURE_FIELD
from msecli.tuples import NamedTuple

APART = frozenset({"used", "msecli"})
"""The fields in which comparable scores may differ."""

SCORE = "score"
"""What the first field, which has no name, is called."""


class Change(NamedTuple):
    """A field in which two signatures differ; None is a field that one does not have."""

    field: str
    old: str | None
    new: str | None


def fields_of(signature: str) -> dict[str, str]:
    """Return the fields of a signature by name.

    Examples
    --------
    >>> fields_of('mse|columns:"a|b"~y|weights:none')
    {'score': 'mse', 'columns': '"a|b"~y', 'weights': 'none'}
    """
    first, *others = re.findall(SIGNATURE_FIELD, signature) or [""]
    named = (field.partition(":") for field in others)
    return {SCORE: first, **{name: text for name, _, text in named}}


def changes(old: str, new: str) -> list[Change]:
    """Return the fields in which two signatures differ, in the order of the first one that has them."""
    ours, theirs = fields_of(old), fields_of(new)
    both = ((name, ours.get(name), theirs.get(name)) for name in {**ours, **theirs})
    return [Change(*each) for each in both if each[1] != each[2]]


def incomparable(old: str, new: str) -> list[Change]:
    """Return the differing fields that make two scores incomparable.

    Examples
    --------
    >>> incomparable("mse|reduction:mean|used:9/9|msecli:0.1.0", "mse|reduction:mean|used:8/9|msecli:0.2.0")
    []
    """
    return [change for change in changes(old, new) if change.field not in APART]
