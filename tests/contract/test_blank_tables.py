"""Tables of a header and blank lines have no rows, however many lines there are and however rows are paired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize("keys", [[], ["--on", "id"], ["--on", "id", "--on", "k"]], ids=" ".join)
@pytest.mark.parametrize("lines", [1, 70_000])
def test_a_table_of_blank_lines_has_no_rows(run: Run, tmp_path: Path, keys: list[str], lines: int) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("id,k,pred,target\n" + "\n" * lines)
    ran = run("compute", tmp_path / "a.csv", tmp_path / "b.csv", "-p", "pred", "-t", "target", *keys)
    assert (ran.code, ran.out) == (3, "")
    assert "Traceback" not in ran.err
