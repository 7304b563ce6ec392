from __future__ import annotations

import pytest

from converter.formats import FormatError, initramfs
from converter.formats.initramfs_load import can_load, load_always
from tests.unit.initramfs_samples import archive

NASH = b"#!/bin/nash\nmount /sysroot\n"


@pytest.mark.parametrize(
    ("files", "changed"),
    [
        ({"conf/initramfs.conf": b""}, {"conf/modules": b"nvme\n"}),
        ({"conf/initramfs.conf": b"", "conf/modules": b"\xff\nnvme x=1"}, {}),
        ({"init_functions": b"", "config": b"A=1\n"}, {"config": b"A=1\nMODULES=nvme\n"}),
        ({"init_functions": b"", "config": b'MODULES="nvme"\n'}, {}),
        (
            {"bin/nash": b"", "init": NASH},
            {"init": NASH.replace(b"mount", b'echo "Loading nvme.ko module"\ninsmod /lib/nvme.ko\n'
                                  b"mkblkdevs\nmount")},
        ),
    ],
)  # fmt: skip
def test_lists(files: dict[str, bytes], changed: dict[str, bytes]) -> None:
    image = initramfs.read(archive(files))
    assert load_always(image, ["nvme"], ["lib/nvme.ko"]) == changed
    assert can_load(image)


def test_without_a_list_udev_does_it() -> None:
    image = initramfs.read(archive({"usr/lib/dracut/x": b"", "usr/lib/systemd/systemd-udevd": b""}))
    assert load_always(image, ["nvme"], []) == {}
    assert can_load(image)
    assert not can_load(initramfs.read(archive({"init": b""})))


def test_an_init_that_is_missing() -> None:
    with pytest.raises(FormatError, match="nash"):
        load_always(initramfs.read(archive({"bin/nash": b""})), [], ["lib/a.ko"])
