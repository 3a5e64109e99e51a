"""What a column of labels holds in some rows; see `msecli.core.profiles`."""

from __future__ import annotations

import numpy as np

from msecli.core.profiles import MOST_DISTINCT, Profile, Value
from msecli.formats.base import LabelArray
from msecli.pairing.labels import codes_of, missing


def label_profile(labels: LabelArray, most: int = MOST_DISTINCT) -> Profile:
    """Return the profile of labels, which are compared as integers or as texts."""
    absent = missing(labels)
    count, gone = len(labels), 0 if absent is None else int(np.count_nonzero(absent))
    if count == gone:
        return Profile(count, gone, most=most)
    low: Value
    high: Value
    ends: tuple[Value, Value] | None = None
    if isinstance(labels, np.ndarray):
        rising = bool((labels[1:] > labels[:-1]).all())
        ends = (int(labels[0]), int(labels[-1])) if rising else None
        low, high = int(labels.min()), int(labels.max())
    else:
        from msecli.arrow.functions import extremes

        low, high = extremes(labels)
    found = _distinct(labels, most)
    return Profile(count, gone, minimum=low, maximum=high, distinct=found, most=most, ends=ends)


def _distinct(labels: LabelArray, most: int) -> frozenset[Value] | None:
    for some in (labels[: 2 * most], labels):
        _, dictionary = codes_of(some)
        if len(dictionary) > most + 1:  # a missing label has a code, too
            return None
    found = frozenset(label for label in dictionary.tolist() if label is not None)
    return found if len(found) <= most else None
