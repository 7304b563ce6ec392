"""What drivers and packages come in: archives, cabinets, packages, ISO images."""

from __future__ import annotations

import gzip
import io
import lzma
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter import containers
from converter.archive import check_archive
from converter.bundles import Format
from converter.formats import cabinet as cabinet_codec
from converter.formats import package
from tests import standins
from tests.fuzz import repairs
from tests.fuzz.layout import Layout, of_content
from tests.fuzz.target import of_bytes, of_file
from tests.unit import package_samples
from tests.unit.formats.test_cabinet import made as made_cabinet
from tests.unit.test_importing import nvme, packed
from tests.unit.test_iso import written

if TYPE_CHECKING:
    from collections.abc import Iterable


def _debs() -> Iterable[bytes]:
    yield package_samples.deb()
    yield package_samples.ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar.gz": gzip.compress(
                package_samples.tar({"./control": package_samples.CONTROL.encode()}), mtime=0
            ),
            "data.tar.xz": lzma.compress(package_samples.tar({"./a": b"x"}, links={"./b": "a"})),
        }
    )
    yield package_samples.ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar": package_samples.tar({"control": package_samples.CONTROL.encode()}),
            "data.tar": package_samples.tar({}),
        }
    )


@of_bytes(_debs, repair=repairs.tar)
def deb(data: bytes) -> None:
    package.read_deb(io.BytesIO(data))


@of_bytes(lambda: [package_samples.rpm(), package_samples.rpm(version="1", architecture="noarch")])
def rpm(data: bytes) -> None:
    package.read_rpm(io.BytesIO(data))


@of_bytes(lambda: [made_cabinet(), made_cabinet([(b"a", 0, 1)] * 5)])
def cabinet(data: bytes) -> None:
    cabinet_codec.read_directory(io.BytesIO(data))


@of_bytes(
    lambda: [nvme(), packed({"a/b.inf": standins.inf().encode(), "a/": b"", "c.sys": b"x" * 600})]
)
def zip_archive(data: bytes) -> None:
    file = io.BytesIO(data)
    check_archive(file, Format.ZIP)


def _tars() -> Iterable[bytes]:
    plain = package_samples.tar({"a/b.inf": b"x" * 600, "c": b""}, links={"a/d": "b.inf"})
    yield plain
    yield gzip.compress(plain, mtime=0)
    yield lzma.compress(plain)


@of_bytes(_tars, repair=repairs.tar)
def tar_archive(data: bytes) -> None:
    check_archive(io.BytesIO(data), Format.TAR)


_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"joliet": 3}, {"rock_ridge": "1.09"}, {"udf": "2.60"})


@cache
def _images() -> list[tuple[Layout, bytes]]:
    with tempfile.TemporaryDirectory() as directory:
        made = [written(Path(directory, "x.iso"), **options).read_bytes() for options in _OPTIONS]
    layouts = [of_content(data) for data in made]
    return [(layout, layout.packed(data)) for layout, data in zip(layouts, made, strict=True)]


def _put_image(path: Path, data: bytes) -> None:
    """Write an image; the first byte says which of the layouts it has."""
    images = _images()
    layout, _ = images[data[0] % len(images) if data else 0]
    layout.put(path, data[1:])


@of_file(
    lambda: [bytes([number]) + data for number, (_, data) in enumerate(_images())],
    name="vendor.iso",
    put=_put_image,
)
def iso_image(path: Path) -> None:
    with closing(containers.Iso(path, "vendor.iso", path.parent)) as image:
        for member in image.members[:2]:
            if member.size < 1 << 20:
                image.unpack(member)
