"""A raw image that is given as such: what `convert` made, to be booted or exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.errors import UsageError
from converter.model import ContainerFormat
from converter.source.overlay import SECTOR
from converter.source.probe import detect
from converter.source.reader import Reader, size_zero, whole

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import ByteRange


def raw_image(image: Path) -> ByteRange:
    """Give the file `image`, which must be a raw disk, and not a container of one.

    Raises `UsageError` ``image-not-raw``, and what `whole` does; `DamagedInputError` for nothing.
    """
    data = whole(image)
    if data.length == 0:
        raise size_zero(str(image))
    if data.length >= SECTOR:  # it is no other format, then
        with Reader(data) as reader:
            form = detect(reader)
        if form is not ContainerFormat.RAW:
            raise UsageError(
                "image-not-raw",
                f"{image}: is {form.value}, not a raw image",
                hint="give the image that `converter convert` made; or make this one raw first:"
                " `qemu-img convert -O raw`",
            )
    return data
