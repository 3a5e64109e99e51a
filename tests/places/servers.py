"""Servers on this machine that stand for those elsewhere: they send ranges, count, wait, and fail as they are told."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request, and the bytes of the answer's body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    sent: int = 0

    @property
    def range(self) -> tuple[int, int] | None:
        """The first and the last byte asked for."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2])) if found else None


class Answer(NamedTuple):
    """A status, headers and a body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


Fault = Answer | str
"""An answer in place of the right one; or "reset", "cut" for half of the body, "stall" for none of it."""


@dataclass
class Server:
    """A server in threads of this process.

    Parameters
    ----------
    answer : callable
        From a request to the right answer.
    delay : float
        The seconds before each answer.
    bandwidth : float, optional
        Bytes a second of all connections together.
    faults : dict
        By the number of a request from 0, what goes wrong with it.
    """

    answer: Callable[[Asked], Answer]
    delay: float = 0.0
    bandwidth: float | None = None
    faults: dict[int, Fault] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free: float = 0.0

    @property
    def sent(self) -> int:
        """The bytes of all bodies sent."""
        return sum(each.sent for each in self.asked)

    def of(self, method: str) -> list[Asked]:
        """Return the requests of a method."""
        return [each for each in self.asked if each.method == method]

    def forget(self) -> None:
        """Count anew."""
        self.asked.clear()
        self.faults.clear()

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve for the time of the block."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        server.block_on_close = False
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def take(self, asked: Asked) -> tuple[Answer, Fault | None]:
        """Return the answer to a request, and what goes wrong with it."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
        time.sleep(self.delay)
        fault = self.faults.get(number)
        answer = fault if isinstance(fault, Answer) else self.answer(asked)
        with self._lock:
            self.asked[number] = asked._replace(sent=len(answer.body) if asked.method != "HEAD" else 0)
        return answer, fault

    def pace(self, size: int) -> None:
        """Wait for as long as these bytes take."""
        if self.bandwidth is None:
            return
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self.bandwidth
            wait = self._free - time.monotonic()
        time.sleep(max(0.0, wait))


CHUNK = 1 << 18


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _do(self) -> None:
            body = _body(self)
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer, fault = server.take(Asked(self.command, self.path, headers, body))
            with suppress(ConnectionError):
                self._send(answer, fault)

        def _send(self, answer: Answer, fault: Fault | None) -> None:
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers and answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault == "stall":
                time.sleep(5)
                self.close_connection = True
                return
            body = answer.body[: len(answer.body) // 2] if fault == "cut" else answer.body
            for start in range(0, len(body), CHUNK):
                server.pace(len(body[start : start + CHUNK]))
                self.wfile.write(body[start : start + CHUNK])
            self.close_connection = self.close_connection or fault == "cut"

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._do)
    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        chunks = []
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            chunks.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(chunks)
    return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


@dataclass
class Files:
    """The files of a web server.

    Parameters
    ----------
    content : dict of str to bytes
        By their paths, such as "/p.csv".
    ranges, tags : bool
        Whether the server sends ranges, and tags that tell one content from another.
    user : str
        "name:password", if the server asks for it.
    """

    content: dict[str, bytes]
    ranges: bool = True
    tags: bool = True
    user: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request."""
        if self.user and asked.headers.get("authorization") != f"Basic {base64.b64encode(self.user.encode()).decode()}":
            return Answer(401, {"WWW-Authenticate": "Basic"})
        content = self.content.get(asked.path.partition("?")[0])
        if content is None:
            return Answer(404, {}, b"<html>not here</html>")
        tag = _tag(content)
        headers = {**self.headers, **({"ETag": tag} if self.tags else {})}
        if self.tags and asked.headers.get("if-match", tag) != tag:
            return Answer(412)
        if not self.ranges or asked.range is None:
            return Answer(200, headers, content)
        first, last = asked.range
        if first >= len(content):
            return Answer(416, {"Content-Range": f"bytes */{len(content)}"})
        part = content[first : last + 1]
        shown = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
        return Answer(206, {**headers, "Content-Range": shown}, part)


@lru_cache(16)
def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def passed_to(host: str, port: int) -> Callable[[Asked], Answer]:
    """Return what answers requests as another server does."""

    def answer(asked: Asked) -> Answer:
        connection = http.client.HTTPConnection(host, port, timeout=30)
        try:
            headers = {name: value for name, value in asked.headers.items() if name != "transfer-encoding"}
            connection.request(asked.method, asked.path, asked.body or None, headers)
            found = connection.getresponse()
            kept = {name: value for name, value in found.getheaders() if name.lower() not in NOT_PASSED}
            body = found.read()
            if asked.method == "HEAD" and (size := found.getheader("Content-Length")):
                kept["Content-Length"] = size
            return Answer(found.status, kept, body)
        finally:
            connection.close()

    return answer


NOT_PASSED = frozenset({"connection", "transfer-encoding", "content-length", "server", "date"})
