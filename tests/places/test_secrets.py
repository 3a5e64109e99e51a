"""Passwords and signatures in URLs and in the environment: nothing that is printed or kept holds them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli
from msecli.errors import MsecliError, redacted
from msecli.places import shown_path
from tests.places.conftest import SECRET, put
from tests.places.servers import Answer, Files, Server

Run = Callable[..., Any]

P = b"id,yhat,x,weight\n1,1,5,1\n2,2,6,1\n3,3,7,1\n4,5,7,1\n"
T = b"id,y\n1,1\n2,2\n3,5\n4,4\n"
LINK = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SECRET}&X-Amz-Expires=60"


@pytest.fixture
def web(web: Server, files: Files) -> Server:
    """Return the server, which asks for a user; its URL names it."""
    files.content = {
        "/p.csv": P,
        "/t.csv": T,
        "/u.csv": b"id,y\n4,1\n3,2\n2,5\n1,4\n",
        "/bad.csv": b"yhat\n1\nx\n",
        "/w.npy": b"?",
        "/w.csv": b"w\n1\n2\n3\n4\n",
    }
    files.user = f"me:{SECRET}"
    web.url = web.url.replace("http://", f"http://me:{SECRET}@")
    return web


def test_no_result_holds_them(web: Server, tmp_path: Path) -> None:
    p, t = f"{web.url}/p.csv?{LINK}", f"{web.url}/t.csv?{LINK}"
    results: list[Any] = [
        msecli.score(p, t, on="id", metrics=["r2"], worst=2, explain=True),
        msecli.score(p, t, on="id", weight="weight", by="x"),
        msecli.score(p, t, weight_file=f"{web.url}/w.csv?{LINK}", pred="yhat", row_check=False),
        msecli.compare({"a": p, "b": p}, t, on="id"),
        msecli.compare([p, f"{web.url}/t.csv?{LINK}"], t, on="id"),
        msecli.norm(p),
    ]
    for result in results:
        for text in (repr(result), str(result), str(result.to_dict()), str(getattr(result, "signature", ""))):
            assert SECRET not in text
            assert "Amz" not in text
    assert results[0].to_dict()["inputs"][0]["path"].endswith("/p.csv?...")


FAILURES: dict[str, list[str]] = {
    "a column": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "-p", "nothing", "--no-row-check"],
    "several numbers": ["compute", "{web}/p.csv?{link}", "{web}/p.csv?{link}", "-p", "x,yhat", "-t", "x"],
    "no file": ["compute", "{web}/nothing.csv?{link}", "{web}/t.csv"],
    "two problems": ["compute", "{web}/nothing.csv?{link}", "{web}/nothing2.csv?{link}"],
    "no number": ["compute", "{web}/bad.csv?{link}", "{web}/bad.csv?{link}"],
    "keys": ["compute", "{web}/p.csv?{link}", "{web}/u.csv?{link}"],
    "another format": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "--input-format", "npy"],
    "a delimiter": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "--delimiter", ";"],
    "an output": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "-o", "{web}/r.json?{link}"],
    "an output and suffix": ["compute", "{web}/p.csv", "{web}/t.csv", "-o", "{web}/r.nothing?{link}"],
    "an option": ["compute", "{web}/p.csv?{link}", "--nothing={web}/p.csv?{link}"],
    "an argument": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "-r", "{web}/x?{link}"],
    "a weight": ["compute", "{web}/p.csv?{link}", "{web}/t.csv?{link}", "--weight-file", "{web}/w.npy?{link}"],
    "a manifest": ["batch", "{web}/p.csv?{link}"],
    "a pattern": ["batch", "{web}/*.csv?{link}", "{web}/t.csv?{link}"],
    "a state": ["merge", "{web}/p.csv?{link}"],
    "a comparison": ["compare", "{web}/p.csv?{link}", "{web}/bad.csv?{link}", "{web}/t.csv?{link}"],
    "a baseline": ["compute", "{web}/p.csv", "{web}/t.csv", "--on", "id", "--baseline", "{web}/p.csv?{link}",
                   "--max-increase", "1"],
    "a closed server": ["compute", "http://me:{secret}@127.0.0.1:1/p.csv?{link}"],
    "an unknown server": ["compute", "http://me:{secret}@nothing.invalid/p.csv?{link}"],
    "a bad port": ["compute", "http://me:{secret}@nothing.invalid:x/p.csv?{link}"],
    "a password with marks": ["compute", "http://me:{secret}/#@nothing.invalid/p.csv?{link}"],
    "an unknown place": ["compute", "nowhere://me:{secret}@host/p.csv"],
    "another place": ["compute", "ftp://me:{secret}@127.0.0.1:1/p.csv"],
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_no_message_holds_them(failure: str, web: Server, run: Run) -> None:
    ran = run(*(word.format(web=web.url, link=LINK, secret=SECRET) for word in FAILURES[failure]))
    assert ran.code in {2, 3, 4}
    assert "Traceback" not in ran.err
    assert SECRET not in ran.err + ran.out
    assert "Amz" not in ran.err + ran.out


@pytest.mark.parametrize("fault", ["reset", "cut", *map(Answer, (301, 401, 403, 404, 500))], ids=str)
def test_no_error_in_python_holds_them(fault: Any, web: Server) -> None:
    web.faults = dict.fromkeys(range(100), fault)
    with pytest.raises(MsecliError) as caught:
        msecli.score(f"{web.url}/p.csv?{LINK}", f"{web.url}/t.csv?{LINK}")
    shown = "".join(traceback.format_exception(caught.value))
    messages = [line for line in shown.splitlines() if not line.startswith(" ")]
    assert not [line for line in messages if SECRET in line or "Amz" in line]
    assert SECRET not in repr(caught.value) + str(caught.value.args)


def test_no_message_about_an_object_store_holds_them(s3: Server, run: Run) -> None:
    put(s3, "box/p.csv", P)
    for fault in (Answer(403), Answer(400, {}, f"<Error><Code>Odd</Code><Message>{SECRET}</Message></Error>".encode())):
        s3.forget()
        s3.faults = dict.fromkeys(range(100), fault)
        ran = run("compute", "s3://box/p.csv")
        assert ran.code == 4
        assert "AWS4" not in ran.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/p.csv", "https://h/p.csv"),
        ("https://me@h/p.csv", "https://...@h/p.csv"),
        ("https://me:a@b@h/p.csv", "https://...@h/p.csv"),
        ("https://me:a/b@h/p.csv", "https://...@h/p.csv"),
        ("HTTPS://h/p.csv?a=1#x", "HTTPS://h/p.csv?..."),
        ("https://h/p.csv?a=1 b", "https://h/p.csv?..."),
        ("s3://box/p?.csv", "s3://box/p?.csv"),
        ("p?.csv", "p?.csv"),
        ("https:/h/p?a", "https:/h/p?a"),
        ("zip://p.csv::https://me:x@h/a.zip?b", "zip://p.csv::https://...@h/a.zip?..."),
    ],
)
def test_paths_are_shown_without_them(text: str, expected: str) -> None:
    assert shown_path(text) == expected


def test_texts_are_shown_without_them() -> None:
    text = "run: msecli compute 'https://me:x@h/p.csv?a=b;c' https://h/t.csv?d -p x; did you mean y?"
    assert redacted(text) == "run: msecli compute 'https://...@h/p.csv?...' https://h/t.csv?... -p x; did you mean y?"
