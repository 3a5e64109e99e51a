"""Servers for the tests of places."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.places.servers import Asked, Files, Server, passed_to

SECRET = "tomato-soup-2031"  # noqa: S105 - no one's
"""What no message may hold."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait between attempts, and leave the network of this machine alone."""
    monkeypatch.setattr("msecli.places.remote.BACKOFF_SECONDS", 0.01)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def files() -> Files:
    """Return the files of the web server."""
    return Files({})


@pytest.fixture
def web(files: Files) -> Iterator[Server]:
    """Return a running web server."""
    pytest.importorskip("aiohttp", reason="the extra remote")
    pytest.importorskip("fsspec", reason="the extra remote")
    with Server(files).running() as server:
        yield server


@pytest.fixture(scope="session")
def _moto() -> Iterator[tuple[str, int]]:
    moto = pytest.importorskip("moto.server", reason="a server of the S3 protocol")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def s3(_moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Return a running server of the S3 protocol with the empty bucket "box", in front of one that counts."""
    answer = passed_to(*_moto)
    with Server(answer).running() as server:
        answer(Asked("POST", "/moto-api/reset", {}, b""))
        answer(Asked("PUT", "/box", SIGNED, b""))
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }.items():
            monkeypatch.setenv(name, value)
        from msecli.places import arrow_fs

        arrow_fs._connected.cache_clear()
        yield server
        arrow_fs._connected.cache_clear()


SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}
"""Enough for the server, which does not check signatures."""


def put(server: Server, path: str, content: bytes) -> None:
    """Write an object behind the server's back; the path begins with the bucket."""
    assert server.answer(Asked("PUT", f"/{path}", SIGNED, content)).status == 200


def got(server: Server, path: str) -> bytes | None:
    """Return the content of an object; None if there is none."""
    found = server.answer(Asked("GET", f"/{path}", SIGNED, b""))
    return found.body if found.status == 200 else None
