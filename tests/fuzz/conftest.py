"""The cases to run, as the options in `tests/conftest.py` say."""

from __future__ import annotations

import pytest

from tests.fuzz.cases import Fuzz

CASES = 150


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Fuzz:
    """Return the cases of a test."""
    option = request.config.getoption
    one, count = option("--fuzz-case"), option("--fuzz-cases")
    numbers = range(CASES if count is None else count) if one is None else [one]
    return Fuzz(option("--fuzz-seed"), numbers, request.node.nodeid)
