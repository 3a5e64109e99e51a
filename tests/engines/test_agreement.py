"""Where parts are folded changes no bit of a result: the engine of threads, and one of processes.

The processes share nothing with this one, so that all they are given, and all they give back, has been pickled. What
is expected is the result of the local engine with one job, which is a plain loop over the parts.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from itertools import product
from operator import methodcaller
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli
from msecli.core.metrics import METRICS
from msecli.core.reduction import REDUCTIONS
from msecli.engines import ENGINES, EngineEntry, engine_named
from msecli.formats.base import Block, Source
from msecli.results.base import Report
from msecli.scoring.finish import finish
from msecli.scoring.fold import fold, score_rows
from msecli.scoring.plan import Plan, make_plan
from msecli.scoring.request import Request
from msecli.scoring.rows import PairedRows, by_position
from msecli.scoring.spans import spans_of
from tests.engines.processes import processes, through_a_process

HERE = ("local", "processes")
"""The engines of this machine; `tests.engines.test_dask` has those of others."""
ROWS = 700
KINDS = ("csv", "tsv", "parquet", "npy", "frame", "table", "array")
NAMES = ("pred", "b", "w", "id", "g")


@pytest.fixture(scope="module", autouse=True)
def engines() -> Iterator[None]:
    entry = EngineEntry("processes", "processes", "tests.engines.processes", "ProcessEngine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "processes", entry)
        # Several parts of every file.
        modules = ("parquet", "memory", "exchange", "columnar")
        for constant in ("csv.PART_BYTES", "stored.PART_ELEMENTS", *(f"{module}.ROWS_PER_BLOCK" for module in modules)):
            patch.setattr(f"msecli.formats.{constant}", 10_000 if constant == "csv.PART_BYTES" else 200)
        yield
    processes().shutdown(cancel_futures=True)
    processes.cache_clear()


def columns(seed: int) -> dict[str, Any]:
    """Return numbers of very different magnitudes with holes, weights, a key and groups, in the same order for all."""
    random, both = np.random.default_rng(seed), np.random.default_rng(9)
    numbers = [np.ldexp(random.normal(size=ROWS), random.integers(-30, 30, ROWS)) for _ in range(2)]
    for values in numbers:
        values[random.random(ROWS) < 0.05] = np.nan
    key = both.permutation(ROWS)
    return {"pred": numbers[0], "b": numbers[1], "w": both.random(ROWS), "id": key, "g": key % 5}


def stored(folder: Path, name: str, kind: str, data: dict[str, Any]) -> Any:
    """Return data as a file, or in memory."""
    path = folder / f"{name}.{kind}"
    frame = pd.DataFrame(data)
    if kind in {"csv", "tsv"}:
        frame.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=190)
    elif kind in {"npy", "array"}:
        array = np.stack([column.astype(np.float64) for column in data.values()], axis=1)
        if kind == "array":
            return array
        np.save(path, array)
    else:
        return frame if kind == "frame" else pa.Table.from_pandas(frame, preserve_index=False)
    return path


class Pair(NamedTuple):
    """Predictions, targets in the same order and in another one, and what their columns are called."""

    predictions: Any
    targets: Any
    shuffled: Any
    names: dict[str, str]


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder, kind = tmp_path_factory.mktemp(request.param), request.param
    names = {name: str(number) if kind in {"npy", "array"} else name for number, name in enumerate(NAMES)}
    order = np.random.default_rng(5).permutation(ROWS)
    shuffled = {name: values[order] for name, values in columns(2).items()}
    sides = (("p", columns(1)), ("t", columns(2)), ("s", shuffled))
    predictions, targets, others = (stored(folder, name, kind, data) for name, data in sides)
    return Pair(predictions, targets, others, names)


def bits(value: Any) -> Any:
    """Return all of a value as what is equal only bit by bit; nan is equal to nan."""
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype), value.tobytes()
    if isinstance(value, dict):
        return {name: bits(each) for name, each in value.items()}
    return repr(value)


def all_of(report: Report) -> dict[str, Any]:
    """Return all fields of a result, which `==` does not compare: neither arrays nor what is nan."""
    return {field.name: bits(getattr(report, field.name)) for field in fields(report)}  # type: ignore[arg-type]


OMIT: dict[str, Any] = {"nan_target": "omit", "nan_pred": "omit"}
METRIC_NAMES = ["all", "lp:3"]
KEPT = {"keep": ["grad", "grad_target"]}
COMPUTE: dict[str, dict[str, Any]] = {
    "position": {"metrics": METRIC_NAMES},
    "key": {"metrics": METRIC_NAMES, "on": "id"},
    "groups": {"metrics": METRIC_NAMES, "by": "g"},
    "groups by key": {"by": "g", "on": "id", "reduction": "sum"},
    "batches": {"batch_size": 64, "metrics": "mae"},
    "shuffled batches": {"batch_size": 100, "shuffle": 3, "drop_last": True},
    "batches by key": {"batch_size": 100, "on": "id"},
    "none": {"reduction": "none"},
    "none by key": {"reduction": "none", "on": "id"},
    "gradient": KEPT,
    "gradient of a sum by key": {"on": "id", "reduction": "sum", **KEPT},
    "intervals by the bootstrap": {"ci": 0.9, "bootstrap": 100, "by": "g"},
    "intervals of clusters": {"ci": 0.9, "cluster": "g"},
    "what else can be asked": {"explain": True, "worst": 7, "by": "g", "sort": "mae", "top": 2},
    "bins of chosen rows": {"where": "b", "worst": 3},
    "axis 0": {"axis": 0},
    "axis 1": {"axis": 1},
}


def runs(pair: Pair) -> Iterator[tuple[str, Any]]:
    """Yield each thing there is to compute, as a function of an engine and its jobs."""
    sides, keyed = (pair.predictions, pair.targets), (pair.predictions, pair.shuffled)
    both = [pair.names["pred"], pair.names["b"]]
    for case, settings in COMPUTE.items():
        options: dict[str, Any] = {
            name: pair.names[value] if name in {"on", "by", "cluster"} else value for name, value in settings.items()
        }
        if "where" in options:
            options |= {"where": f"`pred.{pair.names['b']}` > 0", "by_bins": f"pred.{pair.names['b']}:5"}
        data = keyed if "on" in options else sides
        yield case, partial(msecli.score, *data, pred=both, target=both, **OMIT, **options)
    weights = np.random.default_rng(3).random(ROWS)
    pairs: dict[str, Any] = {"pred": pair.names["pred"], "target": pair.names["pred"], **OMIT}
    yield "weights", partial(msecli.score, *sides, **pairs, weight_file=weights, metrics=METRIC_NAMES)
    model: dict[str, Any] = {
        "inputs": both,
        "target": pair.names["pred"],
        "coef": [0.5, -0.25],
        "intercept": [2.0],
        **OMIT,
    }
    kept = ["grad_params", "predictions", "grad"]
    penalties: dict[str, Any] = {"l1": 0.5, "l2": 0.25, "grad_norm": True, "regularize_intercept": True}
    yield "linear", partial(msecli.linear, *sides, **model, **penalties, keep=kept)
    yield "linear batches", partial(msecli.linear, *sides, **model, batch_size=90, grad_norm=True)
    whole, key = [pair.names["w"], pair.names["g"]], pair.names["id"]
    yield "norm", partial(msecli.norm, sides[0], columns=whole, ord=[1, 2, 2.5, np.inf])
    yield "norm of a difference", partial(msecli.norm, *sides, columns=whole, ord=[1, 2, 3])
    yield "gradcheck", partial(msecli.gradcheck, *sides, **pairs, samples=40)
    yield "gradcheck by key", partial(msecli.gradcheck, *keyed, **pairs, on=key, samples=40)
    yield "gradcheck of a model", partial(msecli.gradcheck, *sides, **model)


@pytest.mark.slow
def test_every_engine_gives_the_same_bits(pair: Pair) -> None:
    others = [(engine, jobs) for engine, jobs in product(HERE, (1, 3)) if (engine, jobs) != ("local", 1)]
    different = []
    for case, run in runs(pair):
        expected = all_of(run(engine="local", jobs=1))
        different += [
            (case, engine, jobs) for engine, jobs in others if all_of(run(engine=engine, jobs=jobs)) != expected
        ]
    assert different == []
    assert len(others) >= 3


def test_every_engine_raises_the_same_error(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n" + "1.5,2\n" * 2000 + "1.5,two\n" + "1.5,2\n" * 2000)
    messages = set()
    for engine in HERE:
        with pytest.raises(msecli.DataError) as raised:
            msecli.score(path, engine=engine)
        messages.add(str(raised.value))
    (message,) = messages
    assert "'two'" in message
    assert "2002" in message


# What goes between processes


def plan_of(pair: Pair, **options: Any) -> Plan:
    both = (pair.names["pred"], pair.names["b"])
    options |= {name: pair.names[options[name]] for name in ("on", "by") if name in options}
    targets = pair.shuffled if "on" in options else pair.targets
    return make_plan(
        Request.of(predictions=pair.predictions, targets=targets, pred=both, target=both, **OMIT, **options)
    )


CASES: list[dict[str, Any]] = [
    {"metrics": METRIC_NAMES, "by": "g"},
    {"on": "id", "keep": "grad"},
    {"batch_size": 64, "reduction": "batchmean"},
    {"reduction": "none", "metrics": "r2"},
]


@pytest.mark.parametrize("options", CASES, ids=" ".join)
def test_a_plan_its_tally_ledger_and_result_come_back_from_another_process_unchanged(
    pair: Pair, options: dict[str, Any]
) -> None:
    plan = plan_of(pair, **options)
    sent = through_a_process(plan)
    results = []
    for each in (plan, sent):
        sinks = {name: _Ignored() for name in ("losses", "grad")}
        with engine_named("local").start(1) as engine:
            folded = fold(each, engine, sinks, None, lambda _: None)  # type: ignore[arg-type]
        results += [finish(each, folded), finish(each, through_a_process(folded))]
    results.append(through_a_process(results[0]))
    assert [all_of(result) for result in results] == [all_of(results[0])] * 5
    assert results[-1] == results[0] or "r2" in results[0].metrics


class _Ignored:
    """Takes values and forgets them."""

    def append(self, block: Any, keys: Any) -> None:
        """Forget values."""


def test_parts_come_back_from_another_process_and_read_the_same_rows(pair: Pair) -> None:
    plan = plan_of(pair, by="g")
    for number, source in enumerate(plan.sources):
        selection = plan.roles.selection(number)
        parts = source.parts(selection)
        assert len(parts) > 1
        sent_source: Source = through_a_process(source)
        expected = rows_read(parts)
        assert rows_read(through_a_process(list(parts))) == expected
        assert rows_read(sent_source.parts(selection)) == expected
        sent_source.verify()


def rows_read(parts: Any) -> list[Any]:
    blocks = [block for part in parts for block in part.read()]
    return [
        (block.rows, bits(dict(block.numbers)), {name: labels.tolist() for name, labels in block.labels.items()})
        for block in blocks
    ]


def test_spans_and_what_is_made_of_their_rows_come_back_from_another_process(tmp_path: Path) -> None:
    for kind in ("npy", "parquet"):
        files = [str(stored(tmp_path, name, kind, columns(seed))) for name, seed in (("p", 1), ("t", 2))]
        both = ("0", "1") if kind == "npy" else ("pred", "b")
        plan = make_plan(Request.of(predictions=files[0], targets=files[1], pred=both, target=both, **OMIT))
        sought = by_position(plan)
        found = spans_of(sought.sources, sought.selections, ENGINES["local"].start(1))
        assert found is not None
        spans = list(found.each)
        assert len(spans) > 1
        sent = through_a_process(spans)
        for span, other in zip(spans, sent, strict=True):
            assert span.first_row == other.first_row
            assert [rows_read(parts) for parts in span.parts] == [rows_read(parts) for parts in other.parts]


def test_an_outcome_comes_back_from_another_process(pair: Pair) -> None:
    plan = plan_of(pair, keep=["grad", "predictions"], metrics=METRIC_NAMES)
    with engine_named("local").start(1) as engine:
        paired = PairedRows(plan, engine, lambda _: None)
        outcomes = [outcome for _, outcome in paired.each(partial(score_rows, plan, None), numbered=False)]
    assert outcomes
    for outcome, sent in zip(outcomes, through_a_process(outcomes), strict=True):
        assert bits(dict(sent.values)) == bits(dict(outcome.values))
        assert repr(sent.gradient) == repr(outcome.gradient)
        assert repr(sent.tally.pooled.state.summary()) == repr(outcome.tally.pooled.state.summary())


TEXT = "pred,target\n" + "".join(f"{row}.25,{row % 7}\n" for row in range(ROWS))


def test_standard_input_pipes_and_other_encodings_are_read_by_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied to a file without a name is opened by the other process all the same."""
    plain, wide, pipe = tmp_path / "x.csv", tmp_path / "w.csv", tmp_path / "pipe"
    plain.write_text(TEXT)
    wide.write_bytes(TEXT.encode("utf-16"))
    os.mkfifo(pipe)
    expected = msecli.score(plain).loss
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert msecli.score("-", engine="processes").loss == expected
    assert msecli.score(wide, reading=msecli.Reading(encoding="utf-16"), engine="processes").loss == expected
    feeder = Thread(target=pipe.write_text, args=(TEXT,), daemon=True)
    feeder.start()
    assert msecli.score(pipe, engine="processes").loss == expected


def test_a_file_that_was_replaced_is_still_read_by_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    plan = make_plan(Request.of(predictions=path))
    parts = plan.sources[0].parts(plan.roles.selection(0))
    expected = rows_read(parts)
    path.unlink()
    path.write_text("pred,target\n1,2\n")
    assert rows_read_there(parts) == expected


def test_a_file_that_was_changed_is_refused_by_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    plan = make_plan(Request.of(predictions=path))
    with path.open("a") as file:
        file.write("1,2\n")
    with pytest.raises(msecli.DataError, match=r"x\.csv: the file was changed while it was read"):
        rows_read_there(plan.sources[0].parts(plan.roles.selection(0)))


def rows_read_there(parts: Any) -> list[Any]:
    """Return what the parts hold, read in another process."""
    engine: Any = ENGINES["processes"].start(1)
    blocks = engine.run(methodcaller("read"), parts)
    return [row for block in blocks for row in rows_read([_Read(block)])]


class _Read(NamedTuple):
    """A part that has been read."""

    block: Block

    def read(self) -> Iterator[Block]:
        """Yield the block."""
        yield self.block


@pytest.mark.parametrize("member", [*METRICS.values(), *REDUCTIONS.values()], ids=lambda member: member.name)
def test_members_of_tables_are_pickled_by_name(member: Any) -> None:
    assert through_a_process(member)[:2] == member[:2]
