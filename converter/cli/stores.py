"""What `converter drivers …` does: call the store, print its answer, give the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converter import bundles, fetching, importing, pipeline, provision, signature
from converter.cli import output
from converter.cli.terminal import monitor
from converter.errors import ConversionError, DamagedInputError, UsageError
from converter.handoff.facts import jsonable
from converter.handoff.workspace import scratch
from converter.store import Store, default_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from converter.bundles import Bundle, Payload
    from converter.model import Wanted
    from converter.store import Entry


def _open(directory: Path | None) -> Store:
    chosen = directory or default_directory()
    if chosen is None:
        raise UsageError(
            "store-missing", "there is no place for a driver store", hint="--drivers DIR"
        )
    return Store(chosen)


def list_all(directory: Path | None, *, as_json: bool) -> int:
    """Print every payload of every bundle, and what the store has of it."""
    store = _open(directory)
    rows = [
        _row(bundle, payload, store.find(bundle, payload))
        for bundle in bundles.definitions()
        for payload in bundle.payloads
    ]
    if as_json:
        output.show_json({"store": str(store.directory), "payloads": rows})
        return 0
    for row in rows:
        state = f"{row['version']} {row['sha256'][:16]}" if row["sha256"] else "not in the store"
        output.show(f"{row['bundle']}/{row['payload']}: {row['file']}: {state}")
    output.show(f"store: {store.directory}")
    return 0


def _row(bundle: Bundle, payload: Payload, entry: Entry | None) -> dict[str, Any]:
    return {
        "bundle": bundle.name,
        "payload": payload.name,
        "file": payload.file,
        "summary": bundle.summary,
        "licence": bundle.licence,
        "url": payload.url,
        "version": entry.version if entry else payload.version,
        "sha256": entry.sha256 if entry else "",
        "signed": entry.signed if entry else False,
    }


def list_for(disks: Sequence[Path], wanted: Wanted, *, as_json: bool) -> int:
    """Print what the guest on `disks` would get, and why the rest would not."""
    provision.open_store(wanted)  # what is wrong with it is told before the guest is read
    with monitor() as shown:
        _, inspection = pipeline.inspect(disks, monitor=shown)
    rows = jsonable(list(provision.explain(inspection.facts.os, wanted)))
    if as_json:
        output.show_json({"bundles": rows})
        return 0
    for row in rows:
        output.show(f"{row['bundle']}: {row['verdict']}: {row['reason']}")
    return 0


def fetch(names: Sequence[str], directory: Path | None, *, key: Path | None, as_json: bool) -> int:
    """Fetch payloads; one that cannot be had does not keep the others from being fetched."""
    store = _open(directory)
    chosen = list(_chosen(names))
    store.must_be_writable()
    _keep_key(store, {bundle.name: bundle for bundle, _ in chosen}, key)
    fetched: list[Entry] = []
    failures: list[ConversionError] = []
    with monitor() as shown:
        for bundle, payload in chosen:
            name = f"{bundle.name}/{payload.name}"
            shown.phase(name, f"fetching {name}")
            try:
                with scratch("fetch") as work:

                    def progress(fraction: float, name: str = name) -> None:
                        shown.progress(name, fraction)

                    fetched.append(fetching.fetch(store, bundle, payload, work, progress))
            except ConversionError as error:
                failures.append(error)
    return _answer(store, fetched, failures, as_json=as_json)


def _chosen(names: Sequence[str]) -> Iterator[tuple[Bundle, Payload]]:
    """Give the payloads that are meant: without names, all that a vendor gives without a click."""
    every = [(bundle, payload) for bundle in bundles.definitions() for payload in bundle.payloads]
    if not names:
        yield from ((bundle, payload) for bundle, payload in every if payload.url)
    for name in names:
        found = [
            (bundle, payload)
            for bundle, payload in every
            if name in (bundle.name, f"{bundle.name}/{payload.name}")
        ]
        if not found:
            raise UsageError(
                "bundle-unknown", f"{name}: no such bundle", hint="see `converter drivers list`"
            )
        yield from found


def _keep_key(store: Store, chosen: dict[str, Bundle], key: Path | None) -> None:
    if key is None:
        return
    data = signature.read_key(key)
    for bundle in chosen.values():
        if any(payload.signature for payload in bundle.payloads):
            store.add_key(bundle, data)


def import_(
    sources: Sequence[Path], directory: Path | None, *, key: Path | None, as_json: bool
) -> int:
    """Import payloads; a source that is refused does not keep the others from being imported."""
    store = _open(directory)
    store.must_be_writable()
    _keep_key(store, {bundle.name: bundle for bundle in bundles.definitions()}, key)
    taken: list[Entry] = []
    failures: list[ConversionError] = []
    for source in sources:
        try:
            with scratch("import") as work:
                for found in importing.bring(store, source, work):
                    taken.append(found.entry)
                    if found.remark and not as_json:
                        output.show(f"{found.origin}: {found.remark}")
        except ConversionError as error:
            failures.append(error)
    return _answer(store, taken, failures, as_json=as_json)


def _answer(
    store: Store, entries: Sequence[Entry], failures: Sequence[ConversionError], *, as_json: bool
) -> int:
    problems = [{"code": e.code, "message": e.message, "hint": e.hint} for e in failures]
    rows = jsonable(list(entries))
    if as_json:
        output.show_json({"store": str(store.directory), "payloads": rows, "problems": problems})
    else:
        for row in rows:
            output.show(
                f"{row['bundle']}/{row['payload']}: {row['version']} sha256 {row['sha256']}"
            )
        for problem in problems:
            output.show(f"{problem['message']} [{problem['code']}]")
            if problem["hint"]:
                output.show(f"  → {problem['hint']}")
    return failures[0].exit_code if failures else 0


def verify(directory: Path | None, *, as_json: bool) -> int:
    """Read every payload; one that is not what it must be is exit 4."""
    store = _open(directory)
    if not store.directory.exists():
        raise UsageError(
            "store-missing",
            f"{store.directory}: there is no driver store",
            hint="give the directory with --drivers DIR",
        )
    whole: list[Entry] = []
    failures: list[ConversionError] = []
    for entry in store.entries:
        try:
            checked = store.check(entry)
            whole.append(entry)
            if checked.is_unsigned and not as_json:
                output.show(f"{checked.path}: there is a key, but no signature to check with it")
        except DamagedInputError as error:
            failures.append(error)
    return _answer(store, whole, failures, as_json=as_json)
