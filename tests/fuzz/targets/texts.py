"""Configuration files of Linux, but for bootloaders and networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.formats import (
    crypttab as crypttab_codec,
)
from converter.formats import (
    firewall as firewall_codec,
)
from converter.formats import fstab as fstab_codec
from converter.formats import (
    initramfs_config,
    kernel_args,
    lvmconf,
    nash,
    sshd_config,
    versions,
)
from converter.formats import mdadm as mdadm_codec
from converter.formats import shellvars as shellvars_codec
from converter.formats import udev_rules as udev_codec
from converter.formats.kernel_args import Edit
from converter.guest.memory import MemoryGuest
from converter.inspection import names, release
from tests.fuzz import seeds
from tests.fuzz.target import of_text
from tests.unit.formats import test_firewall, test_initramfs_config, test_mdadm, test_nash
from tests.unit.network.test_names import DEBIAN

if TYPE_CHECKING:
    from collections.abc import Sequence


def renamed(words: Sequence[str]) -> Edit:
    """Give an edit as the steps make them: of one word, and new ones."""
    return Edit({0: "root=UUID=1"} if words else {}, ("console=tty0", "console=ttyS0,115200n8"))


@of_text(
    seeds.guests("/etc/fstab", more=["/dev/sda\\0401 /a\\134b ext4 ro 1 2 # x\n//a/b /c cifs"])
)
def fstab(text: str) -> None:
    table = fstab_codec.parse(text)
    assert str(table) == text
    edited = table.edited(
        lambda entry: entry.with_spec("UUID=1 2") if entry.spec.startswith("/dev") else entry
    )
    edited = edited.edited(lambda entry: entry.with_options(("nofail", *entry.options)))
    edited = edited.without_invalid("no")
    again = fstab_codec.parse(str(edited))
    assert len(again.entries) == len(table.entries)
    assert again.invalid == ()


@of_text(
    seeds.texts(
        "# <name>\nswap /dev/sda5 /dev/urandom swap,cipher=x\nhome\tUUID=1-2\tnone\tluks\n",
        "a /dev/b\\040c - luks,discard # mine\n",
    )
)
def crypttab(text: str) -> None:
    table = crypttab_codec.parse(text)
    assert str(table) == text
    edited = table.edited(lambda entry: entry.with_options((*entry.options, "nofail")))
    assert len(crypttab_codec.parse(str(edited)).entries) == len(table.entries)


def _edited(variables: shellvars_codec.ShellVars) -> None:
    names = {item.name for item in variables.assignments}
    edited = variables.with_words(names, renamed)
    assert str(shellvars_codec.parse(str(edited))) == str(edited)
    written = shellvars_codec.parse(str(variables.with_value("ADDED", 'it\'s $5 "x"')))
    assert written.get("ADDED") == 'it\'s $5 "x"'


@of_text(
    seeds.guests(
        "/etc/default/grub", "/etc/sysconfig/kernel", "/etc/sysconfig/network", "/etc/os-release",
        "/etc/sysconfig/bootloader", "/etc/initramfs-tools/initramfs.conf",
        more=["A=\"b \\\" $c\"'d'\\\ne\nexport F='g\nh'\nMODULES=(a b)\nA+=x; B=$(c `d`)\n"],
    ),
    then=_edited,
)  # fmt: skip
def shellvars(text: str) -> object:
    variables = shellvars_codec.parse(text)
    assert str(variables) == text
    shellvars_codec.evaluate([variables])
    return variables


@of_text(seeds.texts('root=/dev/sda1 ro "a b=c d" quiet console=ttyS0,9600 -- x', " \tvga=ask "))
def kernel_arguments(text: str) -> None:
    words = kernel_args.split(text)
    kernel_args.values(words, "root")
    [kernel_args.parameter(word) for word in words]
    edited = kernel_args.edited(text, renamed)
    added = lambda again: kernel_args.consoles(again, ("tty0", "ttyS0,115200n8"))  # noqa: E731
    once = kernel_args.edited(edited, added)
    assert kernel_args.edited(once, added) == once


@of_text(seeds.guests("*.rules", more=[DEBIAN]))
def udev_rules(text: str) -> None:
    rules = udev_codec.parse(text)
    assert str(rules) == text
    [term.matches for rule in rules.rules for term in rule.terms]
    rest = rules.without(lambda rule: any(term.key == "NAME" for term in rule.terms))
    assert str(udev_codec.parse(str(rest))) == str(rest)


@of_text(
    seeds.texts(
        f"ARRAY /dev/md0 level=raid1 num-devices=2 UUID={test_mdadm.UUID}\nDEVICE /dev/sda1\n"
        "  /dev/sdb*\nMAILADDR root\nARR /dev/md2 devices=/dev/sda1,/dev/sdb1 # x\n"
    )
)
def mdadm(text: str) -> None:
    mdadm_codec.arrays(text)
    edited = mdadm_codec.on_any_disk(text, lambda _name: test_mdadm.UUID)
    assert mdadm_codec.on_any_disk(edited, lambda _name: test_mdadm.UUID) == edited


@of_text(
    seeds.texts(
        'devices {\n\tfilter = [ "a|^/dev/sda[12]$|", "r|.*|" ]\n  dir = "/dev" # x\n}\n',
        'devices {\nglobal_filter=["a/sd.*/"\n"r/.*/"]\n}\n# filter = ["r|a|"]\n',
    )
)
def lvm(text: str) -> None:
    edited = lvmconf.without_disk_filters(text)
    assert lvmconf.without_disk_filters(edited) == edited


@of_text(
    seeds.guests(
        "/etc/ssh/sshd_config",
        more=[
            "Port 2222\n# x\nAllowUsers a b*\nInclude sshd_config.d/*.conf\nMatch User x\nPort 1\n",
            'AuthorizedKeysFile="/keys/%u" .ssh/x\nDenyUsers !a ?b\n',
        ],
    )
)
def sshd(text: str) -> None:
    found = sshd_config.parse(text, include=lambda _pattern: [text[:200]])
    for patterns in found.values():
        sshd_config.is_listed("root", patterns)


_NFT = """\
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        tcp dport { 22, 80 } accept
    }
}
"""
_ZONE = '<?xml version="1.0"?>\n<zone target="DROP"><service name="ssh"/><port port="22"/></zone>'


@of_text(
    seeds.guests(
        "/etc/sysconfig/iptables", "*/zones/*.xml",
        more=[test_firewall.EL6, test_firewall.EL5, _NFT, _ZONE, 'FW_SERVICES_EXT_TCP="ssh 80"\n'],
    )
)  # fmt: skip
def firewall(text: str) -> None:
    firewall_codec.iptables_lets_ssh_in(text)
    firewall_codec.nftables_lets_ssh_in(text)
    firewall_codec.ufw_lets_ssh_in(text)
    firewall_codec.firewalld_zone_lets_ssh_in(text)
    firewall_codec.susefirewall_lets_ssh_in(text)


@of_text(
    seeds.guests(
        "/etc/modprobe.conf", "/etc/dracut.conf", "/etc/mkinitcpio.conf", "/etc/sysconfig/kernel",
        "/etc/initramfs-tools/modules",
        more=[test_initramfs_config.ADAPTERS, "MODULES=(a 'b' # c\n)"],
    )
)  # fmt: skip
def initramfs_configuration(text: str) -> None:
    for edit in initramfs_config.EDITS:
        initramfs_config.with_modules(text, ["nvme", "xen-blkfront"], edit=edit)


@of_text(
    seeds.texts(test_nash.HEAD + test_nash.TAIL, test_nash.HEAD + test_nash.LVM),
)
def nash_script(text: str) -> None:
    nash.with_devices(text, lambda spec: f"UUID={spec[5:]}")
    once = nash.with_modules(text, ["/lib/a.ko", "/lib/xen-vbd.ko"])
    assert "/lib/xen-vbd.ko" in once


@of_text(seeds.texts("1.10~rc1-2 1.10-3.el9", "5.14.0-427.13.1.el9_4.x86_64 6.1^a 0x"))
def version(text: str) -> None:
    left, _, right = text.partition(" ")
    assert versions.rpm(left, right) == -versions.rpm(right, left)
    assert versions.uapi(left, right) == -versions.uapi(right, left)


@of_text(seeds.guests("/etc/os-release", "*-release", "/etc/debian_version", "/etc/*_version"))
def release_files(text: str) -> None:
    names = ("os-release", "redhat-release", "SuSE-release", "debian_version", "lsb-release")
    for name in names:
        guest = MemoryGuest({f"/etc/{name}": text.encode("utf-8", "surrogateescape")})
        release.identify(guest)
        release.hostname(guest)


@of_text(
    seeds.texts(
        "/dev/sda1", "/dev/nvme0n1p2", "/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-part2", "/dev/hda",
        "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1", "ID=ata-x-part3", "/dev/xvdab12",
    )
)  # fmt: skip
def device_name(text: str) -> None:
    names.parse(text)
