from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from converter import bundles, fetching
from converter.errors import ConversionError, UsageError
from converter.store import Store
from tests.unit import package_samples as made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from converter.bundles import Bundle, Payload

DEB = made.deb()


class Server(ThreadingHTTPServer):
    """Serves one file; breaks off `breaks` times after as many bytes as `after` says."""

    data = DEB
    ranges = True
    breaks = 0
    after = 100
    status = 200
    length: int | None = None
    location = ""
    seen: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range", "")
        server.seen.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        body = server.data[begin:]
        self.send_response(206 if begin else server.status)
        if server.location and self.path == "/agent.deb":
            self.send_header("Location", server.location)
        self.send_header("Content-Length", str(server.length or len(body)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: server.after]
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running() as found:
        yield found


@contextmanager
def running() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.seen = []
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/agent.deb"


def offered(url: str) -> tuple[Bundle, Payload]:
    bundle = bundles.find("amazon-ssm-agent")
    assert bundle is not None
    return bundle, replace(bundle.payloads[0], url=url, signature="")


def fetch(server: Server, tmp_path: Path) -> Store:
    bundle, payload = offered(address(server))
    store = Store(tmp_path / "store")
    work = tmp_path / "work"
    work.mkdir()
    fetching.fetch(store, bundle, payload, work, lambda _: None)
    return store


def test_what_is_fetched_is_locked(server: Server, tmp_path: Path) -> None:
    store = fetch(server, tmp_path)
    (entry,) = store.entries
    assert (entry.version, entry.origin) == ("3.3.1-1", address(server))
    assert store.check(entry).path.read_bytes() == DEB


def test_goes_on_from_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    fetch(server, tmp_path)
    assert server.seen == ["", "bytes=100-", "bytes=200-"]


def test_begins_again_where_the_server_cannot_go_on(server: Server, tmp_path: Path) -> None:
    server.breaks, server.ranges = 1, False
    (entry,) = fetch(server, tmp_path).entries
    assert entry.size == len(DEB)


def test_follows_where_it_is_sent(server: Server, tmp_path: Path) -> None:
    with running() as other:
        server.status, server.location = 302, address(other).replace("agent", "there")
        (entry,) = fetch(server, tmp_path).entries
    assert (entry.origin, other.seen) == (address(server), [""])


def test_gives_up(server: Server, tmp_path: Path) -> None:
    server.breaks, server.after = 100, 0
    with pytest.raises(ConversionError) as caught:
        fetch(server, tmp_path)
    assert caught.value.code == "fetch-failed"
    assert "converter drivers import" in caught.value.hint


@pytest.mark.parametrize("status", [301, 403, 404, 500])
def test_says_what_the_server_says(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(ConversionError, match=str(status)):
        fetch(server, tmp_path)


@pytest.mark.parametrize("length", [None, 1 << 40])
def test_has_a_limit(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int | None
) -> None:
    monkeypatch.setattr(fetching, "PAYLOAD_LIMIT", 200)
    server.length = length
    with pytest.raises(ConversionError, match="more than 200"):
        fetch(server, tmp_path)
    assert Store(tmp_path / "store").entries == ()


def test_goes_by_the_proxy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as proxy:
        monkeypatch.setenv("http_proxy", address(proxy).rpartition("/")[0])
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        bundle, payload = offered("http://vendor.invalid/agent.deb")
        fetching.fetch(Store(tmp_path / "store"), bundle, payload, tmp_path, lambda _: None)
        assert (proxy.seen, server.seen) == ([""], [])


def test_nobody_is_there(tmp_path: Path, server: Server) -> None:
    bundle, payload = offered("http://127.0.0.1:1/agent.deb")
    with pytest.raises(ConversionError) as caught:
        fetching.fetch(Store(tmp_path / "store"), bundle, payload, tmp_path, lambda _: None)
    assert caught.value.code == "fetch-failed"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http:", "x"])
def test_other_addresses(tmp_path: Path, url: str) -> None:
    bundle, payload = offered(url)
    with pytest.raises(UsageError) as caught:
        fetching.fetch(Store(tmp_path / "store"), bundle, payload, tmp_path, lambda _: None)
    assert caught.value.code == "url-invalid"


def test_what_its_vendor_does_not_give(tmp_path: Path) -> None:
    bundle, payload = offered("")
    with pytest.raises(UsageError, match="without a click"):
        fetching.fetch(Store(tmp_path / "store"), bundle, payload, tmp_path, lambda _: None)
