"""The agent's package in real guests, by their own package managers."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from converter.formats.package import read_deb
from converter.guest import packages
from converter.guest.appliance import Appliance
from converter.inspection.mounts import mount_guest
from converter.inspection.storage import read_storage
from converter.model import InstallPackage, Plan, Severity
from images.cache import image
from tests import standins
from tests.command import converter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.appliance

AGENT = standins.AGENT
UNIT = f"{AGENT}.service"
LINK = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"


@contextmanager
def opened(disk: Path, work: Path) -> Iterator[Appliance]:
    """Mount the guest on a raw image, to be changed on an overlay only."""
    overlay, link = work / "overlay.qcow2", work / "disk"
    link.unlink(missing_ok=True)
    link.symlink_to(disk)
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(link), str(overlay)]
    )
    with Appliance([overlay], settings=choose().libguestfs_settings, directory=work) as machine:
        mount_guest(machine, machine, read_storage(machine))
        yield machine


def planned(package: Path) -> Plan:
    with package.open("rb") as file:
        read = read_deb(file)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    change = InstallPackage(
        "agent-install", "", read.name, "dpkg", read.version, package, digest, read.size,
        read.files, (UNIT,),
    )  # fmt: skip
    return Plan((change,))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with opened(image("debian-12-bios").path, tmp_path_factory.mktemp("dpkg")) as machine:
        yield machine


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("store")
    package = standins.rpm(directory)
    converter("drivers", "import", package, "--drivers", directory / "store").good()
    return directory / "store"


@pytest.mark.xdist_group("agent-dpkg")
class TestDpkg:
    """One guest: what fails leaves nothing behind, and what is right is installed after it."""

    @pytest.mark.parametrize(
        ("architecture", "postinst", "said"),
        [
            ("amd64", f"systemctl enable {AGENT}; echo it went wrong; exit 3", "it went wrong"),
            ("arm64", "true", "does not match system"),
        ],
    )
    def test_what_fails_leaves_nothing(
        self, machine: Appliance, tmp_path: Path, architecture: str, postinst: str, said: str
    ) -> None:
        package = standins.deb(tmp_path, architecture=architecture, postinst=postinst)
        (finding,) = packages.install(planned(package), machine)
        assert (finding.severity, finding.code) == (Severity.WARNING, "agent-not-installed")
        assert said in finding.message
        asked = machine.run(["dpkg", "--list", AGENT], seconds=300)
        assert asked.status != 0 or f"\nii  {AGENT}" not in asked.output
        assert machine.run(["dpkg", "--audit"], seconds=300).output == ""
        for path in (f"/usr/bin/{AGENT}", f"/lib/systemd/system/{UNIT}", LINK, "/etc/amazon"):
            assert machine.lstat(path) is None, path
        assert not [name for name in machine.list("/") if name.startswith(".converter")]

    def test_a_script_that_leaves_a_program_running(
        self, machine: Appliance, tmp_path: Path
    ) -> None:
        package = standins.deb(tmp_path, postinst="sleep 1000 & exit 1")
        (finding,) = packages.install(planned(package), machine)
        assert finding.code == "agent-not-installed"
        machine.unmount()
        mount_guest(machine, machine, read_storage(machine))

    def test_what_is_right_is_installed_and_enabled(
        self, machine: Appliance, tmp_path: Path
    ) -> None:
        package = standins.deb(tmp_path, postinst="systemctl start nothing || true")
        (finding,) = packages.install(planned(package), machine)
        assert (finding.severity, finding.code) == (Severity.INFO, "agent-installed")
        assert f"\nii  {AGENT}" in machine.run(["dpkg", "--list", AGENT], seconds=300).output
        assert machine.readlink(LINK).endswith(f"/systemd/system/{UNIT}")


@pytest.mark.xdist_group("agent-rpm")
class TestRpm:
    def test_the_guest_knows_the_package(self, store: Path, tmp_path: Path) -> None:
        guest = image("debian-12-rpm").path
        listed = converter("drivers", "list", "--for", guest, "--drivers", store, "--json").good()
        verdicts = {row["bundle"]: row["verdict"] for row in listed.document["bundles"]}
        assert verdicts == {AGENT: "install", "ena-source": "present"}
        arguments = ("--drivers", store, "--json")
        done = converter("convert", guest, "-o", tmp_path, "--name", "guest", *arguments).good()
        codes = [finding["code"] for finding in done.document["findings"]]
        assert "agent-installed" in codes
        (change,) = [c for c in done.document["changes"] if c["kind"] == "install-package"]
        assert (change["path"], change["version"]) == (AGENT, f"{standins.VERSION}-1")
        again = converter("plan", tmp_path / "guest.raw", *arguments).good().document
        assert again["changes"] == []
        assert "agent-present" in [finding["code"] for finding in again["findings"]]
        with opened(tmp_path / "guest.raw", tmp_path) as machine:
            asked = machine.run(["rpm", "-q", AGENT], seconds=300)
            assert asked.output.strip() == f"{AGENT}-{standins.VERSION}-1.x86_64"
            assert machine.run(["rpm", "-V", AGENT], seconds=300).status == 0
            assert machine.readlink(LINK) == f"/etc/systemd/system/{UNIT}"

    def test_a_damaged_payload_is_left_out_and_told(self, store: Path, tmp_path: Path) -> None:
        damaged = tmp_path / "store"
        shutil.copytree(store, damaged)
        payload = damaged / AGENT / "rpm-x86_64" / f"{AGENT}.rpm"
        data = bytearray(payload.read_bytes())
        data[2000] ^= 1
        payload.write_bytes(data)
        refused = converter("drivers", "verify", "--drivers", damaged)
        assert refused.code == 4
        assert "SHA-256" in refused.stdout
        output = tmp_path / "out"
        guest = image("debian-12-rpm").path
        converter("convert", guest, "-o", output, "--name", "guest", "--drivers", damaged).good()
        manifest = json.loads((output / "guest.manifest.json").read_text())
        (finding,) = [f for f in manifest["findings"] if f["code"] == "payload-damaged"]
        assert finding["severity"] == "warning"
        assert "SHA-256 differs" in finding["message"]
        assert "SHA-256 differs" in (output / "guest.report.html").read_text()
        assert "install-package" not in [change["kind"] for change in manifest["changes"]]
