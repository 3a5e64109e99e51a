"""Who may import whom, and which libraries may be loaded where: the rules that keep the layers apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "msecli"

ALLOWED = {
    "errors": set[str](),
    "_version": set[str](),
    "result": {"outputs"},
    "core": {"errors"},
    "engines": {"errors"},
    "sources": {"core", "engines", "errors"},
    "outputs": {"errors"},
    "arrays": {"core", "errors", "sources"},
    "functional": {"arrays", "core", "errors"},
    "learning": {"arrays", "core", "errors", "functional"},
    "jobs": {"_version", "core", "engines", "errors", "outputs", "result", "sources"},
    "api": {"core", "errors", "functional", "jobs", "outputs", "result", "sources"},
    # The command line lists the members of the tables in its help, and otherwise calls the API or a job.
    "cli": {
        "_version",
        "api",
        "jobs",
        "result",
        "core.metrics",
        "core.reduction",
        "errors",
        "outputs",
        "sources",
        "sources.base",
    },
}

AT_HOME = {
    "click": {"cli"},
    "rich": {"cli", "outputs.table"},
    "pandas": set[str](),
    "pyarrow": {"arrays", "sources", "outputs"},
}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py" and path.parent != PACKAGE)
MODULES += [path for path in sorted(PACKAGE.glob("*.py")) if path.stem not in {"__init__", "__main__"}]


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _within(name: str, places: set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    name = _name(path)
    layer = name.partition(".")[0]
    ours = {module.removeprefix("msecli.") for module in _imports(path) if module.startswith("msecli.")}
    foreign = {module for module in ours if module.partition(".")[0] != layer}
    assert {module for module in foreign if not _within(module, ALLOWED[layer])} == set()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_library_is_imported_only_where_it_belongs(path: Path) -> None:
    imported = {module.partition(".")[0] for module in _imports(path)}
    misplaced = {library for library in imported & set(AT_HOME) if not _within(_name(path), AT_HOME[library])}
    assert misplaced == set()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_stays_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    lengths = {
        node.name: _body_lines(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines
