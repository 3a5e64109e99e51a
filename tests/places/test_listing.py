"""Which files a folder or a pattern names, in which order, and what is passed over; the same in every place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from msecli.errors import ReadWriteError
from msecli.places import alternatives, files_of, listed, would_name
from msecli.places.listing import Listing, listing_of, natural
from msecli.places.local import files_below

FILES = (
    "p/part-10.csv", "p/part-2.csv", "p/_SUCCESS", "p/.part-2.csv.crc", "p/part-2.csv.crc", "p/_delta_log/0.json",
    "p/region=b/x.csv", "p/region=a/x.csv", "p/_k=1/y.csv", "p/deep/er/z.csv", "top.csv", "a[1].csv", "a1.csv",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flat(folder: str, enter: Callable[[str], bool], /) -> Iterable[str] | None:
    """List all depths at once, as an object store does: nothing is asked of folders."""
    prefix = "" if folder in {".", ""} else folder.removeprefix("./").rstrip("/") + "/"
    found = [file.removeprefix(prefix) for file in FILES if file.startswith(prefix)]
    return found or None


IN_ORDER = ("_k=1/y.csv", "deep/er/z.csv", "part-2.csv", "part-10.csv", "region=a/x.csv", "region=b/x.csv")

listers = pytest.mark.parametrize("lister", [files_below, flat], ids=["local", "flat"])


@listers
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("path", "files", "skipped"),
    [
        # Skipped are _SUCCESS, two checksums, and a folder that is not looked into.
        ("p", IN_ORDER, 4),
        ("p/", IN_ORDER, 4),
        ("./p", IN_ORDER, 4),
        ("p/**", IN_ORDER, 4),
        ("p/*", ("part-2.csv", "part-10.csv"), 3),
        ("p/*.csv", ("part-2.csv", "part-10.csv"), 0),
        ("p/part-?.csv", ("part-2.csv",), 0),
        ("p/part-[!2]*.csv", ("part-10.csv",), 0),
        ("p/region=*/x.csv", ("region=a/x.csv", "region=b/x.csv"), 0),
        ("p/region=*/", ("region=a/x.csv", "region=b/x.csv"), 0),
        ("p/region=*", (), 0),
        ("p/**/[xz].csv", ("deep/er/z.csv", "region=a/x.csv", "region=b/x.csv"), 1),
        ("p/deep/**/z.csv", ("er/z.csv",), 0),
        ("p/_S*", ("_SUCCESS",), 0),
        ("p/_*/*", ("_delta_log/0.json", "_k=1/y.csv"), 0),
        ("p/*.txt", (), 0),
        ("?op.csv", ("top.csv",), 0),
    ],
)
def test_a_path_names_these_files(
    lister: Callable[..., Iterable[str] | None], path: str, files: tuple[str, ...], skipped: int
) -> None:
    found = listing_of(path, lister)
    assert found is not None
    assert (found.files, found.skipped) == (files, skipped)
    assert all(os.path.normpath(each) in FILES for each in found.paths)


@listers
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", ["top.csv", "nothing.csv", "nothing/*.csv", "a[1].csv", "-", ""])
def test_a_file_and_what_is_not_there_name_only_themselves(
    lister: Callable[..., Iterable[str] | None], path: str
) -> None:
    if lister is flat and path == "":
        return  # the root of a store is a folder
    assert listing_of(path, lister) is None


@pytest.mark.usefixtures("folder")
def test_a_name_with_wild_characters_is_a_pattern_only_without_a_file_of_this_name() -> None:
    assert files_of("a[1].csv") == ("a[1].csv",)
    Path("a[1].csv").unlink()
    assert files_of("a[1].csv") == ("a1.csv",)


@pytest.mark.usefixtures("folder")
def test_a_link_back_to_a_folder_ends_there_and_other_links_are_followed() -> None:
    Path("p/deep/back").symlink_to(Path("p").absolute())
    Path("p/far").symlink_to(Path("p/region=a").absolute())
    assert listed("p") == Listing("p", ("_k=1/y.csv", "deep/er/z.csv", "far/x.csv", *IN_ORDER[2:]), 4)


@pytest.mark.usefixtures("folder")
def test_a_broken_link_is_a_file_that_is_missed_when_it_is_opened() -> None:
    Path("q").mkdir()
    Path("q/part-0.csv").symlink_to("nowhere")
    assert files_of("q") == ("q/part-0.csv",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_told(folder: Path) -> None:
    (folder / "p/deep").chmod(0)
    with pytest.raises(ReadWriteError, match=r"deep: cannot list the folder"):
        listed("p")


def test_a_folder_that_cannot_be_listed_is_told_by_its_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ReadWriteError, match=r"^p/: cannot list the folder: Permission denied"):
        listed("p")


def test_names_are_in_the_order_of_their_numbers() -> None:
    names = ["part-10", "part-9", "part-009a", "part", "b/1", "b10/0", "b9/0", "2024-02-01", "2024-1-31", "10", "9"]
    # Folders are compared one by one, and digits as numbers: 009 as 9, with what follows behind.
    assert sorted(names, key=natural) == [
        "9", "10", "2024-1-31", "2024-02-01", "b/1", "b9/0", "b10/0", "part", "part-9", "part-009a", "part-10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("a.csv", ("a.csv",)),
        ("{a,b}.csv", ("a.csv", "b.csv")),
        ("{b,a}/{0,1}.csv", ("b/0.csv", "b/1.csv", "a/0.csv", "a/1.csv")),
        ("x{,2}.csv", ("x.csv", "x2.csv")),
        ("{a}.csv", ("{a}.csv",)),
        ("{a,{b,c}}", ("a", "b", "a", "c")),
    ],
)
def test_braces_stand_for_several_paths(path: str, paths: tuple[str, ...]) -> None:
    assert alternatives(path) == paths


@pytest.mark.usefixtures("folder")
def test_braces_in_the_name_of_a_file_are_part_of_it() -> None:
    Path("{a,b}.csv").touch()
    assert alternatives("{a,b}.csv") == ("{a,b}.csv",)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("path", "file", "named"),
    [
        ("p", "p/new.csv", True),
        ("p", "p/deep/new.csv", True),
        ("p", "q/new.csv", False),
        ("p", "top.csv", False),
        ("p/*.csv", "p/new.csv", True),
        ("p/*.csv", "./p/../p/new.csv", True),
        ("p/*.csv", "p/new.json", False),
        ("p/*.csv", "p/deep/new.csv", False),
        ("*.csv", "losses.csv", True),
        ("top.csv", "top.csv", False),
        ("https://a/*.csv", "x.csv", False),
    ],
)
def test_a_file_that_is_not_there_may_be_one_that_a_path_would_name(path: str, file: str, *, named: bool) -> None:
    assert would_name(path, file) == named
