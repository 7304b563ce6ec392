"""Fetches payloads from their vendors: over HTTP, with a limit, and on from where it broke off.

Proxies are those of the environment ($https_proxy, $no_proxy); certificates are checked against the
system's, or $SSL_CERT_FILE. Nothing that arrives is believed before the store has checked it.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import urllib3

from converter.errors import ConversionError, UsageError, writing_failed
from converter.store import PAYLOAD_LIMIT, SIGNATURE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from converter.bundles import Bundle, Payload
    from converter.store import Entry, Store

# Of a length in bytes.
_DIGITS: Final = 19
_TRIES: Final = 4
_PIECE: Final = 256 << 10
_TIMEOUT: Final = urllib3.Timeout(connect=20, read=60)
# Vendors send us on to where the file lies; what breaks off is gone on with, not begun again.
_RETRIES: Final = urllib3.Retry(connect=2, redirect=5, read=False, status=False, other=False)
_BROKEN: Final = (urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError)


def fetch(
    store: Store,
    bundle: Bundle,
    payload: Payload,
    work: Path,
    progress: Callable[[float], None],
) -> Entry:
    """Fetch a payload, with its signature where a key for it is in the store.

    Raises `ConversionError` ``fetch-failed``, and what `Store.add` raises.
    """
    if not payload.url:
        raise UsageError(
            "fetch-by-hand",
            f"{bundle.name}/{payload.name}: its vendor does not give it without a click",
            hint=f"get it as {bundle.origin} tells, then: converter drivers import FILE",
        )
    target = work / payload.file
    download(payload.url, target, limit=PAYLOAD_LIMIT, progress=progress)
    signed_by = None
    if payload.signature and store.key(bundle) is not None:
        detached = work / f"{payload.file}.signature"
        download(payload.signature, detached, limit=SIGNATURE_LIMIT, progress=lambda _: None)
        signed_by = detached.read_bytes()
    return store.add(bundle, payload, target, origin=payload.url, signed_by=signed_by)


def download(url: str, target: Path, *, limit: int, progress: Callable[[float], None]) -> None:
    """Make `target` what is at `url`; goes on with what of it is there already."""
    pool = _pool(url)
    last: Exception | None = None
    for _ in range(_TRIES):
        try:
            if _transfer(pool, url, target, limit=limit, progress=progress):
                return
        except _BROKEN as error:
            last = error
        except urllib3.exceptions.HTTPError as error:
            raise _failed(url, str(error)) from error
        except OSError as error:
            raise writing_failed(target, error, code="fetch-failed") from error
    raise _failed(url, f"it broke off {_TRIES} times: {last}")


def _transfer(
    pool: urllib3.PoolManager,
    url: str,
    target: Path,
    *,
    limit: int,
    progress: Callable[[float], None],
) -> bool:
    have = target.stat().st_size if target.exists() else 0
    headers = {"User-Agent": "converter", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    response = pool.request("GET", url, headers=headers, preload_content=False, retries=_RETRIES)
    try:
        final = response.url or url
        if urlsplit(url).scheme == "https" and urlsplit(final).scheme == "http":
            raise _failed(url, f"the server sends us on to {final}, which is not encrypted")
        if response.status == 200:
            have = 0
        elif response.status != 206:
            raise _failed(url, f"the server says {response.status} {response.reason or ''}".strip())
        length = response.headers.get("Content-Length", "")
        is_number = length.isdecimal() and length.isascii() and len(length) < _DIGITS
        total = have + int(length) if is_number else 0
        if total > limit:
            raise _failed(url, f"has {total} bytes, more than {limit}")
        with target.open("ab" if have else "wb") as file:
            # Not `stream`: that keeps what it has until a piece is whole, and loses it.
            while piece := response.read1(_PIECE):
                have += len(piece)
                if have > limit:
                    raise _failed(url, f"has more than {limit} bytes")
                file.write(piece)
                progress(have / total if total else 0.0)
    finally:
        response.release_conn()
    return total in (0, have)


def _pool(url: str) -> urllib3.PoolManager:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "url-invalid",
            f"{url}: is no http or https address",
            hint="bring the file by hand: converter drivers import FILE",
        )
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname):
        return urllib3.ProxyManager(proxy, ssl_context=context, timeout=_TIMEOUT)
    return urllib3.PoolManager(ssl_context=context, timeout=_TIMEOUT)


def _failed(url: str, why: str) -> ConversionError:
    return ConversionError(
        "fetch-failed",
        f"{url}: {why}",
        hint="without a network, bring the file and use: converter drivers import FILE",
    )
