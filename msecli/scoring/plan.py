"""From a request to a plan: open the sources, assign roles, check shapes; no rows are read but the first of lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

from msecli.arrays import FloatArray
from msecli.core.axes import kept_axes
from msecli.core.exact import ONE
from msecli.core.metrics import METRICS, Metric, needed_terms
from msecli.core.reduction import Reduction, Used
from msecli.core.state import Rules
from msecli.core.terms import BASELINE_FLAWS, MISSING
from msecli.errors import DataError, MsecliError, Warned, many
from msecli.formats.base import Source, warnings_by_position
from msecli.pairing.choice import ALL, SAME, UndecidedError
from msecli.pairing.position import check_row_counts
from msecli.pairing.roles import PREDICTION, Roles, assign_roles, check_shapes, item_shape
from msecli.places import is_path
from msecli.scoring.model import Parameters, model_of, read_parameters
from msecli.scoring.opening import open_all, refuse_rows_as_names
from msecli.scoring.request import Request
from msecli.text.reading import word_of
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.core.linear import LinearModel
    from msecli.pairing.bins import Bins
    from msecli.pairing.conditions import Condition


AS_THEY_STAND = "; to pair them as they stand, use `row_check=False`"


class Plan(NamedTuple):
    """Everything decided before rows are read.

    Parameters
    ----------
    request : Request
    sources : tuple of Source
        The predictions, then the targets and the weights if they have files of their own.
    roles : Roles
    rules : Rules
    item : tuple of int
        The shape of a row of predictions.
    kept : tuple of int
        The axes that a reduction with `axis` keeps; empty for a single loss.
    model : LinearModel, optional
        The model that makes the predictions.
    penalized : tuple of ndarray
        The penalized parameters, beginning with `Request.params`.
    condition : Condition, optional
        The condition that rows must meet.
    bins : Bins, optional
        The bins that rows are grouped by.
    """

    request: Request
    sources: tuple[Source, ...]
    roles: Roles
    rules: Rules
    item: tuple[int, ...]
    kept: tuple[int, ...]
    model: LinearModel | None
    penalized: tuple[FloatArray, ...]
    condition: Condition | None = None
    bins: Bins | None = None

    @property
    def reduction(self) -> Reduction:
        """The reduction."""
        return self.request.chosen_reduction

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics."""
        return self.request.chosen_metrics(weighted=self.request.weighted)

    @property
    def loss_item(self) -> tuple[int, ...] | None:
        """The shape of a row of losses; None if rows have no losses of their own."""
        if self.reduction.keeps_elements:
            return self.item
        return tuple(self.item[axis - 1] for axis in self.kept[1:]) if self.kept[:1] == (0,) else None

    @property
    def kept_values(self) -> tuple[str, ...]:
        """The values of elements or rows to keep: "losses", "grad", "grad_target", "predictions"."""
        losses = () if self.loss_item is None else ("losses",)
        return (*losses, *(name for name in ("grad", "grad_target", "predictions") if name in self.request.keep))

    @property
    def group_names(self) -> list[str]:
        """What the labels of a group are called: the columns it is of, and that of its bin."""
        names = [name for place in self.roles.by for name in place.columns]
        if self.bins is None or self.bins.place is None:
            return names
        (column,) = self.bins.place.columns
        return [*names, f"{column} (bin)" if column in names else column]

    @property
    def numbers_rows(self) -> bool:
        """Whether what becomes of a row depends on its number."""
        return self.request.batch_size is not None or self.request.bootstrap is not None

    @property
    def names_rows(self) -> bool:
        """Whether the result shows rows one by one, and so their keys."""
        return bool(self.kept_values) or self.request.worst is not None

    @property
    def keeps_gradient(self) -> bool:
        """Whether to keep the gradient with respect to the prediction or the target."""
        return not {"grad", "grad_target"}.isdisjoint(self.request.keep)

    @property
    def columns_are_named(self) -> bool:
        """Whether the kept axis is the columns of a table or of a 2-D array."""
        return self.kept == (1,) and len(self.item) == 1

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the scored columns; none for a nameless array, or for lists in a column."""
        columns = (self.roles.target if self.request.linear else self.roles.prediction).columns
        return columns if len(columns) == prod(self.item) else ()

    @property
    def chosen_in_tables(self) -> bool:
        """Whether a rule chose the columns of two tables, or all columns of one."""
        return bool(self.roles.rule) and (self.roles.target.file > 0 or self.roles.rule == ALL) and self.tables

    @property
    def tables(self) -> bool:
        """Whether predictions and targets are columns of numbers in tables."""
        tables = all(self.sources[file].item is None for file in (PREDICTION, self.roles.target.file))
        return tables and bool(self.column_names)

    @property
    def rows(self) -> int | None:
        """The number of paired rows, if a source knows it; all have a partner unless rows without one are left out."""
        known = [source.rows for source in self.sources if source.rows is not None]
        return known[0] if known and self.request.unmatched != "skip" else None

    def known_divisor(self) -> int | None:
        """Return the divisor of the loss in units of 2**-1074, or None if it is unknown before rows are read.

        It is known if no element can be left out: missing values are then either refused or used.
        """
        request = self.request
        all_used = not (request.weighted or request.ignore_index or request.drop_last or request.where is not None)
        all_used = all_used and "omit" not in (request.nan_target, request.nan_pred)
        if self.reduction.unit is None:
            return ONE
        return self.reduction.divisor(Used(self.rows * prod(self.item), self.rows)) if all_used and self.rows else None


def make_plan(request: Request, names: Sequence[str] = ()) -> Plan:
    """Open the sources, and decide everything that does not depend on their rows.

    Parameters
    ----------
    request : Request
    names : sequence of str
        What messages call the inputs that are in memory, if not as the request does.

    Raises
    ------
    DataError
        If a file is damaged, no rule tells which columns to score, or shapes differ.
    ReadWriteError
        If a file cannot be read.
    """
    parameters = read_parameters(request)
    alone = not request.parameter_names
    sources = open_all(request.inputs, request.reading, names or request.input_names, alone=alone)
    return plan_of(request, sources, parameters)


def plan_of(request: Request, sources: tuple[Source, ...], parameters: Parameters) -> Plan:
    """Decide everything that does not depend on rows, for sources that are open.

    Raises
    ------
    DataError
        If no rule tells which columns to score, or shapes differ.
    """
    if request.row_check and not (request.on or is_path(request.predictions)):
        _check_indexes(request, sources)
    warnings = list(parameters.warnings)
    tables = sources[: len(sources) - (request.weight_file is not None)]
    with _told_why(request, tables):
        roles = assign_roles(
            tables,
            sources[-1] if request.weight_file is not None else None,
            pred=request.pred,
            target=request.target,
            weight=request.weight,
            on=request.on,
            by=request.by,
            cluster=request.cluster,
            baselines=request.baselines,
            model=request.linear,
            row_check=request.row_check,
        )
    if roles.rule != SAME:
        for place, named in ((roles.prediction, request.pred), (roles.target, request.target)):
            refuse_rows_as_names(sources[place.file], () if named else place.columns, _word(request, place.file))
    roles, condition = _condition(request, tables, roles)
    roles, bins = _bins(request, tables, roles)
    if len(sources) > 1 and not roles.keys:
        warnings += [warning for source in sources for warning in warnings_by_position(source)]
    model = _model(request, parameters, sources[PREDICTION], roles, warnings)
    roles = roles._replace(warnings=(*roles.warnings, *warnings))
    item = item_shape(sources[PREDICTION], roles.prediction.columns)
    if model is not None:
        _check_inputs(sources[PREDICTION].path, item, model)
        item = model.item
    check_shapes(sources, roles, item)
    kept = kept_axes(request.axis, 1 + len(item)) if request.axis else ()
    penalized = penalized_of(request, parameters.penalized, model)
    rules = rules_of(request, item, kept, weighted=request.weighted)
    return Plan(request, sources, roles, rules, item, kept, model, penalized, condition, bins)


def _check_indexes(request: Request, sources: Sequence[Source]) -> None:
    """Refuse to pair rows by position whose labels in pandas differ."""
    from msecli.formats.arrays import indexes_differ  # for data in memory alone

    prediction, *others = request.inputs
    for source, other in zip(sources[1:], others, strict=True):
        if indexes_differ(prediction, other):
            raise DataError(
                f"the indexes of {sources[PREDICTION].path} and {source.path} differ; to pair rows by their labels, "
                f"give one side the index of the other, as with .reindex(){AS_THEY_STAND}"
            )


@contextmanager
def _told_why(request: Request, tables: Sequence[Source]) -> Iterator[None]:
    """Where no rule tells which columns to score, refuse first rows as names, and tell whether the rows can pair."""
    try:
        yield
    except UndecidedError as error:
        for number, table in enumerate(tables):
            refuse_rows_as_names(table, (column.name for column in table.columns or ()), _word(request, number))
        differ = "" if request.on else _different_counts(tables)
        if differ:  # so that no example of columns to score would run
            raise UndecidedError(error.advice, "", f"{error.found}\n{differ}") from error
        raise


def _condition(request: Request, tables: Sequence[Source], roles: Roles) -> tuple[Roles, Condition | None]:
    """Return the roles with the columns that choose rows, and the condition on them, if there is one."""
    if request.where is None:
        return roles, None
    from msecli.pairing.beside import located_condition

    return located_condition(request.where, tables, roles)


def _bins(request: Request, tables: Sequence[Source], roles: Roles) -> tuple[Roles, Bins | None]:
    """Return the roles with the column that bins are of, and the bins, if there are any."""
    if request.by_bins is None:
        return roles, None
    from msecli.pairing.beside import located_bins
    from msecli.pairing.bins import Bins

    return located_bins(Bins.of(request.by_bins), tables, roles)


def _different_counts(tables: Sequence[Source]) -> str:
    """Return that tables have different numbers of rows, as far as it is worth counting them just for a message."""
    from msecli.scoring.advice import row_count

    try:
        counts = [(table.path, row_count(table)) for table in tables]
        check_row_counts([(path, rows) for path, rows in counts if rows is not None])
    except MsecliError as error:
        return str(error.args[0])
    return ""


def _word(request: Request, file: int) -> str:
    """Return what settings call a file; nothing if there is no other."""
    return word_of(request.input_names[file]) if len(request.inputs) > 1 or request.parameter_names else ""


def _model(
    request: Request, parameters: Parameters, inputs: Source, roles: Roles, warnings: list[Warned]
) -> LinearModel | None:
    """Return the model that makes the predictions, if there is one; add to the warnings."""
    if parameters.coef is None:
        return None
    columns, chosen = roles.prediction.columns, bool(request.pred)
    return model_of(parameters.coef, parameters.intercept, inputs, columns, chosen=chosen, warnings=warnings)


def penalized_of(request: Request, params: Sequence[FloatArray], model: LinearModel | None) -> tuple[FloatArray, ...]:
    """Return the penalized parameters: those of `Request.params`, then those of the model."""
    own: list[FloatArray] = [] if model is None else [model.coef]
    if model is not None and request.regularize_intercept and model.intercept is not None:
        own.append(model.intercept)
    return (*params, *own)


def _check_inputs(path: str, item: tuple[int, ...], model: LinearModel) -> None:
    if prod(item) != model.inputs or len(item) > 1:
        raise DataError(
            f"{path}: {many(prod(item), 'input')}, but the coefficients have {model.inputs} for each output; "
            "choose the inputs with `inputs=COLUMN`"
        )


def rules_of(request: Request, item: tuple[int, ...], kept: tuple[int, ...], *, weighted: bool) -> Rules:
    """Return the rules for rows of this shape."""
    # What is told of a loss needs the sums of this metric.
    metrics = (
        *request.chosen_metrics(weighted=weighted),
        *([METRICS["explained_variance"]] if request.explain else []),
    )
    baselines = [metric.baseline for metric in metrics if metric.baseline is not None]
    flaws = [flaw for metric in metrics for flaw in metric.flaws]
    flaws += [f"{kind}:{column}" for column in baselines for kind in BASELINE_FLAWS]
    refused = [flaw for metric in metrics if metric.strict for flaw in metric.flaws]
    refused += [f"{MISSING}:{column}" for column in baselines if request.nan_pred == "raise"]
    by_column = any(metric.by_column for metric in metrics) or (bool(kept) and kept[0] != 0)
    loss = not request.chosen_reduction.keeps_elements or bool(request.worst) or request.explain
    return Rules(
        needed_terms(metrics, weighted=weighted, loss=loss),
        largest=tuple(dict.fromkeys(name for metric in metrics for name in metric.largest)),
        columns=prod(item) if by_column else 1,
        nan_target=request.nan_target,
        nan_prediction=request.nan_pred,
        ignore=request.ignore_index,
        flaws=tuple(dict.fromkeys(flaws)),
        refused=tuple(dict.fromkeys(refused)),
        holds=any(metric.holds for metric in metrics),
        season=max((metric.season for metric in metrics), default=0),
    )
