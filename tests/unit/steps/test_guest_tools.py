from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from converter.data import load
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.storage import Storage
from converter.model import FileKind, MakeLink, Plan, RemoveFile, WriteFile
from converter.steps import guest_tools
from converter.steps.step import Context
from tests.unit.samples import FACTS, LINUX

Files = Mapping[str, str | bytes | Node]


def link(target: str) -> Node:
    return Node(FileKind.SYMLINK, target.encode())


def plan(guest: MemoryGuest, tool: str, *, init: str = "systemd", packages: str = "dpkg") -> Plan:
    linux = replace(LINUX, guest_tools=(tool,), init_system=init, package_manager=packages)
    facts = replace(FACTS, os=linux)
    recording = RecordingGuest(guest)
    assert guest_tools.STEP.applies(facts)
    guest_tools.STEP.run(Context(recording, facts, Storage((), (), ())))
    return recording.plan


def made(guest: MemoryGuest, tool: str, *, init: str = "systemd", packages: str = "dpkg") -> Plan:
    """Apply the plan, and prove that it leaves nothing to be done."""
    done = plan(guest, tool, init=init, packages=packages)
    replay(done, guest, progress=lambda _fraction: None)
    assert plan(guest, tool, init=init, packages=packages).changes == ()
    return done


def test_units_are_masked() -> None:
    """Debian 12: the unit, its alias, and the service it needs; the script is left alone."""
    guest = MemoryGuest(
        {
            "/lib": link("usr/lib"),
            "/usr/lib/systemd/system/open-vm-tools.service": "[Install]\nAlias=vmtoolsd.service\n",
            "/usr/lib/systemd/system/vgauth.service": "",
            "/etc/systemd/system/vmtoolsd.service": link(
                "/lib/systemd/system/open-vm-tools.service"
            ),
            "/etc/init.d/open-vm-tools": "#!/bin/sh\n",
            "/etc/rc2.d/S01open-vm-tools": link("../init.d/open-vm-tools"),
        }
    )
    done = made(guest, "open-vm-tools")
    masked = {change.path: change.target for change in done.changes if isinstance(change, MakeLink)}
    assert masked == {
        f"/etc/systemd/system/{unit}.service": "/dev/null"
        for unit in ("open-vm-tools", "vmtoolsd", "vgauth")
    }
    assert len(done.changes) == 3
    (finding,) = done.findings
    assert finding.code == "guest-tools-disabled"
    assert "open-vm-tools.service" in finding.message


def test_a_unit_that_an_installer_wrote_is_kept_beside_its_mask() -> None:
    guest = MemoryGuest({"/etc/systemd/system/vmware-tools.service": "[Unit]\n"})
    made(guest, "vmware-tools")
    assert guest.readlink("/etc/systemd/system/vmware-tools.service") == "/dev/null"
    kept = "/etc/systemd/system/.vmware-tools.service.converter-orig"
    assert guest.read(kept) == b"[Unit]\n"


def test_scripts_under_systemd_are_masked_as_units() -> None:
    """VMware's tarball on a systemd guest: /etc/init.d/vmware-tools and nothing else."""
    guest = MemoryGuest(
        {
            "/etc/init.d/vmware-tools": "#!/bin/sh\n",
            "/etc/rc3.d/S19vmware-tools": link("../init.d/vmware-tools"),
        }
    )
    made(guest, "vmware-tools")
    assert guest.readlink("/etc/systemd/system/vmware-tools.service") == "/dev/null"


@pytest.mark.parametrize(
    "files",
    [
        {
            "/etc/init.d": link("rc.d/init.d"),
            "/etc/rc3.d": link("rc.d/rc3.d"),
            "/etc/rc.d/init.d/vmware-tools": "#!/bin/sh\n",
            "/etc/rc.d/rc3.d/S19vmware-tools": link("../init.d/vmware-tools"),
            "/etc/rc.d/rc3.d/S55sshd": link("../init.d/sshd"),
        },
        {
            "/etc/rc.d": link("init.d"),
            "/etc/init.d/vmware-tools": "#!/bin/sh\n",
            "/etc/init.d/rc3.d/S19vmware-tools": link("../vmware-tools"),
            "/etc/init.d/rc3.d/S55sshd": link("../sshd"),
        },
    ],
    ids=["red-hat", "suse"],
)
def test_start_links_are_taken_away(files: Files) -> None:
    guest = MemoryGuest(files)
    done = made(guest, "vmware-tools", init="sysvinit", packages="rpm")
    (change,) = done.changes
    assert isinstance(change, RemoveFile)
    assert change.path.endswith("rc3.d/S19vmware-tools")


def test_jobs_become_manual() -> None:
    guest = MemoryGuest({"/etc/init/vmware-tools.conf": "start on runlevel [2345]\n"})
    done = made(guest, "vmware-tools", init="upstart")
    (change,) = done.changes
    assert isinstance(change, WriteFile)
    assert guest.read("/etc/init/vmware-tools.override") == b"manual\n"


def test_jobs_of_an_old_upstart_are_taken_away() -> None:
    guest = MemoryGuest({"/etc/init/vmware-tools.conf": "start on runlevel [2345]\n"})
    made(guest, "vmware-tools", init="upstart", packages="rpm")
    assert guest.list("/etc/init") == (".vmware-tools.conf.converter-orig",)


@pytest.mark.parametrize("tool", ["qemu-guest-agent", "open-vm-tools"])
def test_what_starts_nothing_is_left(tool: str) -> None:
    done = plan(MemoryGuest({"/usr/lib/systemd/system/qemu-guest-agent.service": ""}), tool)
    assert done.changes == ()
    assert [finding.code for finding in done.findings] == ["guest-tools-present"]


def test_every_row_is_of_a_tool_that_is_looked_for() -> None:
    data = load("linux")
    assert set(data["guest_services"]) <= set(data["guest_tools"])
    for names in data["guest_services"].values():
        assert all(name == name.strip() and "/" not in name for name in names)
