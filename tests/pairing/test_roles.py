"""Which column of which file plays which part, and rows of files as chunks.

Expected roles follow from the column names by the rules of the design; the numbers are spelled out.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pytest

from msecli.errors import DataError
from msecli.formats.base import ARRAY, Block, Column, Selection, Source
from msecli.pairing.chunks import chunk_of, groups_of
from msecli.pairing.position import Aligned
from msecli.pairing.roles import Place, Roles, Shared, assign_roles, check_shapes, item_shape


class Stub(NamedTuple):
    """A source without rows."""

    path: str
    columns: tuple[Column, ...] | None
    item: tuple[int, ...] | None = None


def table(path: str, *names: str) -> Source:
    """Return a table; columns whose names begin with an underscore are text."""
    columns = tuple(Column(name, "number", numeric=not name.startswith("_")) for name in names)
    return cast("Source", Stub(path, columns))


def array(path: str, *item: int) -> Source:
    columns = tuple(Column(str(number), "float64", numeric=True) for number in range(item[0] if item else 0))
    return cast("Source", Stub(path, columns if len(item) == 1 else None, item))


def roles_of(*tables: Source, weights: Source | None = None, weight: str | None = None, **names: Any) -> Roles:
    """Return the roles where these columns are named, one by itself or several in a tuple."""
    several: dict[str, Any] = {name: (value,) if isinstance(value, str) else value for name, value in names.items()}
    return assign_roles(tables, weights, weight=weight, **several)


P, T = table("p.csv", "id", "pred"), table("t.csv", "id", "target", "w", "_g")


def test_two_files_by_position_must_agree_in_their_index() -> None:
    roles = roles_of(P, T)
    assert (roles.prediction, roles.target) == (Place(0, ("pred",)), Place(1, ("target",)))
    assert roles.checked == (Shared(("id", "id")),)
    assert roles.selection(0) == Selection(("pred",), ("id",))
    assert roles.selection(1) == Selection(("target",), ("id",))


def test_a_key_is_read_from_both_files_and_no_index_is_compared() -> None:
    roles = roles_of(P, T, on="id")
    assert (roles.keys, roles.checked) == ((("id",), ("id",)), ())
    assert [roles.selection(number).labels for number in (0, 1)] == [("id",), ("id",)]


def test_one_file_holds_both_sides() -> None:
    roles = roles_of(table("x.csv", "id", "pred", "target"))
    assert (roles.target.file, roles.checked) == (0, ())
    assert roles.selection(0) == Selection(("pred", "target"), ())


@pytest.mark.parametrize("file", [0, 1])
def test_weights_are_in_the_file_that_has_the_column(file: int) -> None:
    sources = [table("p.csv", "pred"), table("t.csv", "target")]
    sources[file] = table("x.csv", "pred" if file == 0 else "target", "w")
    roles = roles_of(*sources, weight="w")
    assert roles.weight == Place(file, ("w",))
    assert "w" in roles.selection(file).numbers
    assert "w" not in roles.selection(1 - file).numbers


def test_weights_in_both_files_are_ambiguous() -> None:
    with pytest.raises(DataError, match=r"^weight: both files have a column 'w'; rename it in one of them$"):
        roles_of(table("p.csv", "pred", "w"), T, weight="w")


def test_weights_in_no_file_are_an_error_with_the_columns() -> None:
    with pytest.raises(DataError) as raised:
        roles_of(P, table("t.csv", "target"), weight="w")
    assert str(raised.value) == (
        "weight: no file has a column 'w'\n  p.csv: 'id' (number), 'pred' (number)\n  t.csv: 'target' (number)"
    )


def test_a_column_that_is_there_twice_cannot_be_meant() -> None:
    with pytest.raises(DataError, match=r"^t.csv: 2 columns are named 'w'; rename all but one$"):
        roles_of(P, table("t.csv", "target", "w", "w"), weight="w")


@pytest.mark.parametrize("role", ["weight", "by", "on"])
def test_columns_with_another_part_are_no_candidates(role: str) -> None:
    sources = table("p.csv", "k", "a"), table("t.csv", "k", "b")
    if role == "weight":
        sources = table("p.csv", "a"), table("t.csv", "k", "b")
    named: dict[str, Any] = {role: "k"}
    roles = roles_of(*sources, **named)
    assert (roles.prediction.columns, roles.target.columns) == (("a",), ("b",))


def test_a_weight_file_has_its_only_column_or_is_an_array() -> None:
    weights = table("w.csv", "w", "_note")
    assert roles_of(P, T, weights=weights).weight == Place(2, ("w",))
    assert roles_of(P, T, weights=array("w.npy")).weight == Place(2, ())
    one_file = roles_of(table("x.csv", "pred", "target"), weights=weights)
    assert (one_file.weight, one_file.target.file) == (Place(1, ("w",)), 0)
    assert one_file.selection(1) == Selection(("w",), ())


def test_the_name_in_a_weight_file_does_not_take_columns_from_the_data() -> None:
    roles = roles_of(table("p.csv", "y"), table("t.csv", "y"), weights=table("w.csv", "y"))
    assert roles[:3] == (Place(0, ("y",)), Place(1, ("y",)), Place(2, ("y",)))
    several = roles_of(table("p.csv", "a", "b"), table("t.csv", "a", "b"), weights=table("w.csv", "a"))
    assert several[:3] == (Place(0, ("a", "b")), Place(1, ("a", "b")), Place(2, ("a",)))


@pytest.mark.parametrize("index", ["id", "index", "Unnamed: 0", ""])
def test_the_row_index_of_a_weight_file_is_not_its_weights(index: str) -> None:
    assert roles_of(P, T, weights=table("w.csv", index, "w")).weight == Place(2, ("w",))


@pytest.mark.parametrize("names", [(), ("_a",), ("a", "b")])
def test_a_weight_file_whose_column_cannot_be_told_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"^w.csv: "):
        roles_of(P, T, weights=table("w.csv", *names))


def test_groups_come_from_either_file() -> None:
    assert roles_of(P, T, by="_g").by == (Place(1, ("_g",)),)
    roles = roles_of(table("p.csv", "pred", "_h"), T, by=("_h", "_g"))
    assert roles.by == (Place(0, ("_h",)), Place(1, ("_g",)))
    assert (roles.selection(0).labels, roles.selection(1).labels) == (("_h",), ("_g",))


def test_groups_in_both_files_are_taken_from_the_target_and_must_agree() -> None:
    roles = roles_of(table("p.csv", "pred", "_g"), T, by="_g")
    assert (roles.by, roles.checked) == ((Place(1, ("_g",)),), (Shared(("_g", "_g"), group=True),))
    assert [roles.selection(number).labels for number in (0, 1)] == [("_g",), ("_g",)]
    keyed = roles_of(table("p.csv", "id", "pred", "_g"), T, by="_g", on="id")
    assert keyed.checked == (Shared(("_g", "_g"), group=True),)


def test_a_group_column_that_is_the_index_is_compared_once() -> None:
    assert roles_of(P, T, by="id").checked == (Shared(("id", "id"), group=True),)


def test_a_group_column_in_no_file_is_an_error() -> None:
    with pytest.raises(DataError, match=r"^by: no file has a column 'region'\n"):
        roles_of(P, T, by="region")


def test_a_key_must_be_in_both_files() -> None:
    with pytest.raises(DataError, match=r"^on: t.csv has no column 'pred'; keys are columns of both files\n"):
        roles_of(P, T, on="pred")
    with pytest.raises(DataError, match=r"^on: p.csv has no column 'w'; keys are columns of both files\n"):
        roles_of(P, T, on="w")


def test_blanks_around_the_names_of_weights_and_groups_are_forgiven() -> None:
    roles = roles_of(table("p.csv", "pred", " w"), table("t.csv", "target", "g "), weight="w", by="g")
    assert (roles.weight, roles.by) == (Place(0, (" w",)), (Place(1, ("g ",)),))


# Shapes


def test_an_item_is_a_number_or_as_many_as_there_are_columns() -> None:
    assert item_shape(P, ("pred",)) == ()
    assert item_shape(T, ("target", "w")) == (2,)
    assert item_shape(array("x.npy", 2, 3), ()) == (2, 3)
    assert item_shape(array("x.npy"), ()) == ()


def make_roles(prediction: tuple[str, ...] = (), target: tuple[str, ...] = (), weight: Place | None = None) -> Roles:
    return Roles(Place(0, prediction), Place(1, target), weight)


@pytest.mark.parametrize("items", [((3,), (2,)), ((), (2,)), ((1, 2), (2,)), ((2, 1), (2,))])
def test_items_of_different_shapes_are_refused(items: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(DataError, match=r"nothing is broadcast$"):
        check_shapes([array("p.npy", *items[0]), array("t.npy", *items[1])], make_roles(), items[0])


@pytest.mark.parametrize("weights", [(), (1,), (2, 3)])
def test_weights_are_one_for_each_row_or_one_for_each_element(weights: tuple[int, ...]) -> None:
    sources = [array("p.npy", 2, 3), array("t.npy", 2, 3), array("w.npy", *weights)]
    check_shapes(sources, make_roles(weight=Place(2, ())), (2, 3))


@pytest.mark.parametrize("weights", [(2,), (3,), (3, 2), (1, 3), (6,), (2, 3, 1)])
def test_weights_of_another_shape_are_refused(weights: tuple[int, ...]) -> None:
    sources = [array("p.npy", 2, 3), array("t.npy", 2, 3), array("w.npy", *weights)]
    with pytest.raises(DataError, match=r"^w.npy: rows of weights have shape .*\(2, 3\)$"):
        check_shapes(sources, make_roles(weight=Place(2, ())), (2, 3))


def test_rows_become_a_chunk_with_columns_side_by_side() -> None:
    blocks = (
        Block(2, {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}),
        Block(2, {"c": np.array([5.0, 6.0]), "d": np.array([7.0, 8.0]), "w": np.array([0.5, 2.0])}),
    )
    chunk, inputs = chunk_of(Aligned(7, blocks), make_roles(("b", "a"), ("c", "d"), Place(1, ("w",))))
    assert chunk.prediction.tolist() == [[3, 1], [4, 2]]
    assert chunk.target.tolist() == [[5, 7], [6, 8]]
    assert (chunk.first_row, inputs) == (7, None)
    weight = chunk.element_weight()
    assert weight is not None
    assert weight.tolist() == [[0.5, 0.5], [2, 2]]


@pytest.mark.parametrize("shapes", [((2,), (2, 1)), ((2, 1), (2,)), ((2, 1), (2, 1)), ((2,), (2,))])
@pytest.mark.parametrize("weights", [(2,), (2, 1)])
def test_one_column_is_the_same_as_none(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], weights: tuple[int, ...]
) -> None:
    arrays = [np.array([1.0, 2.0]).reshape(shape) for shape in (*shapes, weights)]
    aligned = Aligned(0, tuple(Block(2, {ARRAY: values}) for values in arrays))
    chunk, _ = chunk_of(aligned, make_roles(weight=Place(2, ())))
    weight = chunk.element_weight()
    assert weight is not None
    assert chunk.prediction.shape == chunk.target.shape == weight.shape == shapes[0]


def test_groups_are_coded_across_files() -> None:
    blocks = (
        Block(3, {}, {"g": pa.array(["x", "y", "x"])}),
        Block(3, {}, {"h": pa.array([1, 1, 1])}),
    )
    roles = make_roles()._replace(by=(Place(0, ("g",)), Place(1, ("h",))))
    codes, keys = groups_of(Aligned(0, blocks), roles)
    assert [keys[code] for code in codes.tolist()] == [("x", "1"), ("y", "1"), ("x", "1")]
