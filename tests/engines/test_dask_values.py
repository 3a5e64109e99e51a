"""Values of elements that a cluster writes in parts are, one after the other, those this process writes to a file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli
from msecli.arrays import FloatArray
from msecli.outputs.parts import PartsFolder
from msecli.results.values import Layout
from tests.conftest import Ran
from tests.engines.cluster import Cluster, cluster_of, wait_until
from tests.engines.test_agreement import columns, stored
from tests.engines.test_dask_resume import COMMAND, Noting, ended, last_pass

pytest.importorskip("distributed")

FORMATS = ("npy", "csv", "tsv", "parquet")
ROWS = 700
OMIT = ("--nan-target", "omit", "--nan-pred", "omit")
BOTH = ("-p", "pred,b", "-t", "pred,b")
WITHOUT_HOLES = ("-p", "w", "-t", "id")
MODEL = ("--coef", "coef.npy", "-x", "pred,b", "-t", "w")

CASES: dict[str, tuple[str, ...]] = {
    "losses": ("-r", "none", *BOTH, *OMIT, "-o", "losses"),
    "losses with weights of their own": ("-r", "none", *BOTH, *OMIT, "--weight-file", "w.npy", "-o", "losses"),
    "losses of rows": ("--axis", "1", *BOTH, *OMIT, "-o", "losses"),
    "losses of chosen rows": ("-r", "none", *BOTH, *OMIT, "--where", "`pred.g` = 3", "-o", "losses"),
    "a gradient with a known divisor": (*WITHOUT_HOLES, "--grad", "grad", "--grad-target", "gt"),
    "a gradient with another divisor": (*BOTH, *OMIT, "--grad", "grad", "--grad-target", "gt"),
    "a gradient of a sum": (*BOTH, *OMIT, "-r", "sum", "--grad", "grad"),
    "a gradient with weights": (*BOTH, *OMIT, "--weight-file", "w.npy", "-r", "batchmean", "--grad", "grad"),
    "a gradient of chosen rows": (*BOTH, *OMIT, "--where", "`pred.g` = 3", "--grad", "grad"),
    "a gradient of whole batches": (*BOTH, *OMIT, "--batch-size", "300", "--drop-last", "--grad", "grad"),
    "a gradient of shuffled batches": (
        *(*BOTH, *OMIT, "--batch-size", "90", "--shuffle", "1", "--drop-last", "--grad-target", "gt"),
    ),
}
BY_KEY: dict[str, tuple[str, ...]] = {
    "losses": ("-r", "none", *BOTH, *OMIT, "-o", "losses"),
    "losses of rows": ("--axis", "1", *BOTH, *OMIT, "-o", "losses"),
    "losses of matched rows": ("-r", "none", *BOTH, *OMIT, "--unmatched", "skip", "-o", "losses"),
    "losses of chosen rows": ("-r", "none", *BOTH, *OMIT, "--where", "`pred.g` = 3", "-o", "losses"),
    "a gradient": (*BOTH, *OMIT, "--by", "g", "--grad", "grad", "--grad-target", "gt"),
    "a gradient of batches": (*BOTH, *OMIT, "--batch-size", "90", "--shuffle", "1", "--drop-last", "--grad", "grad"),
    "a gradient of a sum of matched rows": (*BOTH, *OMIT, "--unmatched", "skip", "-r", "sum", "--grad", "grad"),
}
LINEAR: dict[str, tuple[str, ...]] = {
    "predictions": (*MODEL, *OMIT, "--predictions", "predictions"),
    "predictions and a gradient": (*MODEL, *OMIT, "--predictions", "predictions", "--grad", "grad"),
}
FOLDERS = {"losses", "grad", "gt", "predictions"}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small files into many parts."""
    for constant, value in {
        "msecli.formats.csv.PART_BYTES": 2_000,
        "msecli.formats.csv.RANGES_SURVEYED": 3,
        "msecli.scoring.spans.BYTES_PER_SECOND": 5_000,
        "msecli.scoring.spans.VALUES_PER_SECOND": 200,
        "msecli.scoring.buckets.BUCKETS_PER_JOB": 3,
        "msecli.scoring.buckets.HANDED_BYTES": 1,
        "msecli.engines.dask.FEWEST_ITEMS": 2,
        "msecli.engines.dask.ITEMS_PER_THREAD": 1,
    }.items():
        monkeypatch.setattr(constant, value)


@pytest.fixture
def elsewhere(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Two tables in this folder, p and t, and the options for the cluster."""
    monkeypatch.chdir(tmp_path)
    for name, kind, seed in (("p", "parquet", 1), ("t", "csv", 2)):
        stored(tmp_path, name, kind, columns(seed))
    np.save("coef.npy", [0.5, -0.25])
    np.save("w.npy", np.random.default_rng(3).random(ROWS))
    return ("--engine", "dask", "--scheduler", cluster.address)


def parts_of(folder: str | Path) -> list[Path]:
    """Return the parts in a folder that is complete and holds nothing else."""
    names = sorted(path.name for path in Path(folder).iterdir())
    assert names[0] == "_SUCCESS"
    parts = [Path(folder, name) for name in names[1:]]
    assert [path.stem for path in parts] == sorted(f"part-{int(path.stem[5:]):05d}" for path in parts)
    return parts


def joined(paths: list[Path]) -> bytes | FloatArray | pa.Table:
    """Return what files hold one after the other, as what is equal only if the bits are."""
    kind = paths[0].suffix
    if kind == ".npy":
        return np.concatenate([np.load(path) for path in paths]).tobytes()
    if kind == ".parquet":
        table = pa.concat_tables(map(pq.read_table, paths))
        return [
            (name, column.is_null().to_pylist(), np.array(column).tobytes())
            for name, column in zip(table.column_names, table.columns, strict=True)
        ]
    texts = [path.read_bytes().splitlines(keepends=True) for path in paths]
    assert len({text[0] for text in texts}) == 1  # each with the same header
    return b"".join([texts[0][0], *chain.from_iterable(text[1:] for text in texts)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_parts_are_what_this_process_writes(elsewhere: tuple[str, ...], run: Callable[..., Ran], kind: str) -> None:
    different = []
    for command, cases in (("compute", CASES), ("linear", LINEAR)):
        for number, (case, words) in enumerate(cases.items()):
            given = (command, "p.parquet", "t.csv", "--no-row-check")
            files = [f"{word}{command}{number}.{kind}" if word in FOLDERS else word for word in words]
            folders = [f"{kind}={word}{command}{number}/" if word in FOLDERS else word for word in words]
            here, there = run(*given, *files), run(*given, *folders, *elsewhere)
            assert (here.code, here.err) == (0, ""), case
            assert there == here, there.err
            for word in FOLDERS.intersection(words):
                parts = parts_of(f"{word}{command}{number}")
                assert len(parts) > 1
                if joined(parts) != joined([Path(f"{word}{command}{number}.{kind}")]):
                    different.append((case, word))
    assert different == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_parts_of_rows_paired_by_key_are_in_the_order_of_the_predictions(
    elsewhere: tuple[str, ...], run: Callable[..., Ran], kind: str
) -> None:
    order = np.random.default_rng(5).permutation(ROWS)
    shuffled = {name: values[order] for name, values in columns(2).items()}
    stored(Path(), "s", "csv", shuffled)
    stored(Path(), "few", "parquet", {name: values[:-80] for name, values in shuffled.items()})
    different = []
    for command, cases in (("compute", BY_KEY), ("linear", LINEAR)):
        for number, (case, words) in enumerate(cases.items()):
            given = (command, "p.parquet", "few.parquet" if "--unmatched" in words else "s.csv", "--on", "id")
            files = [f"{word}{command}{number}.{kind}" if word in FOLDERS else word for word in words]
            folders = [f"{kind}={word}{command}{number}/" if word in FOLDERS else word for word in words]
            here, there = run(*given, *files), run(*given, *folders, *elsewhere)
            assert (here.code, here.err) == (0, ""), case
            assert there == here, there.err
            for word in FOLDERS.intersection(words):
                parts = parts_of(f"{word}{command}{number}")
                assert len(parts) > 1
                if joined(parts) != joined([Path(f"{word}{command}{number}.{kind}")]):
                    different.append((case, word))
    assert different == []
    if kind == "csv":
        assert Path("lossescompute0.csv").read_text().startswith("id,")


def test_a_folder_of_parts_is_an_input_again(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    given = ("compute", "p.parquet", "t.csv", "--no-row-check", "-r", "none", "-p", "pred,b", *OMIT)
    assert run(*given, "-o", "here.csv").code == 0
    assert run(*given, "-o", "there.csv/", *elsewhere).code == 0
    again = [
        msecli.score(path, pred="pred", target="b", nan_target="omit", nan_pred="omit")
        for path in ("here.csv", "there.csv/")
    ]
    assert repr(again[0].loss) == repr(again[1].loss)
    assert again[0].rows == again[1].rows
    assert again[1].rows.prediction == ROWS


def test_the_format_of_parts_is_that_of_the_name_or_npy(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    given = ("compute", "p.parquet", "t.csv", "--no-row-check", *WITHOUT_HOLES, *elsewhere)
    Path("there").mkdir()
    for folder, suffix in (("a/", ".npy"), ("b.tsv/", ".tsv"), ("parquet=c.d/", ".parquet"), ("there", ".npy")):
        assert run(*given, "--grad", folder).code == 0
        assert {path.suffix for path in parts_of(folder.partition("=")[2] or folder)} == {suffix}
    ran = run(*given, "--grad", "json=e/")
    assert (ran.code, "json=e/: parts of values are in one of the formats csv, npy, parquet, tsv" in ran.err) == (
        2,
        True,
    )


def test_what_is_beside_losses_in_a_folder(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    given = ("compute", "p.parquet", "t.csv", "--no-row-check", "-r", "none", *WITHOUT_HOLES, "-m", "rmse", *elsewhere)
    ran = run(*given, "-o", "a/", "--format", "json")
    assert ran.code == 0
    assert '"values"' not in ran.out
    expected = msecli.score("p.parquet", "t.csv", pred="w", target="id", metrics="rmse", row_check=False)
    assert f'"rmse": {expected.metrics["rmse"]!r}' in ran.out
    ran = run(*given, "-o", "b/", "-o", "b.csv")
    assert (ran.code, "the values go to a folder, and the format csv holds only the values" in ran.err) == (2, True)


REFUSED: dict[tuple[str, ...], str] = {
    ("-r", "none"): "writes losses in parts where its workers are: name a folder on the command line, as in -o FOLDER/",
    ("-r", "none", "-o", "x.npy"): "as in -o FOLDER/, or use --engine local",
    ("--axis", "1", "-p", "w,g", "-t", "w,g"): "writes losses in parts",
    (
        "--grad",
        "x.npy",
    ): "writes gradients in parts where its workers are: name a folder on the command line, as in --grad",
    ("--grad", "full/"): "--grad full/: the folder holds notes, too; choose another folder",
    ("--grad", "full/", "--overwrite"): "the folder holds notes, too",
    ("--grad", "old/"): "--grad old/: the folder is not empty; use --overwrite to replace its files",
    ("--grad", "t.csv/"): "this is a file, not a folder",
    ("--grad", "x/", "--grad-target", "x"): "--grad-target x: the suffix '' names no output format",
    ("--grad", "x/", "--grad-target", "x/"): "each kind of values has one folder of its own",
    ("--grad", "."): "the input p.parquet is there; choose another folder",
    ("-o", "x/"): "-o x/: only losses of elements or rows go to a folder; name a file",
}


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_a_folder_that_cannot_be_written_to_is_refused(
    elsewhere: tuple[str, ...], run: Callable[..., Ran], options: tuple[str, ...]
) -> None:
    for folder, name in (("full", "notes"), ("old", "part-00000.npy")):
        Path(folder).mkdir()
        Path(folder, name).touch()
    columns = () if "-p" in options else WITHOUT_HOLES
    ran = run("compute", "p.parquet", "t.csv", "--no-row-check", *columns, *options, *elsewhere)
    assert (ran.code, ran.out) == (2, "")
    assert REFUSED[options] in ran.err
    assert sorted(path.name for path in Path().iterdir()) == [
        *("coef.npy", "full", "old", "p.parquet", "t.csv", "w.npy")
    ]


def test_a_folder_in_none_is_refused(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    ran = run("compute", "p.parquet", "t.csv", *WITHOUT_HOLES, "--grad", "no/x/", *elsewhere)
    assert (ran.code, "there is no folder" in ran.err) == (4, True)


def test_a_folder_is_overwritten_on_demand(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    given = ("compute", "p.parquet", "t.csv", "--no-row-check", *WITHOUT_HOLES, *elsewhere, "--grad", "x/")
    assert run(*given).code == 0
    expected = joined(parts_of("x"))
    for name in ("part-00099.npy", ".part-00001.npy.msecli-0a0b0c0d.tmp"):
        Path("x", name).touch()
    assert run(*given).code == 2
    assert run(*given, "--overwrite").code == 0
    assert joined(parts_of("x")) == expected


def test_python_has_no_values_of_a_cluster(elsewhere: tuple[str, ...]) -> None:
    for more in ({"reduction": "none"}, {"keep": "grad"}):
        with pytest.raises(msecli.UsageError, match="in parts where its workers are"):
            msecli.score("p.parquet", "t.csv", pred="w", target="id", engine="dask", scheduler=elsewhere[3], **more)  # type: ignore[arg-type]


def test_bad_data_leave_no_marker(elsewhere: tuple[str, ...], run: Callable[..., Ran]) -> None:
    """Missing values are told at the end, when the parts of a gradient with a known divisor have been written."""
    given = ("compute", "p.parquet", "t.csv", "--no-row-check", *BOTH)
    for more in (("-r", "sum"), ()):
        ran = run(*given, *more, *elsewhere, "--grad", "x/", "--overwrite")
        assert ran == run(*given, *more, "--grad", "x.npy")
        assert ran.code == 3
        assert not Path("x", "_SUCCESS").exists()


def command(cluster: Cluster, path: Path, *more: object) -> subprocess.Popen[str]:
    words = (sys.executable, "-c", COMMAND, "compute", path, "--engine", "dask", "--scheduler", cluster.address, *more)
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table whose first pair is left out, so that the divisor of a gradient is found in a pass of its own."""
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n,1\n" + "".join(f"{row}.25,{row % 7}\n" for row in range(4000)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_worker_leaves_no_half_of_a_part(
    tmp_path: Path, table: Path, run: Callable[..., Ran], attempt: int
) -> None:
    expected = run("compute", table, "--nan-pred", "omit", "--grad", tmp_path / "g.npy")
    with cluster_of(tmp_path / "c", 2, Noting(tmp_path, 0.05).preload) as cluster:
        process = command(cluster, table, "--nan-pred", "omit", "--grad", f"{tmp_path}/g/")
        wait_until(lambda: process.poll() is not None or (tmp_path / "g").exists())
        time.sleep(2 * Random(attempt).random())  # noqa: S311 - of a test
        cluster.workers[attempt % 2].kill()
        code, out, err = ended(process)
    assert (code, out, err) == (0, expected.out, "")
    assert joined(parts_of(tmp_path / "g")) == joined([tmp_path / "g.npy"])


@pytest.mark.slow
def test_a_run_that_resumes_writes_only_missing_parts(tmp_path: Path, table: Path, run: Callable[..., Ran]) -> None:
    folder, journal = tmp_path / "x", tmp_path / "j"
    given = ("--nan-pred", "omit", "-r", "none", "-o", f"npy={folder}/", "--resume", journal)
    noting = Noting(tmp_path, 0.1)
    with cluster_of(tmp_path / "a", 2, noting.preload) as cluster:
        process = command(cluster, table, *given)
        wait_until(lambda: journal.exists() and len(last_pass(journal)) > 1)
        cluster.scheduler.kill()
        assert ended(process)[0] == 4
    assert not (folder / "_SUCCESS").exists()
    done = sum(each["items"] for each in last_pass(journal))
    before = {number: (folder / f"part-{number:05d}.npy").stat().st_mtime_ns for number in range(done)}
    lost = folder / "part-00000.npy"
    with cluster_of(tmp_path / "b", 1, noting.preload) as cluster:
        # Without the journal they could be of anything.
        code, _, err = ended(command(cluster, table, *given[:-2]))
        assert (code, "the folder is not empty" in err) == (2, True)
        # A part that somebody has taken away is missed in the end, and not passed over.
        content = lost.read_bytes()
        lost.unlink()
        code, _, err = ended(command(cluster, table, *given))
        assert (code, "parts; all workers must see this folder" in err) == (4, True)
        assert not (folder / "_SUCCESS").exists()
        lost.write_bytes(content)
        before[0] = lost.stat().st_mtime_ns
        assert ended(command(cluster, table, *given)) == (0, "", "")
    after = {number: (folder / f"part-{number:05d}.npy").stat().st_mtime_ns for number in range(done)}
    assert after == before
    assert run("compute", table, "--nan-pred", "omit", "-r", "none", "-o", tmp_path / "x.npy").code == 0
    assert joined(parts_of(folder)) == joined([tmp_path / "x.npy"])
    assert not journal.exists()


def test_workers_that_cannot_write_say_so(
    elsewhere: tuple[str, ...], run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that only this process has."""
    begin = PartsFolder.begin

    def begun(self: PartsFolder, layout: Layout) -> None:
        begin(self, layout)
        self.path = "/nowhere/x/"

    monkeypatch.setattr(PartsFolder, "begin", begun)
    ran = run("compute", "p.parquet", "t.csv", "--no-row-check", *WITHOUT_HOLES, "--grad", "x/", *elsewhere)
    message = "Error: /nowhere/x/part-00000.npy: cannot write: No such file or directory\n"
    assert (ran.code, ran.out, ran.err) == (4, "", message)
    assert list(Path("x").iterdir()) == []
