"""What a run loads: heavy libraries only when the work needs them, and no names but the public ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import msecli

LIBRARIES = ("click", "numpy", "pandas", "pyarrow", "pyarrow.csv", "pyarrow.parquet", "pyarrow.dataset", "rich")
UNUSED = ("concurrent.futures", "csv", "decimal", "difflib", "fractions", "json", "logging", "shutil", "tempfile")
"""Modules of the standard library that only some runs need: loading them all takes a tenth of a short one."""

PROBE = """
import sys
from msecli.cli.main import main
try:
    sys.argv[0] = "msecli"
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(*(name for name in {libraries!r} if sys.modules.get(name)), file=sys.stderr)
"""


def _loaded(*arguments: str, libraries: tuple[str, ...] = LIBRARIES) -> set[str]:
    probe = PROBE.format(libraries=libraries)
    ran = subprocess.run([sys.executable, "-c", probe, *arguments], capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compute", "--help"]], ids=" ".join)
def test_help_loads_only_click(arguments: list[str]) -> None:
    assert _loaded(*arguments) == {"click"}


@pytest.mark.parametrize(
    ("prediction", "target", "expected"),
    [
        ("digits_pca16.npy", "digits_target.npy", set[str]()),
        ("diabetes_ridge.csv", "diabetes_target.csv", set[str]()),
        ("linnerud_pred.csv", "linnerud_target.csv", set[str]()),
    ],
    ids=["npy", "csv with row ids", "csv"],
)
def test_a_run_loads_only_what_its_formats_need(
    sample_data: Path, prediction: str, target: str, expected: set[str]
) -> None:
    files = [str(sample_data / prediction), str(sample_data / target)]
    named = ["-p", "weight,waist,pulse"] if "linnerud" in prediction else []
    assert _loaded("compute", *files, *named) == {"click", "numpy"} | expected


def test_keys_and_groups_of_integers_in_text_load_no_arrow(sample_data: Path) -> None:
    files = [str(sample_data / name) for name in ("diabetes_ridge.csv", "diabetes_target.csv")]
    assert _loaded("compute", *files, "--on", "id", "--by", "id") == {"click", "numpy"}


def test_text_that_the_python_kernel_reads_through_arrow_loads_no_pandas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSECLI_KERNEL", "python")
    rows = "".join(f"{row},{row}.5,{row},{'' if row % 7 else 'group'}\n" for row in range(9000))
    path = tmp_path / "rows.csv"
    path.write_text(f"id,pred,target,part\n{rows}")
    loaded = _loaded("compute", str(path), "-p", "pred", "-t", "target", "--by", "part")
    assert loaded == {"click", "numpy", "pyarrow", "pyarrow.csv"}


def test_a_look_at_numbers_loads_no_more_than_a_score(sample_data: Path) -> None:
    files = [str(sample_data / name) for name in ("diabetes_ridge.csv", "diabetes_target.csv")]
    assert _loaded("inspect", *files) == {"click", "numpy"}
    assert _loaded("compute", *files, "--dry-run") == {"click", "numpy"}


PARQUET = ("compute", "diabetes_scores.parquet", "-p", "ridge", "-t", "target")
SHUFFLED = ("compute", "diabetes_forest_shuffled.parquet", "diabetes_scores.parquet", "-t", "target")


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (PARQUET, set[str]()),
        ((*PARQUET, "--by", "sex"), set[str]()),
        ((*PARQUET, "--by", "age_band"), set[str]()),
        ((*SHUFFLED, "--on", "id"), set[str]()),
        ((*PARQUET, "-r", "none", "-o", "OUT.parquet"), {"pyarrow.parquet"}),
        ((*PARQUET, "-r", "none", "-o", "OUT.csv"), {"pyarrow.csv"}),
    ],
    ids=["rows", "by", "by text", "on", "to parquet", "to csv"],
)
def test_reading_parquet_loads_neither_pandas_nor_the_public_module(
    sample_data: Path, tmp_path: Path, arguments: tuple[str, ...], more: set[str]
) -> None:
    words = [str(sample_data / word) if word.startswith("diabetes") else word for word in arguments]
    loaded = _loaded(*(word.replace("OUT", str(tmp_path / "out")) for word in words))
    assert loaded == {"click", "numpy", "pyarrow"} | more


def test_a_plain_run_loads_no_module_that_it_does_not_use(sample_data: Path) -> None:
    files = [str(sample_data / name) for name in ("digits_pca16.npy", "digits_target.npy")]
    # What NumPy and Click load by themselves is theirs to choose.
    code = "import sys, click, numpy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert _loaded("compute", *files, libraries=UNUSED) <= set(loaded)


def test_a_run_loads_no_command_and_no_output_but_its_own(sample_data: Path) -> None:
    files = [str(sample_data / name) for name in ("digits_pca16.npy", "digits_target.npy")]
    modules = tuple(
        f"msecli.{folder}.{name}"
        for folder, names in {
            "cli": ("compute", "completion", "gradcheck", "linear", "norm"),
            "outputs": ("json", "markdown", "npy", "parquet", "plain", "table"),
            "core": ("linear", "penalty"),
        }.items()
        for name in names
    )
    assert _loaded("compute", *files, libraries=modules) == {"msecli.cli.compute", "msecli.outputs.plain"}
    assert _loaded("--version", libraries=modules) == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, msecli; print(*(set(sys.modules) & {'click', 'numpy', 'pandas', 'pyarrow', 'rich'}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_the_public_names_are_these() -> None:
    assert sorted(msecli.__all__) == [
        "Accumulator",
        "Batch",
        "Comparison",
        "DataError",
        "Difference",
        "GateError",
        "GradCheck",
        "Inspection",
        "LinearResult",
        "MSELoss",
        "MsecliError",
        "NormResult",
        "ReadWriteError",
        "Reading",
        "Result",
        "UsageError",
        "__version__",
        "batch",
        "compare",
        "diff",
        "gradcheck",
        "inspect",
        "iter_batches",
        "linear",
        "linear_loss",
        "merge",
        "mse_loss",
        "mse_loss_grad",
        "norm",
        "penalty",
        "score",
        "vector_norm",
    ]
    assert all(getattr(msecli, name) is not None for name in msecli.__all__)
    assert dir(msecli) == sorted(msecli.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mse_los'"):
        _ = msecli.mse_los
