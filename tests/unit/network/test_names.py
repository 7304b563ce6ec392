"""What ties the name of a card to one machine: udev(7), systemd.link(5)."""

from __future__ import annotations

import pytest

from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.network import names
from tests.unit.network.guests import Converted, Files, link

RULES = "/etc/udev/rules.d"
PERSISTENT = f"{RULES}/70-persistent-net.rules"
LINK = "/etc/systemd/network/10-x.link"
DEBIAN = (
    'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:9a:12:34",'
    ' ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n'
)


def released(files: Files) -> Converted:
    guest = MemoryGuest(files)
    for _ in range(2):
        recording = RecordingGuest(guest)
        names.release(recording)
        replay(recording.plan, guest, progress=lambda _fraction: None)
    assert recording.plan.changes == ()
    return Converted(guest, recording.plan)


@pytest.mark.parametrize(
    "rule",
    [
        DEBIAN,
        'SUBSYSTEM=="net", ACTION=="add", ATTRS{address}=="00:50:56:9a:12:34", NAME="wan0"\n',
        'NAME="eth1", SUBSYSTEM=="net", KERNELS=="0000:03:00.0"\n',
        'SUBSYSTEM=="net", SYSFS{address}=="00:50:56:9a:12:34", NAME="eth0"\n',
        'SUBSYSTEM=="net", DEVPATH=="/devices/pci0000:00/*", NAME:="eth0"\n',
        'SUBSYSTEM=="net", ENV{ID_PATH}=="pci-0000:03:00.0", NAME="ens192"\n',
        'SUBSYSTEM=="net", ID=="0000:03:00.0", NAME="eth0"\n',
        'SUBSYSTEM=="net", \\\n  ATTR{address}=="00:50:56:9a:12:34", \\\n  NAME="eth0"\n',
        # A name for every card that nothing on EC2 is configured for.
        'SUBSYSTEM=="net", KERNEL=="eth0", NAME="wan0"\n',
        'ACTION=="add", SUBSYSTEM=="net", DRIVERS=="?*", ATTR{type}=="1", NAME="lan0"\n',
    ],
)
def test_rules_that_name_one_card_go(rule: str) -> None:
    done = released({PERSISTENT: f"# by the generator\n\n{rule}"})
    assert not done.has(PERSISTENT)
    assert done.has(f"{RULES}/.70-persistent-net.rules.converter-orig")


@pytest.mark.parametrize(
    "rule",
    [
        f'# {DEBIAN}KERNEL=="x", RUN+="y"\n',
        'SUBSYSTEM=="net", ATTR{address}=="00:50:56:9a:12:34", RUN+="/bin/x"\n',
        'SUBSYSTEM=="net", NAME=="eth0", RUN+="/bin/x"\n',
        'SUBSYSTEM=="net", NAME=="", ENV{ID_NET_NAME}!="", NAME="$env{ID_NET_NAME}"\n',
        'SUBSYSTEM=="net", PROGRAM="/lib/udev/rename_device", RESULT=="?*", NAME="$result"\n',
        'SUBSYSTEM=="net", PROGRAM="/sbin/biosdevname --policy physical -i %k", NAME="%c"\n',
        'SUBSYSTEM=="block", ATTR{address}=="00:50:56:9a:12:34", NAME="disk0"\n',
        'KERNEL=="sda", NAME="mydisk"\n',
    ],
)
def test_other_rules_stay(rule: str) -> None:
    done = released({f"{RULES}/60-x.rules": rule + DEBIAN})
    assert done.text(f"{RULES}/60-x.rules") == rule


@pytest.mark.parametrize("directory", ["/lib/udev/rules.d", "/usr/lib/udev/rules.d", RULES])
def test_the_generator_writes_no_new_ones(directory: str) -> None:
    done = released({f"{directory}/75-persistent-net-generator.rules": 'ACTION!="add", GOTO="x"\n'})
    assert done.is_masked(f"{RULES}/75-persistent-net-generator.rules")


def test_without_a_generator_nothing_is_masked() -> None:
    assert not released({"/etc/x": ""}).has(f"{RULES}/75-persistent-net-generator.rules")


@pytest.mark.parametrize(
    "text",
    [
        "[Match]\nMACAddress=00:50:56:9a:12:34\n[Link]\nName=ens192\n",
        "[Match]\nPath=pci-0000:03:00.0\n[Link]\nName=eth0\n",
        "[Match]\nPermanentMACAddress=00:50:56:9a:12:34\n[Link]\nMACAddress=00:50:56:9a:12:35\n",
        "[Match]\nOriginalName=eth0\n[Link]\nName=wan0\n",
        "[Match]\nType=ether\n[Link]\nName=lan0\n",
        # EC2 passes nothing from an address that is not the card's.
        "[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=random\n",
        "[Match]\nType=ether\n[Link]\nMACAddress=00:50:56:9a:12:35\n",
    ],
)
def test_link_files_that_name_one_card_go(text: str) -> None:
    assert not released({LINK: text}).has(LINK)


@pytest.mark.parametrize(
    "text",
    [
        "[Match]\nOriginalName=*\n[Link]\nNamePolicy=mac\nMACAddressPolicy=persistent\n",
        "[Match]\nType=wlan\n[Link]\nName=wifi0\n",
        "[Match]\nMACAddress=00:50:56:9a:12:34\n[Link]\nMTUBytes=9000\n",
        "[Match]\nDriver=virtio_net\n[Link]\nGenericReceiveOffload=no\n",
    ],
)
def test_other_link_files_stay(text: str) -> None:
    assert released({LINK: text}).text(LINK) == text


def test_tables_of_names_by_address_go() -> None:
    done = released({"/etc/iftab": "eth0 mac 00:50:56:9a:12:34\n", "/etc/mactab": "x\n"})
    assert not done.has("/etc/iftab")
    assert not done.has("/etc/mactab")


@pytest.mark.parametrize(
    ("vendor", "mask"),
    [
        ("/lib/systemd/network/99-default.link", "/etc/systemd/network/99-default.link"),
        ("/usr/lib/udev/rules.d/80-net-name-slot.rules", f"{RULES}/80-net-name-slot.rules"),
    ],
)
def test_kernel_names_are_kept_in_the_documented_way(vendor: str, mask: str) -> None:
    guest = MemoryGuest({vendor: "x"})
    for _ in range(2):
        recording = RecordingGuest(guest)
        names.keep_kernel_names(recording)
        names.release(recording)
        replay(recording.plan, guest, progress=lambda _fraction: None)
    assert recording.plan.changes == ()
    done = Converted(guest, recording.plan)
    assert done.is_masked(mask)
    assert done.has(f"{RULES}/70-converter-kernel-names.rules")


def test_a_masked_rules_file_stays_masked() -> None:
    done = released({PERSISTENT: link("/dev/null")})
    assert done.is_masked(PERSISTENT)
