"""The support table, asked as facts ask it; what is right is in the service's user guide."""

from __future__ import annotations

import re

import pytest

from converter import support
from converter.data import load
from converter.support import Verdict

EL7 = "3.10.0-1160.el7.x86_64"


@pytest.mark.parametrize(
    ("distribution", "version", "verdict"),
    [
        ("amzn", "2023", Verdict.SUPPORTED),
        ("amzn", "2", Verdict.SUPPORTED),
        ("amzn", "2018.03", Verdict.UNTABLED),
        ("centos", "5.0", Verdict.UNTABLED),
        ("centos", "5.1", Verdict.END_OF_LIFE),
        ("centos", "5.11", Verdict.END_OF_LIFE),
        ("centos", "6.9", Verdict.UNTABLED),
        ("centos", "7.9", Verdict.END_OF_LIFE),
        ("centos", "8.2", Verdict.END_OF_LIFE),
        ("centos", "8.5", Verdict.UNTABLED),
        ("centos", "9", Verdict.SUPPORTED),
        ("debian", "6.0.8", Verdict.END_OF_LIFE),
        ("debian", "7", Verdict.END_OF_LIFE),
        ("debian", "9", Verdict.UNTABLED),
        ("debian", "12", Verdict.SUPPORTED),
        ("debian", "13", Verdict.UNTABLED),
        ("debian", "trixie/sid", Verdict.UNTABLED),
        ("fedora", "21", Verdict.UNTABLED),
        ("fedora", "40", Verdict.END_OF_LIFE),
        ("fedora", "41", Verdict.SUPPORTED),
        ("ol", "5.9", Verdict.UNTABLED),
        ("ol", "6.10", Verdict.END_OF_LIFE),
        ("ol", "7.6", Verdict.SUPPORTED),
        ("ol", "7.9", Verdict.UNTABLED),
        ("ol", "9.6", Verdict.SUPPORTED),
        ("rhel", "5.11", Verdict.END_OF_LIFE),
        ("rhel", "7.9", Verdict.SUPPORTED),
        ("rhel", "8.9", Verdict.SUPPORTED),
        ("rhel", "8.10", Verdict.UNTABLED),
        ("rhel", "10.1", Verdict.SUPPORTED),
        ("rhel", "10.2", Verdict.UNTABLED),
        ("rocky", "8.9", Verdict.UNTABLED),
        ("rocky", "9.7", Verdict.SUPPORTED),
        ("sles", "11", Verdict.UNTABLED),
        ("sles", "11.4", Verdict.END_OF_LIFE),
        ("sles", "12", Verdict.END_OF_LIFE),
        ("sles", "15", Verdict.SUPPORTED),
        ("sles", "15.6", Verdict.SUPPORTED),
        ("sles", "15.7", Verdict.UNTABLED),
        ("sles_sap", "12.3", Verdict.END_OF_LIFE),
        ("ubuntu", "12.04", Verdict.END_OF_LIFE),
        ("ubuntu", "17.10", Verdict.UNTABLED),
        ("ubuntu", "24.04", Verdict.SUPPORTED),
        ("ubuntu", "25.10", Verdict.UNTABLED),
        ("almalinux", "9.4", Verdict.UNTABLED),
        ("opensuse-leap", "15.6", Verdict.UNTABLED),
        ("opensuse-tumbleweed", "20240601", Verdict.UNTABLED),
        ("arch", "", Verdict.UNTABLED),
        ("alpine", "3.20", Verdict.UNKNOWN),
        ("linux", "", Verdict.UNKNOWN),
    ],
)
def test_versions(distribution: str, version: str, verdict: Verdict) -> None:
    assert support.judge(distribution, version) is verdict


@pytest.mark.parametrize(
    ("distribution", "version", "release", "taken"),
    [
        ("amzn", "2", "4.14.336-257.562.amzn2.x86_64", True),
        ("amzn", "2", "4.1.17-22.30.amzn1.x86_64", False),
        ("amzn", "2023", "6.12.22-27.96.amzn2023.x86_64", False),
        ("centos", "7.9", EL7, True),
        ("debian", "12", "6.1.0-13-amd64", True),
        ("debian", "12", "6.10.11+bpo-amd64", False),
        ("fedora", "40", "6.8.5-301.fc40.x86_64", True),
        ("fedora", "40", "6.8.50-301.fc40.x86_64", False),
        ("ol", "5.11", "2.6.39-400.215.10.el5uek", True),
        ("ol", "5.11", "2.6.18-398.el5", False),
        ("ol", "6.8", "2.6.39-400.294.1.el6uek.x86_64", True),
        ("ol", "6.8", "4.1.12-124.16.4.el6uek.x86_64", True),
        ("ol", "7.6", "4.14.35-1818.3.3.el7uek.x86_64", True),
        ("ol", "7.6", "4.14.35-1.el7.x86_64", False),
        ("ol", "9.5", "5.15.0-302.167.6.el9uek.x86_64", True),
        ("ol", "9.5", "6.12.0-1.el9uek.x86_64", False),
        ("ol", "9.6", "6.12.0-101.33.4.3.el9uek.x86_64", True),
        ("rhel", "6.0", "2.6.32-71.el6.x86_64", False),
        ("rhel", "6.0", "2.6.32-71.29.1.el6.x86_64", False),
        ("rhel", "6.10", "2.6.32-754.el6.x86_64", True),
        ("rhel", "6.1", "2.6.32-131.0.15.el6.x86_64", True),
        ("sles", "11.1", "2.6.32.12-0.7-default", True),
        ("sles", "11.1", "2.6.32.59-0.7-default", False),
        ("sles", "11.3", "3.0.101-0.47.52-default", True),
        ("sles", "12.3", "4.4.73-5-default", True),
        ("sles", "12.3", "4.12.14-94.41-default", False),
        ("sles", "15.5", "5.14.21-150500.53-default", True),
        ("ubuntu", "16.04", "4.15.0-142-generic", True),
        ("ubuntu", "16.04", "4.13.0-45-generic", False),
        ("ubuntu", "22.04", "6.5.0-28-generic", False),
    ],
)
def test_kernels(distribution: str, version: str, release: str, *, taken: bool) -> None:
    row = support.find_row(distribution, version)
    assert row is not None
    assert row.takes_kernel(release) is taken


@pytest.mark.parametrize(
    ("distribution", "release", "own"),
    [
        ("almalinux", "5.14.0-427.13.1.el9_4.x86_64", True),
        ("amzn", "6.1.61-85.141.amzn2023.x86_64", True),
        ("amzn", "6.1.61", False),
        ("arch", "6.9.7-arch1-1", True),
        ("arch", "6.6.36-1-lts", True),
        ("arch", "6.9.7-zen1-1-zen", True),
        ("arch", "6.9.7-mine", False),
        ("centos", "2.6.18-398.el5", True),
        ("centos", "2.6.18-398.el5xen", True),
        ("centos", "5.4.278-1.el7.elrepo.x86_64", False),
        ("debian", "2.6.32-5-amd64", True),
        ("debian", "6.1.0-13-cloud-amd64", True),
        ("debian", "6.12.41+deb13-amd64", True),
        ("debian", "6.10.11+bpo-amd64", True),
        ("debian", "6.1.55", False),
        ("debian", "6.8.12-4-pve", False),
        ("fedora", "6.8.5-301.fc40.x86_64", True),
        ("fedora", "6.8.5", False),
        ("ol", "5.15.0-302.167.6.el9uek.x86_64", True),
        ("opensuse-leap", "6.4.0-150600.21-default", True),
        ("opensuse-tumbleweed", "6.9.3-1-default", True),
        ("rhel", "4.18.0-553.el8_10.x86_64", True),
        ("rhel", "6.6.1", False),
        ("sles", "3.0.101-63-default", True),
        ("sles", "3.0.101", False),
        ("ubuntu", "3.2.0-126-virtual", True),
        ("ubuntu", "5.15.0-1051-aws", True),
        ("ubuntu", "6.11.0-26-lowlatency-hwe", True),
        ("ubuntu", "6.5.0-060500-generic", False),
        ("ubuntu", "6.5.0", False),
        ("alpine", "6.6.31-0-lts", True),
    ],
)
def test_whose_a_kernel_is(distribution: str, release: str, *, own: bool) -> None:
    assert support.is_own_kernel(distribution, release) is own


@pytest.mark.parametrize(
    ("version", "point", "named"),
    [
        ("12", "12.4", True),
        ("12", "12.5", False),
        ("12", "12.11", False),
        ("12", "", True),
        ("7", "7.8", True),
        ("7", "7.11", False),
        ("6.0.10", "6.0.10", False),
        ("11", "11.9", True),
    ],
)
def test_point_releases_of_debian(version: str, point: str, *, named: bool) -> None:
    row = support.find_row("debian", version)
    assert row is not None
    assert row.names_point(point) is named


def test_every_row_is_of_a_known_family_and_can_be_reached() -> None:
    for row in support.rows():
        assert support.family_name(row.distribution), row
        ends = [end for part in row.versions.split() for end in part.split("-")]
        assert all(support.find_row(row.distribution, end) == row for end in ends)
        assert row.kernels or row.uek


def test_every_pattern_of_kernel_names_is_one() -> None:
    for family in load("support")["families"].values():
        assert re.compile(family["kernel_releases"])


@pytest.mark.parametrize("version", ["", "x", "-", ".", "1" * 400, "8.", "\udcff", "9999999999.1"])
def test_any_text_can_be_asked(version: str) -> None:
    for distribution in ("rhel", "debian", version):
        support.judge(distribution, version)
        support.is_own_kernel(distribution, version)
