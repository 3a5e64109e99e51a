"""Who may import whom, and which libraries may be loaded where: the rules that keep the layers apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "msecli"

EVERYWHERE = {"arrays", "tuples"}
"""What every module may import: types."""

READING = {"arrow", "core", "errors", "places"}
ALLOWED: dict[str, set[str]] = {
    "arrays": {""},
    "tuples": {""},
    "errors": set(),
    "_version": set(),
    # Beneath all others, so that these can use it.
    "kernel": {"errors"},
    "core": {"errors", "kernel"},
    "arrow": {"core", "errors"},
    "places": {"core", "errors"},
    "text": READING | {"kernel"},
    "formats": READING | {"kernel", "text"},
    "pairing": {"arrow", "core", "errors", "formats", "kernel"},
    "engines": {"errors"},
    "results": {"_version", "errors", "kernel"},
    "outputs": {"errors", "places", "results"},
    "scoring": READING | {"_version", "engines", "kernel", "formats", "pairing", "results", "text"},
    "functional": {"core", "engines", "errors", "formats"},
    "training": {"_version", "core", "errors", "formats", "functional", "results", "scoring"},
    "api": {"core", "errors", "outputs.files", "results", "scoring", "text.reading"},
    # The command line lists the members of the tables in its help, and otherwise calls the API or what this calls.
    "cli": {
        "_version",
        "api",
        "core.metrics",
        "core.paired",
        "core.reduction",
        "engines",
        "errors",
        "formats",
        "kernel",
        "outputs",
        "places",
        "results",
        "scoring",
        "text.reading",
    },
    # The package itself lends its public names.
    "": {"_version", "api", "errors", "functional", "results", "text.reading", "training"},
    "__main__": {"", "cli", "errors"},
}
"""What the modules of a package, or of a single file beside the packages, may import besides each other."""

ONLY_THEMSELVES = {"engines", "formats"}
"""Of these packages the command line may import what is in `__init__`, and no module."""

AT_HOME = {
    "click": {"cli"},
    "dask": {"engines.dask"},
    "distributed": {"engines.dask"},
    "rich": {"cli", "outputs.table"},
    # Where data go to callers; those that come from them bring their own.
    "aiohttp": {"places.https"},
    "fsspec": {"places"},
    "h5py": {"formats.hdf5"},
    "pandas": {"results.base"},
    "pyarrow": {"arrow", "formats", "kernel.python_text", "outputs", "pairing", "places", "results.values", "text"},
}

MODULES = {
    ".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def _layer(module: str) -> str:
    return module.partition(".")[0]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from msecli.outputs import json` imports a module; `from msecli.outputs import Style` does not.
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name.removeprefix("msecli.") in MODULES else node.module or ""


def _ours(path: Path) -> set[str]:
    return {
        name.removeprefix("msecli").removeprefix(".") for name in _imports(path) if name.partition(".")[0] == "msecli"
    }


def _within(name: str, places: set[str]) -> bool:
    return any(name == place or (place and name.startswith(f"{place}.")) for place in places)


def test_every_module_has_a_layer() -> None:
    assert {_layer(module) for module in MODULES} == set(ALLOWED)


def test_a_module_imports_only_what_its_layer_may() -> None:
    offenders = {
        module: wrong
        for module, path in MODULES.items()
        if (
            wrong := {
                name
                for name in _ours(path)
                if _layer(name) != _layer(module) and not _within(name, ALLOWED[_layer(module)] | EVERYWHERE)
            }
        )
    }
    assert offenders == {}


def test_the_command_line_sees_tables_and_not_what_is_behind_them() -> None:
    offenders = {
        module: wrong
        for module, path in MODULES.items()
        if _layer(module) == "cli" and (wrong := {n for n in _ours(path) if _layer(n) in ONLY_THEMSELVES and "." in n})
    }
    assert offenders == {}


def test_packages_do_not_import_each_other_in_circles() -> None:
    imported: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        layers = {_layer(name) for name in _ours(path)} - {_layer(module)}
        # Modules take a flag from the package itself, which imports nothing until it is asked for a name.
        imported.setdefault(_layer(module), set()).update(layers - {""})
    list(TopologicalSorter(imported).static_order())  # a circle raises CycleError, which shows it


def test_a_library_is_imported_only_where_it_belongs() -> None:
    offenders = {
        module: wrong
        for module, path in MODULES.items()
        if (
            wrong := {
                library
                for library in {name.partition(".")[0] for name in _imports(path)} & set(AT_HOME)
                if not _within(module, AT_HOME[library])
            }
        )
    }
    assert offenders == {}


def test_only_the_table_of_engines_names_the_local_one() -> None:
    naming = {module for module, path in MODULES.items() if {"engines.local", "LocalEngine"} & _words(path.read_text())}
    assert naming == {"engines", "engines.local"}


def _words(text: str) -> set[str]:
    return {word for word in ("engines.local", "LocalEngine") if word in text}


def test_only_the_command_line_prints_and_exits() -> None:
    calls = {"print", "exit", "quit", "breakpoint"}
    offenders = {
        module: wrong
        for module, path in MODULES.items()
        if _layer(module) not in {"cli", "__main__"}
        and (
            wrong := {
                node.func.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls
            }
        )
    }
    assert offenders == {}
