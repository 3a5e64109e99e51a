"""No run of the command imports pandas, which takes longer than most runs: labels and results of any type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROBE = """
import sys
from msecli.cli.main import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(*sys.modules)
"""

KINDS = ("float64", "float16", "int8", "uint64", "bool")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    columns = {"pred": [1.0, 2.0, 3.0], "target": [1.0, 2.0, 4.0], "real": [0.5, 1.5, 0.5], "flag": [True, False, True]}
    pq.write_table(pa.table({**columns, "day": pa.array([1, 2, 3], pa.date32())}), tmp_path / "t.parquet")
    for kind in KINDS:
        np.save(tmp_path / f"{kind}.npy", np.array([[1, 1], [0, 0]], dtype=kind))
    # As many blank lines as make a part without rows.
    (tmp_path / "blank.csv").write_text("pred,target\n1,2\n" + "\n" * (5 << 20) + "2,2\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        *(["t.parquet", "--by", name] for name in ("real", "flag", "day")),
        *([f"{kind}.npy", "-p", "0", "-t", "1", "--by", "0"] for kind in KINDS),
        ["int8.npy", "int8.npy", "-p", "1", "-t", "1", "--on", "0"],
        ["float64.npy", "float64.npy", "-p", "1", "-t", "1", "--on", "0"],
        ["t.parquet", "-m", "rmse", "-o", "o.parquet"],
        ["t.parquet", "--by", "real", "-o", "o.parquet"],
        ["t.parquet", "--batch-size", "2", "-o", "o.parquet"],
        ["t.parquet", "-r", "none", "-o", "o.parquet"],
        ["blank.csv"],
    ],
    ids=" ".join,
)
def test_no_run_imports_pandas(folder: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", PROBE, "compute", *words]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "pandas" not in ran.stdout.splitlines()[-1].split()


def test_a_result_in_parquet_has_the_types_of_its_columns(folder: Path) -> None:
    command = [sys.executable, "-c", PROBE, "compute", "t.parquet", "--by", "real", "-m", "r2", "-o", "o.parquet"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    table = pq.read_table(folder / "o.parquet")
    kinds = {name: str(kind) for name, kind in zip(table.column_names, table.schema.types, strict=True)}
    assert kinds["scope"] == kinds["real"] == kinds["status"] == "string"
    assert kinds["loss"] == kinds["r2"] == "double"
    assert kinds["denominator"] == kinds["rows_used"] == "int64"
    # Group 0.5 has errors 0 and 1 and group 1.5 one error of 0, so the pooled loss is 1/3 and the plain mean 1/4.
    # The plain mean has no denominator, and r2 of one row is not defined.
    assert table["real"].to_pylist() == ["0.5", "1.5", None, None]
    assert table["loss"].to_pylist() == [0.5, 0.0, 1 / 3, 0.25]
    assert table["denominator"].to_pylist() == [2, 1, 3, None]
    assert table["r2"].to_pylist()[1] is None
