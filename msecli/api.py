"""The Python API on files: one call from paths to a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from os import PathLike, fspath
from typing import Any

from msecli.core.parameters import names, real_numbers, whole_number, whole_numbers
from msecli.core.reduction import legacy_reduction
from msecli.core.state import Policy
from msecli.errors import ReadWriteError, UsageError
from msecli.jobs.request import Batching, ModelFiles, PenaltyRequest, Request, check_request
from msecli.jobs.scoring import Progress, Scored, run
from msecli.outputs.files import Staging, check_outputs
from msecli.result import Result
from msecli.sources.base import Reading

PathName = str | PathLike[str]
Names = str | Iterable[str] | None


def score(
    prediction: PathName,
    target: PathName | None = None,
    *,
    reduction: str = "mean",
    pred_columns: Names = (),
    target_columns: Names = (),
    on: Names = (),
    unmatched: str = "error",
    weight: str | None = None,
    weight_file: PathName | None = None,
    by: Names = (),
    axis: int | Iterable[int] | None = (),
    batch_size: int | None = None,
    shuffle: int | None = None,
    drop_last: bool = False,
    metrics: Names = (),
    ignore_index: float | Iterable[float] | None = (),
    nan_policy: Policy = "raise",
    nan_pred: Policy = "raise",
    size_average: bool | None = None,
    reduce: bool | None = None,
    reading: Reading | None = None,
    jobs: int | None = None,
) -> Result:
    """Score a prediction file against a target file.

    Parameters
    ----------
    prediction : str or path-like
        A CSV, TSV, Parquet or NPY file; "-" is standard input.
    target : str or path-like, optional
        Without it `prediction` holds both columns.
    reduction : {"mean", "sum", "batchmean", "none"}
    pred_columns, target_columns : str or several
        The columns to score, in pairs; chosen by name and type where left out.
    on : str or several
        Key columns of both files by which rows are paired; by position where left out.
    unmatched : {"error", "skip"}
        What rows without a partner are.
    weight : str, optional
        The column of the weights, in the target's or the prediction's file.
    weight_file : str or path-like, optional
        A file of weights: one for each row, or in the shape of the data.
    by : str or several
        Columns whose labels divide the rows into groups, each with a score of its own.
    axis : int or several
        The axes to reduce over, as in NumPy; all where left out.
    batch_size : int, optional
        Rows in a mini-batch, each with a score of its own.
    shuffle : int, optional
        The seed of a permutation of the rows before they are cut into batches.
    drop_last : bool
        Leave out a last batch that is not full.
    metrics : str or several
        Names of the metrics to compute besides the loss.
    ignore_index : float or several
        Elements whose target equals one of these are left out; NaN matches NaN.
    nan_policy, nan_pred : {"raise", "omit", "propagate"}
        What a missing target and a missing prediction mean.
    size_average, reduce : bool, optional
        Deprecated: as in PyTorch, ``reduce=False`` is "none", else ``size_average=False`` is "sum", else "mean".
    reading : Reading, optional
        How to read files that do not say it themselves.
    jobs : int, optional
        Threads; the cores this process may use. The result has the same bits for any number.

    Returns
    -------
    Result
        With the loss of every element, or those along the axes that are left, in `values`.

    Raises
    ------
    UsageError
        For unknown names, and for parameters that do not go together.
    DataError
        If the files are damaged, do not pair, or hold nothing to score.
    ReadWriteError
        If a file cannot be read.

    Examples
    --------
    >>> result = score("sample_data/diabetes_ridge.csv", "sample_data/diabetes_target.csv", metrics="rmse")
    >>> result.loss, result.elements.used
    (3006.503469511205, 442)
    >>> result = score("sample_data/diabetes_forest_shuffled.parquet", "sample_data/diabetes_target.csv", on="id")
    >>> result.loss
    3321.2736155103066
    """
    request = Request(
        prediction=_path("prediction", prediction),
        target=None if target is None else _path("target", target),
        prediction_columns=names("pred_columns", pred_columns),
        target_columns=names("target_columns", target_columns),
        reading=_reading(reading),
        on=names("on", on),
        unmatched=_text("unmatched", unmatched),
        weight=None if weight is None else _text("weight", weight),
        weight_file=None if weight_file is None else _path("weight_file", weight_file),
        by=names("by", by),
        batching=Batching(_whole("batch_size", batch_size), _whole("shuffle", shuffle), bool(drop_last)),
        axes=whole_numbers("axis", axis),
        reduction=legacy_reduction(size_average, reduce) or _text("reduction", reduction),
        metrics=names("metrics", metrics),
        ignore=real_numbers("ignore_index", ignore_index),
        nan_policy=nan_policy,
        nan_pred=nan_pred,
        jobs=_whole("jobs", jobs),
    )
    scored = run(request)
    return scored.result if scored.losses is None else replace(scored.result, values=scored.losses.array())


def _whole(name: str, value: Any) -> int | None:
    return None if value is None else whole_number(name, value)


def _reading(value: Any) -> Reading:
    if not isinstance(value, Reading | None):
        raise UsageError(f"reading: {value!r} is not a msecli.Reading")
    return value or Reading()


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not text")
    return value


def _path(name: str, value: Any) -> str:
    try:
        path: object = fspath(value)
    except TypeError as error:
        raise UsageError(f"{name}: {value!r} is not the path of a file") from error
    text = _text(name, path)
    if "\0" in text:
        raise ReadWriteError(f"{text!r}: no such file; a name cannot hold a NUL character")
    return text


__all__ = [
    "Batching",
    "ModelFiles",
    "PenaltyRequest",
    "Progress",
    "Reading",
    "Request",
    "Result",
    "Scored",
    "Staging",
    "check_outputs",
    "check_request",
    "legacy_reduction",
    "run",
    "score",
]
