"""The Python API for files and data in memory; the commands build on the same calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msecli.core.parameters import data, names, real_numbers, rows
from msecli.core.reduction import legacy_reduction
from msecli.core.state import Policy
from msecli.errors import UsageError
from msecli.results.batch import Batch
from msecli.results.compare import Comparison
from msecli.results.difference import Difference
from msecli.results.gradcheck import GradCheck
from msecli.results.inspect import Inspection
from msecli.results.norm import NormResult
from msecli.results.score import Result
from msecli.scoring.compare import compare_systems
from msecli.scoring.compare_request import CompareRequest, systems_of
from msecli.scoring.difference import compare_saved
from msecli.scoring.elsewhere import end_journal
from msecli.scoring.gradcheck import check_gradient, named_columns
from msecli.scoring.norms import NormRequest, norms
from msecli.scoring.request import Request
from msecli.scoring.run import run
from msecli.text.reading import Reading

Names = str | Iterable[str] | None
Readable = Reading | Mapping[str, Reading] | None
Data = Any
"""A path, a table of any library, a reader of record batches, arrays by the names of columns, or an array-like."""
Path = Any
"""A path, as text or `os.PathLike`; None where there may be none."""


def score(
    predictions: Data,
    targets: Data = None,
    /,
    *,
    pred: Names = (),
    target: Names = (),
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    weight: str | None = None,
    weight_file: Data = None,
    by: Names = (),
    by_bins: str | None = None,
    where: str | None = None,
    axis: int | Iterable[int] | None = (),
    batch_size: int | None = None,
    shuffle: int | None = None,
    drop_last: bool = False,
    reduction: str = "mean",
    metrics: Names = (),
    peak: float | None = None,
    season: int | None = None,
    ignore_index: float | Iterable[float] | None = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    l1: float = 0.0,
    l2: float = 0.0,
    params: Iterable[Data] = (),
    ci: float | None = None,
    cluster: str | None = None,
    bootstrap: int | None = None,
    seed: int | None = None,
    explain: bool = False,
    worst: int | None = None,
    sort: str | None = None,
    reverse: bool = False,
    top: int | None = None,
    keep: Names = (),
    size_average: bool | None = None,
    reduce: bool | None = None,
    fail_if: str | Iterable[str] = (),
    min_coverage: float | str | None = None,
    baseline: Data = None,
    baseline_metric: str = "loss",
    max_increase: float | str | None = None,
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path = None,
    local: int | None = None,
    worker_timeout: float = 30.0,
    resume: Path = None,
    save_state: Path = None,
) -> Result:
    """Score predictions against targets.

    Parameters
    ----------
    predictions : path, table or array_like
        A path or URL names a file of any format that README.md lists, compressed or not, an array, table or sheet in
        it (``FILE::NAME``), or a folder or a pattern of files; "-" is standard input. A list of paths is one side, too.
        A table is a pandas DataFrame, anything with ``__arrow_c_stream__``,
        ``__arrow_c_array__`` or ``__dataframe__``, as of pyarrow, polars or duckdb, a reader of record batches, which
        is read once, or a dictionary of arrays.
    targets : path, table or array_like, optional
        Without it, `predictions` holds both columns.
    pred, target : str or several
        The columns to score, in pairs, one by one or separated by commas; by default chosen by name and type. With two
        files `pred` alone names columns of both, if the targets have them all.
    on : str or several
        The key columns to pair rows by, "a=b" where their names differ; by default rows are paired by position.
    unmatched : {"error", "skip"}
        What to do about rows whose key has no match.
    row_check : bool
        Whether rows paired by position must agree in the other columns that both files have, and in an
        index of pandas.
    weight : str, optional
        The column of the weights, in the targets or the predictions.
    weight_file : path or data in memory, optional
        Separate weights: one for each row, or in the shape of the data.
    by : str or several
        Group the rows by the labels in these columns, and score every group.
    by_bins : str, optional
        Group the rows by quantiles of a column of numbers, as "age:10" for ten groups with as many rows each; the rows
        are read twice.
    where : str, optional
        Score only the rows that meet this condition, such as ``h <= 4 and region in ('north', 'south')``: columns of
        either file compared with numbers, or with texts in quotes; ``is missing``; joined by and, or, not, parentheses.
        What depends on a missing value is not met. Names with blanks stand in back quotes.
    axis : int or several
        The axes to reduce over, as in NumPy; by default all.
    batch_size : int, optional
        Cut the rows into mini-batches of this size, and score every batch.
    shuffle : int, optional
        Shuffle the rows with this seed before they are cut into batches.
    drop_last : bool
        Leave out the last batch if it is not full.
    reduction : {"mean", "sum", "batchmean", "none"}
    metrics : str or several
        Names of metrics to compute besides the loss, one by one or separated by commas, in any case; "all" for those
        that need nothing but their names; "skill:naive" compares with the predictions in the column "naive".
    peak : float, optional
        The largest value that there can be, for the metric "psnr".
    season : int, optional
        How many rows apart the targets are whose differences scale the metric "mase"; by default 1.
    ignore_index : float or several
        Leave out elements whose target equals one of these; NaN matches NaN.
    nan_target, nan_pred : {"raise", "omit", "propagate"}
        What to do about missing targets and about missing predictions.
    l1, l2 : float
        The factors of the penalties on `params`: of the sum of absolute values, and of the sum of squares.
    params : iterable of paths or data in memory
        Parameters to penalize.
    ci : float, optional
        The level of a confidence interval of the mean loss, such as 0.95, which the result and its groups then have
        as `interval`: by Student's t from exact sums, for elements that are independent of each other.
    cluster : str, optional
        The column whose labels tell which rows depend on each other; the interval is then that of independent clusters.
    bootstrap : int, optional
        Find the interval by this many Poisson resamples of the rows, or of the clusters.
    seed : int, optional
        The seed of the bootstrap; by default 0.
    explain : bool
        Tell in the result's `explanation` what the loss is made of: bias and variance of the errors, the shares of the
        worst elements, the skill against predicting the mean, and the formulas in use.
    worst : int, optional
        How many of the elements with the largest losses to list in the result's `worst`.
    sort : str, optional
        List the groups by this metric, by "loss", or by "used", the number of used elements: the worst, or the largest,
        first.
    reverse : bool
        List the groups in the opposite order.
    top : int, optional
        How many groups to list, by their loss unless `sort` says otherwise; `macro` and the pooled loss are of all.
    keep : str or several
        Values to keep in the result's `arrays`: "grad" and "grad_target", the gradients with respect to prediction and
        target.
    size_average, reduce : bool, optional
        Deprecated: as in PyTorch, ``reduce=False`` is "none", else ``size_average=False`` is "sum", else "mean".
    fail_if : str or several
        Conditions under which the result does not pass: "rmse > 0.31", for groups "rmse[region=EU] > 0.31", for columns
        "mae[column=weight] >= 3", for every group or column "rmse[any] > 0.5". Besides the metrics there are "loss" and
        "coverage", the share of the target's elements that are used.
    min_coverage : float or str, optional
        The least coverage that passes, such as 0.99 or "99%".
    baseline : path, Result or mapping, optional
        An earlier result, in JSON. The result does not pass if its `baseline_metric`, by default the loss, is above
        that of the baseline by more than `max_increase`, a number or a share such as "2%", by default 0. The signatures
        must agree up to `used`. Only for numbers of which lower ones are better; for others, use `fail_if`.
    reading : Reading or mapping of str to Reading, optional
        How to read files that do not describe themselves: all of them, or some: "pred", "target", "both", "weight",
        "coef", "intercept", "params".
    engine : {"local", "dask"}
        Where to score the parts of the data: in threads of this process, or in the workers of a Dask cluster, which
        must see the files under the same paths.
    jobs : int, optional
        How many parts to score at once; by default one per available core. The result has the same bits for any number.
    scheduler, scheduler_file : str, path, optional
        The address of the cluster's scheduler, as "tcp://host:8786", or the file that it has written; by default that
        of the current Dask client.
    local : int, optional
        Start a cluster of so many workers on this machine instead, just for this call.
    worker_timeout : float
        How many seconds to wait for the scheduler, and for a worker.
    resume : path, optional
        Keep what the workers have found in this journal, and go on from there if it exists: after a fault, the same
        call reads only the rest. It is removed in the end.
    save_state : path, optional
        Write the exact sums to this file, for `merge`.

    Returns
    -------
    Result
        With reduction "none" `values` is the loss of every element, in the shape of the predictions; with `axis` it
        holds the losses on the remaining axes, unless these are the columns, which are in `columns`. `gates` holds what
        became of the conditions, and `passed` whether none of them failed; a number that is not finite always fails.

    Raises
    ------
    UsageError
        For unknown names, and for parameters that contradict each other.
    DataError
        If the data are damaged, do not pair, or hold nothing to score.
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
    >>> float(score([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]))
    0.375
    >>> score([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0], fail_if="mae > 0.4").gates[0].message
    'gate failed: mae 0.5 > 0.4'
    """
    request = Request.of(
        predictions=predictions,
        targets=targets,
        pred=pred,
        target=target,
        on=on,
        unmatched=unmatched,
        row_check=row_check,
        weight=weight,
        weight_file=weight_file,
        by=by,
        by_bins=by_bins,
        where=where,
        axis=axis,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        reduction=legacy_reduction(size_average, reduce) or reduction,
        metrics=metrics,
        peak=peak,
        season=season,
        ignore_index=ignore_index,
        nan_target=nan_target,
        nan_pred=nan_pred,
        l1=l1,
        l2=l2,
        params=params,
        ci=ci,
        cluster=cluster,
        bootstrap=bootstrap,
        seed=seed,
        explain=explain,
        worst=worst,
        sort=sort,
        reverse=reverse,
        top=top,
        keep=keep,
        fail_if=fail_if,
        min_coverage=min_coverage,
        baseline=baseline,
        baseline_metric=baseline_metric,
        max_increase=max_increase,
        reading=reading,
        engine=engine,
        jobs=jobs,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        local=local,
        worker_timeout=worker_timeout,
        resume=resume,
    )
    return _run(request, save_state)


def compare(
    predictions: Data,
    targets: Data = None,
    /,
    *,
    pred: Names = (),
    target: Names = (),
    reference: str | None = None,
    test: str = "t",
    resamples: int | None = None,
    seed: int | None = None,
    horizon: int | None = None,
    cluster: str | None = None,
    confidence: float = 0.95,
    adjust: str = "holm",
    sort: str | None = None,
    reverse: bool = False,
    fail_fast: bool = False,
    fail_if_worse: bool = False,
    alpha: float | None = None,
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    weight: str | None = None,
    weight_file: Data = None,
    by: Names = (),
    reduction: str = "mean",
    metrics: Names = (),
    peak: float | None = None,
    season: int | None = None,
    ignore_index: float | Iterable[float] | None = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path = None,
    local: int | None = None,
    worker_timeout: float = 30.0,
) -> Comparison:
    """Compare the losses of several systems on the same targets, in one pass over them.

    Every system is scored on the elements that all systems and the targets have.

    Parameters
    ----------
    predictions : mapping of str to data, several paths, or one path or table
        The predictions of every system, by its name; paths alone are named after their stems. In a single file or table
        each of the columns `pred` is a system.
    targets : path, table or array_like, optional
        Without it, the single file or table of the predictions holds the targets, too.
    pred, target : str or several
        The columns to score, as for `score`; of a single file one for each system.
    reference : str, optional
        The system that the others are compared with; by default the first.
    test : {"t", "bootstrap", "permutation", "dm", "none"}
        How the difference between the losses of a system and of the reference is tested, paired by row: Student's t,
        rows drawn with replacement, random signs, or for forecasts Diebold and Mariano's test with the correction of
        Harvey, Leybourne and Newbold.
    resamples, seed : int, optional
        The number of resamples, by default 1000, and their seed, by default 0. The result has the same bits for any
        number of jobs.
    horizon : int, optional
        How many steps ahead the forecasts were made that "dm" compares; by default 1.
    cluster : str, optional
        A column of the targets; rows with the same label in it depend on each other.
    confidence : float
        That of the intervals.
    adjust : {"holm", "none"}
        Whether the p-values are adjusted for the number of systems.
    sort : str, optional
        List the systems by the "loss" or by one of the metrics, the best first; by default in the order given.
    reverse : bool
        List them in the opposite order.
    fail_fast : bool
        Raise the error of the first system that cannot be scored; by default it is part of the result.
    fail_if_worse : bool
        Add a gate for every system: that it is not significantly worse than the reference.
    alpha : float, optional
        The p-value below which a difference is significant; by default 0.05.
    on, unmatched, row_check, weight, weight_file, by, reduction, metrics, peak, season, ignore_index, nan_target, \
nan_pred, reading, engine, jobs, scheduler, scheduler_file, local, worker_timeout
        As for `score`. Weights and groups are those of the targets. With ``unmatched="skip"`` the rows that all systems
        have are compared, with ``nan_pred="omit"`` the elements.

    Returns
    -------
    Comparison
        ``comparison["ridge"]`` is the system of that name: its `result`, as of `score`, and its `difference`.

    Raises
    ------
    UsageError
        For unknown names, and for parameters that contradict each other.
    DataError, ReadWriteError
        If the targets, the weights or the reference cannot be read or scored.

    References
    ----------
    The t-test agrees with ``scipy.stats.ttest_rel`` on the losses of the elements.

    Examples
    --------
    >>> found = compare("sample_data/diabetes_scores.parquet", pred=["ridge", "forest"], target="target")
    >>> found.numbers()
    {'ridge': 3006.503469511205, 'forest': 3321.2736155103066}
    >>> round(found["forest"].difference.p, 6), found["forest"].won
    (0.012484, 0.4638009049773756)
    """
    request = CompareRequest.of(
        systems_of(predictions),
        names("pred", pred),
        targets=targets,
        target=target,
        reference=reference,
        test=test,
        resamples=resamples,
        seed=seed,
        horizon=horizon,
        cluster=cluster,
        confidence=confidence,
        adjust=adjust,
        sort=sort,
        reverse=reverse,
        fail_fast=fail_fast,
        fail_if_worse=fail_if_worse,
        alpha=alpha,
        on=on,
        unmatched=unmatched,
        row_check=row_check,
        weight=weight,
        weight_file=weight_file,
        by=by,
        reduction=reduction,
        metrics=metrics,
        peak=peak,
        season=season,
        ignore_index=ignore_index,
        nan_target=nan_target,
        nan_pred=nan_pred,
        reading=reading,
        engine=engine,
        jobs=jobs,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        local=local,
        worker_timeout=worker_timeout,
    )
    return compare_systems(request)


def linear(
    predictors: Data,
    targets: Data = None,
    /,
    *,
    coef: Data,
    intercept: Data = None,
    inputs: Names = (),
    target: Names = (),
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    weight: str | None = None,
    weight_file: Data = None,
    by: Names = (),
    by_bins: str | None = None,
    where: str | None = None,
    axis: int | Iterable[int] | None = (),
    batch_size: int | None = None,
    shuffle: int | None = None,
    drop_last: bool = False,
    reduction: str = "mean",
    metrics: Names = (),
    peak: float | None = None,
    season: int | None = None,
    ignore_index: float | Iterable[float] | None = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    l1: float = 0.0,
    l2: float = 0.0,
    params: Iterable[Data] = (),
    regularize_intercept: bool = False,
    grad_norm: bool = False,
    ci: float | None = None,
    cluster: str | None = None,
    bootstrap: int | None = None,
    seed: int | None = None,
    explain: bool = False,
    worst: int | None = None,
    sort: str | None = None,
    reverse: bool = False,
    top: int | None = None,
    keep: Names = ("grad_params",),
    fail_if: str | Iterable[str] = (),
    min_coverage: float | str | None = None,
    baseline: Data = None,
    baseline_metric: str = "loss",
    max_increase: float | str | None = None,
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path = None,
    local: int | None = None,
    worker_timeout: float = 30.0,
    resume: Path = None,
    save_state: Path = None,
) -> Result:
    """Score the predictions of a linear model, and compute the gradient of its parameters.

    Parameters
    ----------
    predictors : path, table or array_like
        The inputs of the model.
    targets : path, table or array_like, optional
        Without it, `predictors` also holds the targets.
    coef : path or data in memory, shape (outputs, inputs) or (inputs,)
        Columns, and values of a pandas Series, that have names are matched to the inputs by name.
    intercept : path or data in memory, shape (outputs,), optional
        The prediction is ``inputs @ coef.T + intercept``.
    inputs, target : str or several
        The input columns, in the order of coefficients without names, and the target columns. By default the inputs are
        all numeric columns without another role.
    l1, l2 : float
        The factors of the penalties on the coefficients and on `params`.
    regularize_intercept : bool
        Also penalize the intercept.
    grad_norm : bool
        Compute the norm of the gradient, also for each batch.
    keep : str or several
        Values to keep in the result's `arrays`: "grad_params" (as "grad_coef" and "grad_intercept", penalties
        included), "predictions", "grad", "grad_target".
    on, unmatched, row_check, weight, weight_file, by, by_bins, where, axis, batch_size, shuffle, drop_last, \
reduction, metrics, peak, season, ignore_index, nan_target, nan_pred, params, ci, cluster, bootstrap, seed, \
explain, worst, sort, reverse, top, fail_if, min_coverage, baseline, baseline_metric, max_increase, reading, \
engine, jobs, scheduler, scheduler_file, local, worker_timeout, resume, save_state
        As for `score`. A missing input makes the prediction missing.

    Returns
    -------
    Result

    Raises
    ------
    UsageError, DataError, ReadWriteError
        As for `score`; also if shapes do not fit.

    References
    ----------
    The shapes follow ``torch.nn.Linear``. At 0 the derivative of the absolute value is taken as 0.

    Examples
    --------
    >>> result = linear([[1.0], [2.0]], [1.0, 5.0], coef=[2.0])
    >>> result.loss, result.arrays["grad_coef"]
    (1.0, array([-1.]))
    """
    if coef is None:
        raise UsageError("`coef`: None is neither a path nor a table nor an array")
    request = Request.of(
        predictions=predictors,
        targets=targets,
        coef=coef,
        intercept=intercept,
        pred=names("inputs", inputs),
        target=target,
        on=on,
        unmatched=unmatched,
        row_check=row_check,
        weight=weight,
        weight_file=weight_file,
        by=by,
        by_bins=by_bins,
        where=where,
        axis=axis,
        batch_size=batch_size,
        shuffle=shuffle,
        drop_last=drop_last,
        reduction=reduction,
        metrics=metrics,
        peak=peak,
        season=season,
        ignore_index=ignore_index,
        nan_target=nan_target,
        nan_pred=nan_pred,
        l1=l1,
        l2=l2,
        params=params,
        regularize_intercept=regularize_intercept,
        grad_norm=grad_norm,
        ci=ci,
        cluster=cluster,
        bootstrap=bootstrap,
        seed=seed,
        explain=explain,
        worst=worst,
        sort=sort,
        reverse=reverse,
        top=top,
        keep=keep,
        fail_if=fail_if,
        min_coverage=min_coverage,
        baseline=baseline,
        baseline_metric=baseline_metric,
        max_increase=max_increase,
        reading=reading,
        engine=engine,
        jobs=jobs,
        scheduler=scheduler,
        scheduler_file=scheduler_file,
        local=local,
        worker_timeout=worker_timeout,
        resume=resume,
    )
    return _run(request, save_state)


def _run(request: Request, save_state: Path) -> Result:
    """Score as requested, and save the state if a file for it is named."""
    if save_state is None:
        result = run(request)
        end_journal(request)
        return result
    from msecli.outputs.files import write_file
    from msecli.scoring.states import State, refuse_unsavable, state_of, written_state

    path = data("save_state", save_state)
    refuse_unsavable(request)
    kept: list[State] = []
    result = run(request, observe=lambda *found: kept.append(state_of(*found)))
    write_file(path, written_state(kept[0]))
    end_journal(request)
    return result


def merge(*states: Path | Mapping[str, Any], save_state: Path = None) -> Result:
    """Return the result of several runs together: the same, to the last bit, as that of one run over all inputs.

    Parameters
    ----------
    *states : path or mapping
        Files that `score`, `linear` or this function have written with `save_state`, or what is in them.
    save_state : path, optional
        Write the exact sums of all of them to this file.

    Returns
    -------
    Result

    Raises
    ------
    UsageError
        If there are no states.
    DataError
        If the states are of other settings, or an input is in two of them.
    ReadWriteError
        If a file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parts = [os.path.join(folder, name) for name in ("a.json", "b.json")]
    ...     first = score([1.0, 2.0], [1.0, 4.0], save_state=parts[0])
    ...     second = score([5.0], [0.0], save_state=parts[1])
    ...     merge(*parts).loss
    9.666666666666666
    """
    from msecli.outputs.files import write_file
    from msecli.scoring.states import merge_states, written_state

    whole = merge_states([each if isinstance(each, Mapping) else data("states", each) for each in states])
    result = whole.result()
    if save_state is not None:
        write_file(data("save_state", save_state), written_state(whole))
    return result


def batch(
    runs: Path | Sequence[Mapping[str, Any]],
    targets: str | None = None,
    /,
    *,
    sort: str | None = None,
    reverse: bool = False,
    fail_fast: bool = False,
    resume: Path = None,
    hash: bool = False,
    engine: str = "local",
    jobs: int | None = None,
    scheduler: str | None = None,
    scheduler_file: Path = None,
    local: int | None = None,
    worker_timeout: float = 30.0,
    **options: Any,
) -> Batch:
    """Score many pairs of files; a pair that fails does not stop the others.

    Parameters
    ----------
    runs : path, or sequence of mapping
        A manifest (TOML, CSV, TSV, JSON Lines or YAML), or its runs: mappings with "name", "predictions", "targets" and
        the parameters of `score`. With `targets`, a pattern of prediction files, such as "runs/*/pred.csv".
    targets : str, optional
        The targets of each file that the pattern matches: "{1}" is what its first "*" matched, and "{name}" what
        "{name}" in it did.
    sort : str, optional
        Sort the runs by "loss" or a metric, the best first.
    reverse : bool
        Sort the other way round.
    fail_fast : bool
        Leave out what has not ended when a run fails.
    resume : path, optional
        A journal of the runs that have ended, which need not exist. Runs whose inputs and settings are unchanged are
        taken from it; the others are added.
    hash : bool
        Tell changed inputs by what they hold, instead of by their sizes and the times of their last changes.
    engine, scheduler, scheduler_file, local, worker_timeout
        As for `score`; all runs share one connection to a cluster.
    jobs : int, optional
        How many threads to use; by default one per available core.
    **options
        Parameters of `score` for all runs that do not say otherwise.

    Returns
    -------
    Batch

    Raises
    ------
    UsageError, DataError
        If the manifest is wrong; with the lines.
    ReadWriteError
        If it cannot be read, or no file matches the pattern.

    Examples
    --------
    >>> target = "sample_data/diabetes_target.csv"
    >>> result = batch([{"name": "ridge", "predictions": "sample_data/diabetes_ridge.csv", "targets": target},
    ...                 {"name": "none", "predictions": "none.csv", "targets": target}])
    >>> [(run.name, run.status, run.numbers()) for run in result.runs]
    [('ridge', 'ok', {'loss': 3006.503469511205}), ('none', 'error', {})]
    """
    from msecli.scoring.batch import batched, runs_named

    asked = runs_named(runs, targets, options, sort)
    path = None if resume is None else data("resume", resume)
    address = None if scheduler_file is None else data("scheduler_file", scheduler_file)
    return batched(
        asked,
        sort=sort,
        reverse=reverse,
        fail_fast=fail_fast,
        resume=path,
        hashes=hash,
        engine=engine,
        jobs=jobs,
        scheduler=scheduler,
        scheduler_file=address,
        local=local,
        worker_timeout=worker_timeout,
    )


def norm(
    values: Data,
    other: Data = None,
    /,
    *,
    ord: float | Iterable[float] = 2.0,
    columns: Names = (),
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
) -> NormResult:
    """Compute vector norms of all values together, or of a difference.

    Parameters
    ----------
    values : path, table or array_like
    other : path, table or array_like, optional
        Subtracted from `values`.
    ord : float or several
        Each at least 1, or infinity. For orders 1 and 2 the sum is exact and the norm is rounded once, without over- or
        underflow on the way.
    columns : str or several
        The columns to take; by default all numeric ones.
    on, unmatched, row_check, reading, engine, jobs
        As for `score`.

    Returns
    -------
    NormResult
        ``float(result)`` is the norm of the first order, ``result.norms`` holds all of them.

    Raises
    ------
    UsageError
        If an order is less than 1.
    DataError
        If a value is missing or not a real number, or the two sides do not pair.
    ReadWriteError
        If a file cannot be read.

    References
    ----------
    The norms agree with ``numpy.linalg.norm`` and ``torch.linalg.vector_norm`` for flattened arrays.

    Examples
    --------
    >>> float(norm([3.0, 4.0]))
    5.0
    >>> norm("sample_data/diabetes_ridge.csv", "sample_data/diabetes_target.csv", ord=[1, 2]).norms["1"]
    19728.93312759921
    """
    return norms(
        NormRequest.of(
            vector=values,
            subtracted=other,
            orders=real_numbers("ord", ord),
            columns=columns,
            on=on,
            unmatched=unmatched,
            row_check=row_check,
            reading=reading,
            engine=engine,
            jobs=jobs,
        )
    )


def gradcheck(
    predictions: Data,
    targets: Data = None,
    /,
    *,
    coef: Data = None,
    intercept: Data = None,
    pred: Names = (),
    inputs: Names = (),
    target: Names = (),
    samples: int = 10,
    seed: int = 0,
    tolerance: float = 1e-6,
    reduction: str = "mean",
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    weight: str | None = None,
    weight_file: Data = None,
    ignore_index: float | Iterable[float] | None = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
) -> GradCheck:
    """Compare the gradient of the loss with central differences, on a sample of coordinates.

    Parameters
    ----------
    predictions : path, table or array_like
        With `coef`, the inputs of the model.
    targets : path, table or array_like, optional
    coef, intercept : path or data in memory, optional
        Check the gradient of this linear model's parameters instead of the predictions' gradient.
    pred, inputs, target : str or several
        The columns to score, or the model's input columns.
    samples : int
        The number of coordinates to check, at most.
    seed : int
        The seed for the choice of coordinates.
    tolerance : float
        The largest relative error that passes.
    reduction, on, unmatched, row_check, weight, weight_file, ignore_index, nan_target, nan_pred, reading, engine, jobs
        As for `score`.

    Returns
    -------
    GradCheck

    Raises
    ------
    UsageError, DataError, ReadWriteError
        As for `score`.

    Examples
    --------
    >>> gradcheck([2.5, 0.0], [3.0, -0.5]).passed
    True
    """
    request = Request.of(
        predictions=predictions,
        targets=targets,
        pred=named_columns(names("pred", pred), names("inputs", inputs), model=coef is not None),
        target=target,
        coef=coef,
        intercept=intercept,
        reduction=reduction,
        on=on,
        unmatched=unmatched,
        row_check=row_check,
        weight=weight,
        weight_file=weight_file,
        ignore_index=ignore_index,
        nan_target=nan_target,
        nan_pred=nan_pred,
        reading=reading,
        engine=engine,
        jobs=jobs,
    )
    return check_gradient(request, samples=samples, seed=seed, tolerance=tolerance)


def inspect(
    predictions: Data,
    /,
    *others: Data,
    full: bool = False,
    pred: Names = (),
    target: Names = (),
    on: Names = (),
    unmatched: str = "error",
    row_check: bool = True,
    weight: str | None = None,
    weight_file: Data = None,
    by: Names = (),
    ignore_index: float | Iterable[float] | None = (),
    nan_target: Policy = "raise",
    nan_pred: Policy = "raise",
    reading: Readable = None,
    engine: str = "local",
    jobs: int | None = None,
) -> Inspection:
    """Look at files, tables or arrays: what they hold, and what `score` would do with them.

    Parameters
    ----------
    predictions : path, table or array_like
    *others : paths, tables or arrays
        The last one holds the targets. With more than two in all, nothing is said of a score.
    full : bool
        Read all rows; by default headers, footers and the first rows.
    pred, target, on, unmatched, row_check, weight, weight_file, by, ignore_index, nan_target, nan_pred, reading, \
engine, jobs
        As for `score`.

    Returns
    -------
    Inspection
        `files` with their `columns`; `reading`, what `score` would do; if it would raise an error, `reading` is None,
        and `problem` holds its message.

    Raises
    ------
    UsageError
        For parameters that contradict each other.
    ReadWriteError
        If a file cannot be read.

    Examples
    --------
    >>> found = inspect("sample_data/diabetes_ridge.csv", "sample_data/diabetes_target.csv")
    >>> found.numbers()
    {'sample_data/diabetes_ridge.csv': 442, 'sample_data/diabetes_target.csv': 442}
    >>> found.reading.columns, found.reading.rule, found.reading.checked_by
    ((('progression', 'progression'),), 'single', ('id',))
    """
    from msecli.scoring.inspect import inspect_files

    *more, targets = others or (None,)
    request = Request.of(
        predictions=predictions,
        targets=targets,
        pred=pred,
        target=target,
        on=on,
        unmatched=unmatched,
        row_check=row_check,
        weight=weight,
        weight_file=weight_file,
        by=by,
        ignore_index=ignore_index,
        nan_target=nan_target,
        nan_pred=nan_pred,
        reading=reading,
        engine=engine,
        jobs=jobs,
    )
    return inspect_files(request, [rows("predictions", each) for each in more], full=full)


def diff(old: Data, new: Data, /) -> Difference:
    """Return what changed between two results.

    Parameters
    ----------
    old, new : path, Result or mapping
        Paths name results in JSON; mappings have their shape.

    Returns
    -------
    Difference
        Its `pairs` hold the numbers of both, over all rows and of groups, columns and batches by their labels;
        `signature` holds the fields in which the signatures differ.

    Raises
    ------
    DataError
        If one of them is no result.
    ReadWriteError
        If a file cannot be read.

    Examples
    --------
    >>> old, new = score([1.0, 3.0], [0.0, 0.0]), score([1.0, 2.0], [0.0, 0.0])
    >>> diff(old, new).numbers()
    {'loss': -2.5}
    """
    return compare_saved(old, new)
