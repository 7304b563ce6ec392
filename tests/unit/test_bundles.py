from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from converter import bundles
from converter.bundles import Family, Format, Install, Target, Verdict
from converter.data import load
from tests.unit import windows_samples


def chosen(target: Target) -> dict[str, str]:
    """Give the payload of each bundle that a guest gets."""
    return {
        choice.bundle.name: choice.payloads[0].name
        for choice in bundles.select(target)
        if choice.payloads
    }


def linux(manager: str, kernel: str, *, architecture: str = "x86_64", has: str = "ena") -> Target:
    return Target(Family.LINUX, architecture, manager, kernel, has=frozenset(has.split()))


def windows(build: int) -> Target:
    return Target(Family.WINDOWS, "x86_64", build=build)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (linux("dpkg", "6.1.0-49-amd64"), {"amazon-ssm-agent": "deb-x86_64"}),
        (linux("dpkg", "6.1.0", architecture="aarch64"), {"amazon-ssm-agent": "deb-aarch64"}),
        (linux("rpm", "5.14.0-427.el9.x86_64"), {"amazon-ssm-agent": "rpm-x86_64"}),
        (linux("rpm", "2.6.32-754.el6.x86_64"), {"amazon-ssm-agent": "rpm-x86_64-el6"}),
        (linux("rpm", "2.6.18-398.el5"), {}),
        (linux("dpkg", "2.6.32-5-amd64"), {}),
        (linux("pacman", "6.12.1-arch1-1"), {}),
        (linux("dpkg", ""), {}),
        (linux("dpkg", "6.1.0", architecture="i686"), {}),
        (linux("dpkg", "6.1.0", has="ena amazon-ssm-agent"), {}),
        (
            linux("rpm", "3.10.0-123.el7.x86_64", has=""),
            {"amazon-ssm-agent": "rpm-x86_64", "ena-source": "tar"},
        ),
        (linux("rpm", "2.6.32-754.el6.x86_64", has=""), {"amazon-ssm-agent": "rpm-x86_64-el6"}),
    ],
)
def test_what_a_linux_guest_gets(target: Target, expected: dict[str, str]) -> None:
    assert chosen(target) == expected


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (6002, {}),
        (
            7601,
            {
                "aws-ena": "2008-r2", "aws-nvme": "2008-r2", "aws-pv": "2008-r2",
                "dotnet-4.8": "offline", "ec2config": "latest",
            },
        ),
        (
            9600,
            {
                "aws-ena": "2012", "aws-nvme": "2012", "aws-pv": "2012", "dotnet-4.8": "offline",
                "ec2config": "latest", "intel-82599-vf": "2012-r2", "ssm-agent-windows": "latest",
            },
        ),
        (
            17763,
            {
                "aws-ena": "latest", "aws-nvme": "latest", "aws-pv": "latest",
                "dotnet-4.8": "offline", "ec2launch-v1": "latest", "ec2launch-v2": "latest",
                "ssm-agent-windows": "latest",
            },
        ),
        (
            26100,
            {
                "aws-ena": "latest", "aws-nvme": "latest", "ec2launch-v2": "latest",
                "ssm-agent-windows": "latest",
            },
        ),
    ],
)  # fmt: skip
def test_what_a_windows_guest_gets(build: int, expected: dict[str, str]) -> None:
    assert chosen(windows(build)) == expected


SERVER = windows_samples.facts()


@pytest.mark.parametrize(
    ("changed", "there", "absent"),
    [
        ({}, {"dotnet"}, {"AWSNVMe", "amazon-ssm-agent", "ec2launch-v2"}),
        ({"dotnet": 378_388}, set(), {"dotnet"}),
        ({"dotnet": 378_389}, {"dotnet"}, set()),
        ({"agents": ("ec2launch-v2",)}, {"ec2launch-v2"}, set()),
        # Services are written in any case; a bundle names them as its vendor does.
        (
            {"services": {"AWSNVME": 0, "XenVbd": 0}, "drivers": frozenset({"AWSNVMe", "xenvbd"})},
            {"AWSNVMe", "xenvbd"},
            {"ena"},
        ),
        (
            {"services": {"Ena": 3, "VXN": 3}, "drivers": frozenset({"ena", "vxn"})},
            {"ena", "vxn"},
            {"AWSNVMe"},
        ),
        # Without its file, or disabled, a service is none.
        ({"services": {"Ena": 3, "VXN": 3}, "drivers": frozenset({"vxn"})}, {"vxn"}, {"ena"}),
    ],
)
def test_what_a_windows_has(changed: dict[str, Any], there: set[str], absent: set[str]) -> None:
    found = bundles.target(replace(SERVER.windows, **changed))
    assert (found.family, found.architecture, found.build) == (Family.WINDOWS, "x86_64", 17763)
    assert there <= found.has
    assert not absent & found.has


def test_why_a_guest_gets_nothing() -> None:
    (agent, ena) = bundles.select(linux("rpm", "2.6.18-398.el5"))
    assert agent.verdict is Verdict.UNSUITABLE
    assert "deb-x86_64 is for dpkg, the guest has rpm" in agent.reason
    assert "rpm-x86_64 is for kernels from 3.2, the guest's is 2.6.18-398.el5" in agent.reason
    assert (ena.verdict, ena.reason) == (Verdict.PRESENT, "the guest has ena")


@pytest.mark.parametrize("bundle", bundles.definitions(), ids=lambda bundle: bundle.name)
def test_a_definition_is_whole(bundle: bundles.Bundle) -> None:
    assert (bundles.DEFINITIONS / bundle.name / "bundle.toml").is_file()
    data = load("linux")
    windows = load("windows")
    services = {name for row in windows["drivers"].values() for name in row["services"]}
    known = {
        Family.LINUX: {"", *data["agents"], *data["drivers"]},
        Family.WINDOWS: {"dotnet", *windows["agents"], *services},
    }
    assert bundle.provides in known[bundle.family]
    assert not bundle.fallback_for or bundles.find(bundle.fallback_for)
    assert len({payload.name for payload in bundle.payloads}) == len(bundle.payloads)
    assert bundle.licence
    for url in (
        bundle.origin,
        *(p.url for p in bundle.payloads),
        *(p.signature for p in bundle.payloads),
    ):
        assert not url or urlsplit(url).scheme == "https"
    for payload in bundle.payloads:
        assert "/" not in payload.file
        assert payload.name.replace(".", "").replace("-", "").replace("_", "").isalnum()
        if bundle.install is Install.PACKAGE:
            assert payload.format in (Format.DEB, Format.RPM)
    if bundle.family is Family.LINUX and bundle.install is Install.PACKAGE:
        assert bundle.provides in data["agent_services"]
