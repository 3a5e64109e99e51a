"""Into how many spans work is cut for machines that do it elsewhere."""

from __future__ import annotations

import pytest

from msecli.scoring.spans import number_of


@pytest.mark.parametrize(
    ("seconds", "jobs", "expected"),
    [
        (0.0, 2, 1),  # to hand out a second one would take longer
        (0.005, 2, 1),
        (0.6, 2, 2),  # 2 * 0.01 + 0.3, and not 0.01 + 0.6
        (2.6, 2, 6),  # five of half a second would end one after the other: 3 * 0.52, and not 3 * 0.43
        (3600.0, 2, 1200),  # three seconds each
        (3600.0, 7, 1204),  # likewise, and all end together
        (66.7, 1000, 133),  # half a second each: a thousand take 10 seconds to hand out
        (0.1, 1000, 3),  # sqrt(0.1 / 0.01), of which the last one is handed out when the first one ends
    ],
)
def test_all_end_as_early_as_can_be(seconds: float, jobs: int, expected: int) -> None:
    assert number_of(seconds, jobs) == expected
