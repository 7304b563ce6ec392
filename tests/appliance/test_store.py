"""The driver store as a user runs it, with real signatures (gpg, gpgv)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from converter import process
from tests import standins
from tests.command import converter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def key(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a key pair: gpg's home, and the public key in armour."""
    home = directory / name
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    process.run([*gpg, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.com>"])
    public = directory / f"{name}.asc"
    process.run([*gpg, "--armor", "--output", str(public), "--export"])
    return home, public


def sign(home: Path, file: Path) -> None:
    process.run(
        [
            "gpg", "--homedir", str(home), "--batch", "--quiet", "--yes", "--detach-sign",
            "--output", f"{file}.sig", str(file),
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Path, Path]]]:
    # gpg-agent's socket needs a short path.
    directory = tmp_path_factory.mktemp("k")
    made = {name: key(directory, name) for name in ("vendor", "stranger")}
    yield made
    for home, _ in made.values():
        process.run(["gpgconf", "--homedir", str(home), "--kill", "all"])


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return standins.deb(tmp_path)


@pytest.mark.xdist_group("store")
class TestSignatures:
    def test_a_good_one_is_kept_and_checked_again(
        self, keys: dict[str, tuple[Path, Path]], package: Path, tmp_path: Path
    ) -> None:
        home, public = keys["vendor"]
        sign(home, package)
        store = tmp_path / "store"
        done = converter(
            "drivers", "import", package, "--drivers", store, "--key", public, "--json"
        )
        assert [row["signed"] for row in done.good().document["payloads"]] == [True]
        converter("drivers", "verify", "--drivers", store).good()
        # Another's signature, though the payload is what the lock says.
        kept = next(store.rglob("*.sig"))
        sign(keys["stranger"][0], package)
        shutil.copy(f"{package}.sig", kept)
        refused = converter("drivers", "verify", "--drivers", store, "--json")
        assert refused.code == 4
        assert [p["code"] for p in refused.document["problems"]] == ["signature-wrong"]

    def test_a_strangers_is_refused(
        self, keys: dict[str, tuple[Path, Path]], package: Path, tmp_path: Path
    ) -> None:
        sign(keys["stranger"][0], package)
        store = tmp_path / "store"
        arguments = ("--drivers", store, "--key", keys["vendor"][1], "--json")
        refused = converter("drivers", "import", package, *arguments)
        assert refused.code == 4
        assert [p["code"] for p in refused.document["problems"]] == ["signature-wrong"]
        assert not list(store.rglob("*.deb"))

    def test_one_for_something_else_is_refused(
        self, keys: dict[str, tuple[Path, Path]], package: Path, tmp_path: Path
    ) -> None:
        sign(keys["vendor"][0], package)
        size = package.stat().st_size
        os.truncate(package, size + 60)
        arguments = ("--drivers", tmp_path / "store", "--key", keys["vendor"][1], "--json")
        assert converter("drivers", "import", package, *arguments).code == 4


def test_what_is_no_key(package: Path, tmp_path: Path) -> None:
    arguments = ("--drivers", tmp_path / "store", "--key", package, "--json")
    refused = converter("drivers", "import", package, *arguments)
    assert refused.code == 2
    assert "no OpenPGP public key" in refused.stderr


def test_a_store_that_is_not_there_is_usage(tmp_path: Path) -> None:
    refused = converter("plan", tmp_path / "guest.raw", "--drivers", tmp_path / "missing")
    assert refused.code == 2
    assert "missing" in refused.stderr
