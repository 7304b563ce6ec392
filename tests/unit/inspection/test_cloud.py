from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.guest.memory import MemoryGuest
from converter.inspection.cloud import datasource_list, inspect_cloud_init

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = {"/usr/bin/cloud-init": "#!/usr/bin/python3\n"}
DEBIAN = """\
# to update this file, run dpkg-reconfigure cloud-init
datasource_list: [ NoCloud, ConfigDrive, OpenNebula, DigitalOcean, Azure, OVF, Ec2, None ]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("users:\n - default\n", None),
        ("datasource_list: [None]\n", ("None",)),
        ("datasource_list: [ 'NoCloud', \"None\" ]\n", ("NoCloud", "None")),
        ("datasource_list: [ NoCloud,  # first\n  Ec2 ]\n", ("NoCloud", "Ec2")),
        ("datasource_list:\n  - Azure\n  # then\n  - None\nx: 1\n", ("Azure", "None")),
        ("datasource_list:\n- Azure\n", ("Azure",)),
        ("datasource_list: [ ]\n", ()),
        ("datasource:\n  datasource_list: [None]\n", None),
        ("# datasource_list: [None]\n", None),
    ],
)
def test_lists(text: str, expected: tuple[str, ...] | None) -> None:
    assert datasource_list(text) == expected


@given(st.text(alphabet="datasource_list: []-#\n, ", max_size=200))
def test_any_text_is_read(text: str) -> None:
    datasource_list(text)


@pytest.mark.parametrize(
    ("files", "asks"),
    [
        ({}, True),
        ({"/etc/cloud/cloud.cfg.d/90_dpkg.cfg": DEBIAN}, True),
        ({"/etc/cloud/cloud.cfg.d/99-installer.cfg": "datasource_list: [None]\n"}, False),
        (
            {
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": DEBIAN,
                "/etc/cloud/cloud.cfg.d/99-vmware.cfg": "datasource_list: [ VMware, None ]\n",
            },
            False,
        ),
        (
            {
                "/etc/cloud/cloud.cfg": "datasource_list: [ VMware ]\n",
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": DEBIAN,
                "/etc/cloud/cloud.cfg.d/99-not.cfg.bak": "datasource_list: [ VMware ]\n",
            },
            True,
        ),
        ({"/var/lib/cloud/seed/nocloud-net/meta-data": "instance-id: x\n"}, False),
        (
            {
                "/etc/cloud/cloud.cfg.d/90_dpkg.cfg": DEBIAN,
                "/var/lib/cloud/seed/nocloud/meta-data": "instance-id: x\n",
            },
            False,
        ),
        (
            {
                "/etc/cloud/cloud.cfg": "datasource_list: [ Ec2, NoCloud ]\n",
                "/var/lib/cloud/seed/nocloud/meta-data": "instance-id: x\n",
            },
            True,
        ),
    ],
)
def test_whether_ec2_is_asked(files: Mapping[str, str], *, asks: bool) -> None:
    found = inspect_cloud_init(MemoryGuest({**PROGRAM, **files}))
    assert found is not None
    assert found.asks_ec2 is asks


def test_where_it_does_not_run() -> None:
    assert inspect_cloud_init(MemoryGuest()) is None
    disabled = MemoryGuest({**PROGRAM, "/etc/cloud/cloud-init.disabled": ""})
    assert inspect_cloud_init(disabled) is None
