from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from converter import accelerator, process
from converter.accelerator import Kind, choose
from converter.errors import ConversionError, UsageError

RAN = b"... Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"


class Host:
    """A machine whose KVM answers as told; counts how often it was tried."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trials = 0
        self.outcome: process.Completed | Exception = process.Completed(0, RAN, b"")
        self.cache = root / "cache" / "converter" / "accelerator"
        self.boot_id, self.device, self.kernels = root / "boot_id", root / "kvm", root / "boot"
        self.boot_id.write_text("first\n")
        self.device.touch()
        self.kernels.mkdir()
        (self.kernels / "vmlinuz-6.1").touch()
        monkeypatch.delenv(accelerator.VARIABLE, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        monkeypatch.setattr(accelerator, "_BOOT_ID", self.boot_id)
        monkeypatch.setattr(accelerator, "_DEVICE", self.device)
        monkeypatch.setattr(accelerator, "_KERNELS", self.kernels)
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(process, "run", self._run)

    def _run(self, argv: list[str], **_: Any) -> process.Completed:
        self.trials += 1
        assert argv[argv.index("-kernel") + 1] == str(self.kernels / "vmlinuz-6.1")
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("outcome", "kind", "reason"),
    [
        (process.Completed(0, RAN, b""), Kind.KVM, "vmlinuz-6.1 ran under it"),
        (process.Completed(0, b"Booting from ROM", b""), Kind.TCG, "did not come far enough"),
        (process.Completed(1, b"", b"kvm: no"), Kind.TCG, "did not come far enough"),
        (ConversionError("tool-timeout", "x"), Kind.TCG, "did not run under KVM within 8 s"),
    ],
)
def test_the_trial_decides_and_is_made_once(
    host: Host, outcome: process.Completed | Exception, kind: Kind, reason: str
) -> None:
    host.outcome = outcome
    first = choose()
    assert first.kind is kind
    assert reason in first.reason
    assert choose() == first
    assert host.trials == 1


def test_another_start_of_the_host_means_another_trial(host: Host) -> None:
    choose()
    host.boot_id.write_text("second\n")
    host.outcome = ConversionError("tool-timeout", "x")
    assert choose().kind is Kind.TCG
    assert host.trials == 2


@pytest.mark.parametrize("forced", list(Kind))
def test_the_variable_has_the_last_word(
    host: Host, monkeypatch: pytest.MonkeyPatch, forced: Kind
) -> None:
    monkeypatch.setenv(accelerator.VARIABLE, forced.value)
    found = choose()
    assert (found.kind, found.reason) == (forced, "CONVERTER_ACCEL says so")
    assert host.trials == 0


@pytest.mark.parametrize("value", ["KVM", "hvf", "kvm ", "yes"])
def test_the_variable_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(accelerator.VARIABLE, value)
    with pytest.raises(UsageError, match="no such accelerator"):
        choose()


class TestALack:
    """It is named, and not remembered: the next time it may be there."""

    @pytest.mark.parametrize("what", ["device", "kernel", "qemu"])
    def test_is_mended_at_once(
        self, host: Host, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        with monkeypatch.context() as patch:
            if what == "qemu":
                patch.setattr(shutil, "which", lambda _: None)
            else:
                nowhere = host.kernels / "missing"
                patch.setattr(accelerator, "_DEVICE" if what == "device" else "_KERNELS", nowhere)
            found = choose()
        assert found.kind is Kind.TCG
        assert {"device": "not there", "kernel": "no kernel", "qemu": "not installed"}[
            what
        ] in found.reason
        assert not host.cache.exists()
        assert choose().kind is Kind.KVM

    def test_counts_more_than_what_is_remembered(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert choose().kind is Kind.KVM
        monkeypatch.setattr(accelerator, "_DEVICE", host.kernels / "missing")
        assert choose().kind is Kind.TCG


class TestTheCache:
    @pytest.mark.parametrize(
        "content",
        [b"", b"first", b"first\nkvm", b"first\nxen\nsays so", b"other\ntcg\nx", b"\xff\xfe\n\n"],
    )
    def test_is_not_believed_when_it_makes_no_sense(self, host: Host, content: bytes) -> None:
        host.cache.parent.mkdir(parents=True)
        host.cache.write_bytes(content)
        assert choose().kind is Kind.KVM
        assert host.trials == 1

    def test_is_not_believed_when_it_is_somebody_elses(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choose()
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        choose()
        assert host.trials == 2

    @pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
    def test_is_not_believed_when_it_is_no_file(self, host: Host, kind: str) -> None:
        host.cache.parent.mkdir(parents=True)
        if kind == "link":
            target = host.kernels / "answer"
            target.write_text("first\ntcg\nnot mine")
            host.cache.symlink_to(target)
        elif kind == "fifo":
            os.mkfifo(host.cache)
        else:
            host.cache.mkdir()
        assert choose().kind is Kind.KVM

    def test_is_not_needed(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        host.cache.parent.parent.touch()
        assert choose().kind is Kind.KVM

        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setattr(Path, "home", homeless)
        assert choose().kind is Kind.KVM
        host.boot_id.unlink()
        assert choose().kind is Kind.KVM

    def test_leaves_nothing_beside_it(self, host: Host) -> None:
        choose()
        assert [path.name for path in host.cache.parent.iterdir()] == ["accelerator"]


def test_what_is_told_to_others() -> None:
    kvm = accelerator.Accelerator(Kind.KVM, "")
    tcg = accelerator.Accelerator(Kind.TCG, "")
    assert kvm.qemu_arguments[:2] == ("-accel", "kvm")
    assert tcg.qemu_arguments[0] == "-accel"
    assert tcg.libguestfs_settings == {
        "LIBGUESTFS_BACKEND": "direct",
        "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg",
        "LIBGUESTFS_APPEND": "mitigations=off clearcpuid=297",
    }
    assert "LIBGUESTFS_APPEND" not in kvm.libguestfs_settings
