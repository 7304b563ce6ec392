"""The files that say what a system is, as its packages write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.data import load
from converter.guest.memory import MemoryGuest, Node
from converter.inspection.release import Release, hostname, identify
from converter.model import FileKind

SLES11 = "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = {}\n"
UBUNTU_1204 = """\
DISTRIB_ID=Ubuntu
DISTRIB_RELEASE=12.04
DISTRIB_CODENAME=precise
DISTRIB_DESCRIPTION="Ubuntu 12.04.5 LTS"
"""


@pytest.mark.parametrize(
    ("files", "distribution", "version"),
    [
        ({"redhat": "CentOS release 5.11 (Final)"}, "centos", "5.11"),
        ({"redhat": "CentOS release 5 (Final)"}, "centos", "5"),
        ({"centos": "CentOS release 6.8 (Final)"}, "centos", "6.8"),
        ({"redhat": "Red Hat Enterprise Linux Server release 5.11 (Tikanga)"}, "rhel", "5.11"),
        ({"redhat": "Red Hat Enterprise Linux Client release 5.4 (Tikanga)"}, "rhel", "5.4"),
        ({"redhat": "Red Hat Enterprise Linux Server release 6.10 (Santiago)"}, "rhel", "6.10"),
        ({"redhat": "Red Hat Enterprise Linux Workstation release 6.0"}, "rhel", "6.0"),
        ({"redhat": "Fedora release 18 (Spherical Cow)"}, "fedora", "18"),
        ({"redhat": "Scientific Linux release 6.10 (Carbon)"}, "scientific", "6.10"),
        (
            {
                "enterprise": "Enterprise Linux Enterprise Linux Server release 5.10 (Carthage)",
                "redhat": "Red Hat Enterprise Linux Server release 5.10 (Tikanga)",
            },
            "ol",
            "5.10",
        ),
        (
            {
                "oracle": "Oracle Linux Server release 6.10",
                "redhat": "Red Hat Enterprise Linux Server release 6.10 (Santiago)",
                "system": "Oracle Linux Server release 6.10",
            },
            "ol",
            "6.10",
        ),
        ({"system": "Amazon Linux AMI release 2018.03"}, "amzn", "2018.03"),
        ({"system": "Amazon Linux release 2 (Karoo)"}, "amzn", "2"),
        ({"system": "Amazon Linux release 2023.6.20241212 (Amazon Linux)"}, "amzn", "2023"),
        ({"SuSE": SLES11.format(3)}, "sles", "11.3"),
        ({"SuSE": SLES11.format(0)}, "sles", "11"),
        ({"SuSE": SLES11.format(1).replace("Server", "Desktop")}, "sled", "11.1"),
        ({"SuSE": "openSUSE 13.1 (x86_64)\nVERSION = 13.1\nCODENAME = Bottle"}, "opensuse", "13.1"),
        ({"lsb": UBUNTU_1204, "debian": "wheezy/sid"}, "ubuntu", "12.04"),
        ({"debian": "6.0.8"}, "debian", "6.0.8"),
        ({"debian": "0"}, "debian", ""),
        ({"arch": ""}, "arch", ""),
        ({}, "linux", ""),
        ({"redhat": "derived from something"}, "linux", ""),
    ],
)
def test_systems_from_before_os_release(
    files: dict[str, str], distribution: str, version: str
) -> None:
    names = {"debian": "/etc/debian_version"}
    guest = MemoryGuest(
        {
            names.get(n, f"/etc/{n}-release"): f"{text}\n" if text else ""
            for n, text in files.items()
        }
    )
    found = identify(guest)
    assert (found.distribution, found.version) == (distribution, version)


def os_release(identifier: str, version: str = "", name: str = "") -> str:
    return f'NAME="{name}"\nID="{identifier}"\nVERSION_ID="{version}"\nPRETTY_NAME="{name}"\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"os-release": os_release("rhel", "9.4", "RHEL 9.4")}, Release("rhel", "9.4", "RHEL 9.4")),
        (
            {
                "os-release": os_release("centos", "7", "CentOS Linux 7 (Core)"),
                "centos-release": "CentOS Linux release 7.9.2009 (Core)\n",
                "redhat-release": "CentOS Linux release 7.9.2009 (Core)\n",
            },
            Release("centos", "7.9", "CentOS Linux 7 (Core)"),
        ),
        (
            {
                "os-release": os_release("centos", "9", "CentOS Stream 9"),
                "centos-release": "CentOS Stream release 9\n",
            },
            Release("centos", "9", "CentOS Stream 9"),
        ),
        (
            {
                "os-release": os_release("debian", "12", "Debian GNU/Linux 12 (bookworm)"),
                "debian_version": "12.7\n",
            },
            Release("debian", "12", "Debian GNU/Linux 12 (bookworm)", "12.7"),
        ),
        (
            {
                "os-release": "ID=debian\nPRETTY_NAME='Debian GNU/Linux forky/sid'\n",
                "debian_version": "forky/sid\n",
            },
            Release("debian", "forky/sid", "Debian GNU/Linux forky/sid"),
        ),
        (
            {
                "os-release": os_release("ubuntu", "22.04", "Ubuntu 22.04.4 LTS"),
                "debian_version": "bookworm/sid\n",
            },
            Release("ubuntu", "22.04", "Ubuntu 22.04.4 LTS"),
        ),
        (
            {
                "os-release": os_release("amzn", "2023", "Amazon Linux 2023.6.20241212"),
                "system-release": "Amazon Linux release 2023.6.20241212 (Amazon Linux)\n",
            },
            Release("amzn", "2023", "Amazon Linux 2023.6.20241212"),
        ),
        (
            {
                "os-release": os_release("ol", "7.9", "Oracle Linux Server 7.9"),
                "oracle-release": "Oracle Linux Server release 7.9\n",
                "redhat-release": "Red Hat Enterprise Linux Server release 7.9 (Maipo)\n",
            },
            Release("ol", "7.9", "Oracle Linux Server 7.9"),
        ),
        ({"os-release": os_release("arch", name="Arch Linux")}, Release("arch", "", "Arch Linux")),
        ({"os-release": "ID=SLES\nVERSION_ID=12\n"}, Release("sles", "12")),
        # Without a usable ID the older files count.
        (
            {"os-release": "NAME=x\n", "redhat-release": "CentOS release 6.8 (Final)\n"},
            Release("centos", "6.8", "CentOS release 6.8 (Final)"),
        ),
        ({"os-release": 'ID="a b\nc"\n'}, Release()),
    ],
)
def test_systems_with_os_release(files: dict[str, str], expected: Release) -> None:
    assert identify(MemoryGuest({f"/etc/{name}": text for name, text in files.items()})) == expected


def test_the_vendor_s_file_will_do_and_a_link_to_it() -> None:
    vendor = {"/usr/lib/os-release": os_release("fedora", "40")}
    link = {"/etc/os-release": Node(FileKind.SYMLINK, b"../usr/lib/os-release")}
    for files in (vendor, vendor | link):
        assert identify(MemoryGuest(files)).version == "40"


@given(st.binary(max_size=300), st.sampled_from([row["path"] for row in load("linux")["releases"]]))
def test_any_bytes_can_be_read(data: bytes, path: str) -> None:
    identify(MemoryGuest({path: data}))
    identify(MemoryGuest({"/etc/os-release": data, path: data}))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/etc/hostname": "web\n"}, "web"),
        ({"/etc/hostname": "# set by hand\n\nweb.example.com\n"}, "web.example.com"),
        ({"/etc/HOSTNAME": "sles11.site\n"}, "sles11.site"),
        (
            {"/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=el6.example.com\n"},
            "el6.example.com",
        ),
        ({"/etc/hostname": "\n", "/etc/sysconfig/network": "# none\n"}, ""),
        ({}, ""),
    ],
)
def test_the_hostname(files: dict[str, str], expected: str) -> None:
    assert hostname(MemoryGuest(files)) == expected
