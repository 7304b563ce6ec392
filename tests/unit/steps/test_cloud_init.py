from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.cloud import inspect_cloud_init
from converter.inspection.storage import Storage
from converter.model import Plan
from converter.steps import cloud_init
from converter.steps.step import Context
from tests.unit.samples import FACTS, LINUX

if TYPE_CHECKING:
    from collections.abc import Mapping


def plan(guest: MemoryGuest) -> Plan:
    facts = replace(FACTS, os=replace(LINUX, agents=("cloud-init",)))
    recording = RecordingGuest(guest)
    assert cloud_init.STEP.applies(facts)
    cloud_init.STEP.run(Context(recording, facts, Storage((), (), ())))
    return recording.plan


def guest(files: Mapping[str, str]) -> MemoryGuest:
    return MemoryGuest({"/usr/bin/cloud-init": "#!/usr/bin/python3\n", **files})


def test_a_list_without_ec2_is_followed_by_one_with_it() -> None:
    found = guest({"/etc/cloud/cloud.cfg.d/99-installer.cfg": "datasource_list: [None]\n"})
    done = plan(found)
    (change,) = done.changes
    assert change.path.startswith("/etc/cloud/cloud.cfg.d/")
    assert "99-installer.cfg" in change.reason
    replay(done, found, progress=lambda _fraction: None)
    assert plan(found).changes == ()
    after = inspect_cloud_init(found)
    assert after is not None
    assert after.sources == ("Ec2", "None")


def test_a_seed_is_told_and_does_not_go_before() -> None:
    found = guest({"/var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n"})
    done = plan(found)
    assert [finding.code for finding in done.findings] == ["cloud-init-seed"]
    assert done.changes[-1].path == cloud_init.PATH
    replay(done, found, progress=lambda _fraction: None)
    assert plan(found).changes == ()


def test_what_asks_ec2_already_is_left() -> None:
    assert plan(guest({})) == Plan(())
    assert plan(MemoryGuest()) == Plan(())
    assert not cloud_init.STEP.applies(FACTS)
