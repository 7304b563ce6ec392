from __future__ import annotations

import contextlib
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError
from converter.formats.package import Package, read_deb, read_rpm
from tests.unit import package_samples as made

DEB = made.deb()
RPM = made.rpm()


def test_a_debian_package() -> None:
    assert read_deb(io.BytesIO(DEB)) == Package(
        "amazon-ssm-agent",
        "3.3.1-1",
        "x86_64",
        64 << 10,
        ("/usr/bin/amazon-ssm-agent", "/etc/amazon/ssm/x.template"),
    )


def test_a_size_that_is_none_is_not_counted() -> None:
    control = made.CONTROL.replace(": 64", f": {'9' * 5000}")
    assert read_deb(io.BytesIO(made.deb(control))).size == 0


def test_an_rpm_package() -> None:
    assert read_rpm(io.BytesIO(RPM)) == Package(
        "amazon-ssm-agent",
        "3.3.1-1",
        "x86_64",
        4096,
        ("/usr/bin/amazon-ssm-agent", "/etc/systemd/system/amazon-ssm-agent.service"),
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no Debian package"),
        (RPM, "no Debian package"),
        (DEB[:100], "no header"),
        (DEB[:-700], "cut off"),
        (b"!<arch>\n" + b"x" * 60, "no header"),
        (made.ar({"debian-binary": b"2.0\n"}), "no package, version, architecture"),
        (made.ar({"control.tar": b"no archive" * 100}), "damaged"),
        (made.ar({"control.tar.xz": lzma.compress(b"x" * 99)[:-20]}), "stream"),
        (made.deb("Package: x\n"), "no version, architecture"),
    ],
)
def test_what_is_no_debian_package(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        read_deb(io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no RPM package"),
        (DEB, "no RPM package"),
        (RPM[:100], "header is missing"),
        (RPM[:180], "cut off"),
        (RPM[:96] + b"\x8e\xad\xe8\x01" + bytes(4) + b"\xff" * 8, "no bounds"),
        (made.rpm(name=""), "no name"),
    ],
)
def test_what_is_no_rpm_package(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        read_rpm(io.BytesIO(data))


@given(place=st.integers(0, len(RPM) - 1), value=st.integers(0, 255))
def test_a_damaged_rpm_is_read_or_refused(place: int, value: int) -> None:
    data = bytearray(RPM)
    data[place] = value
    with contextlib.suppress(FormatError):
        read_rpm(io.BytesIO(bytes(data)))


@given(place=st.integers(0, len(DEB) - 1), value=st.integers(0, 255))
def test_a_damaged_deb_is_read_or_refused(place: int, value: int) -> None:
    data = bytearray(DEB)
    data[place] = value
    with contextlib.suppress(FormatError):
        read_deb(io.BytesIO(bytes(data)))
