"""Detached OpenPGP signatures (RFC 9580), checked by gpgv(1) with a vendor's public key.

gpgv takes a keyring and nothing else: no trust model, no key servers, no configuration.
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from pathlib import Path
from typing import Final

from converter import process
from converter.confinement import Confinement
from converter.errors import DamagedInputError, UsageError

_ARMOUR: Final = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
    rb"([A-Za-z0-9+/=\r\n]+?)(?:\r?\n=[A-Za-z0-9+/]{4})?\r?\n-----END PGP PUBLIC KEY BLOCK-----"
)
_KEY_LIMIT: Final = 1 << 20
_TIMEOUT: Final = 120.0


def read_key(path: Path) -> bytes:
    """Give the file of a public key, armoured or not. Raises `UsageError` ``key-invalid``."""
    try:
        with path.open("rb") as file:
            data = file.read(_KEY_LIMIT)
    except OSError as error:
        raise _no_key(path, error.strerror or str(error)) from error
    _binary(data, path)
    return data


def _binary(data: bytes, path: Path) -> bytes:
    """Give a key without its armour, as gpgv wants a keyring."""
    found = _ARMOUR.search(data)
    if found:
        try:
            data = base64.b64decode(found[1])
        except binascii.Error as error:
            raise _no_key(path, f"its armour is damaged: {error}") from error
    # The tag of a public key packet, in the old format or the new one.
    if not data or data[0] not in (0x98, 0x99, 0x9A, 0xC6):
        raise _no_key(path, "is no OpenPGP public key")
    return data


def _no_key(path: Path, why: str) -> UsageError:
    hint = "give the file with the vendor's OpenPGP public key, as it is on the vendor's page"
    return UsageError("key-invalid", f"{path}: {why}", hint=hint)


def check(file: Path, detached: Path, key: Path) -> None:
    """Raise `DamagedInputError` ``signature-wrong`` unless `key` signed `file` as `detached` says.

    A signature of a key that expired since counts, as the vendor's older payloads have them.
    """
    with tempfile.NamedTemporaryFile(prefix="converter-keyring-") as keyring:
        keyring.write(_binary(read_key(key), key))
        keyring.flush()
        files = (detached.resolve(), file.resolve())
        done = process.run(
            ["gpgv", "--keyring", keyring.name, "--", *map(str, files)],
            timeout=_TIMEOUT,
            check=False,
            confinement=Confinement(read=(Path(keyring.name), *files)),
        )
    if done.status != 0:
        raise DamagedInputError(
            "signature-wrong",
            f"{file}: its signature is not that of {key.name}: {done.reason}",
            hint="do not use it: fetch it again, and the vendor's key if that has changed",
        )
