"""Archives that are damaged inside what compresses them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from converter.archive import check_archive
from converter.bundles import Format
from converter.formats import FormatError
from tests.unit.package_samples import tar
from tests.unit.source.build import tar_header

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("at", [-6, 60])
def test_damage_of_a_compressed_archive(pack: Callable[[bytes], bytes], at: int) -> None:
    plain = tar({"a": bytes(range(256)) * 90})[: 512 + 256 * 90]  # without an end
    data = bytearray(pack(plain))
    data[at] ^= 0x55
    with pytest.raises(FormatError, match="damaged"):
        check_archive(io.BytesIO(bytes(data)), Format.TAR)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_that_are_longer_than_any(kind: bytes) -> None:
    size = 16 << 20
    data = gzip.compress(tar_header(b"x", b"%011o" % size, kind) + bytes(size), 1)
    tracemalloc.start()
    with pytest.raises(FormatError, match="headers that are longer"):
        check_archive(io.BytesIO(data), Format.TAR)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_long_content_is_no_header(pack: Callable[[bytes], bytes]) -> None:
    plain = tar({"n" * 300: bytes(3 << 20), "b": b"x", "c": bytes(2 << 20)})
    check_archive(io.BytesIO(pack(plain)), Format.TAR)
