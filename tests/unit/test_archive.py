"""Archives that are damaged inside what compresses them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING

import pytest

from converter.archive import check_archive
from converter.bundles import Format
from converter.formats import FormatError
from tests.unit.package_samples import tar

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
