"""Scripts as the mkinitrd of RHEL 5 writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, nash

HEAD = """\
#!/bin/nash

mount -t proc /proc /proc
setquiet
echo Creating block device nodes.
mkblkdevs
echo "Loading jbd.ko module"
insmod /lib/jbd.ko
echo Waiting for driver initialization.
stabilized --hash --interval 250 /proc/scsi/scsi
mkblkdevs
"""
TAIL = """\
echo Scanning and configuring dmraid supported devices
resume /dev/sda3
echo Creating root device.
mkrootdev -t ext3 -o defaults,ro /dev/sda2
echo Mounting root filesystem.
mount /sysroot
switchroot
"""
LVM = """\
echo Making device-mapper control node
mkdmnod
lvm vgscan --ignorelockingfailure
mkrootdev -t ext3 -o defaults,ro /dev/VolGroup00/LogVol00
mount /sysroot
"""
ADDED = """\
echo "Loading a.ko module"
insmod /lib/a.ko
echo "Loading xen-vbd.ko module"
insmod /lib/xen-vbd.ko
mkblkdevs
"""


@pytest.mark.parametrize("tail", [TAIL, LVM.partition("\n")[2], "mount -o ro /sysroot\n"])
def test_modules_are_loaded_before_the_disks_are_used(tail: str) -> None:
    text = nash.with_modules(HEAD + tail, ["/lib/a.ko", "/lib/xen-vbd.ko"])
    assert text == HEAD + ADDED + tail
    assert nash.with_modules(text, []) == text


@pytest.mark.parametrize("text", ["", "#!/bin/sh\nmount /sysroot\n", HEAD])
def test_other_scripts_are_not_touched(text: str) -> None:
    with pytest.raises(FormatError, match="/init"):
        nash.with_modules(text, ["/lib/a.ko"])


def test_devices() -> None:
    text = nash.with_devices(
        HEAD + TAIL, {"/dev/sda2": "UUID=1", "/dev/sda3": "UUID=2"}.__getitem__
    )
    assert text == HEAD + TAIL.replace("/dev/sda2", "UUID=1").replace("/dev/sda3", "UUID=2")
    assert nash.with_devices("#!/bin/sh\nresume /dev/sda1\n", str.upper) == (
        "#!/bin/sh\nresume /dev/sda1\n"
    )


@given(st.text(st.sampled_from("resume mkrootdev\n/dev#!bin ")))
def test_any_text_is_taken(text: str) -> None:
    script = f"#!/bin/nash\n{text}"
    assert nash.with_devices(script, lambda spec: spec) == script
    try:
        nash.with_modules(script, ["/lib/a.ko"])
    except FormatError:
        return
