from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import ConversionError, DamagedInputError
from converter.model import ByteRange, ContainerFormat, ListedFile
from converter.source import open_source, ova, survey
from converter.source.blocks import VirtualDisk
from converter.source.manifest import VerifyJob
from converter.source.reader import Reader, whole
from converter.source.unchanged import Watch
from tests.unit.source.build import (
    GRAIN,
    MIB,
    chunks,
    descriptor,
    drive,
    fixed_vhd,
    ovf,
    pattern,
    sparse_vmdk,
    stored,
    stream_vmdk,
    tar,
    tar_header,
)
from tests.unit.source.opening import damage, open_at, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

DISK = stream_vmdk({0: pattern(GRAIN)}, 128)
OVF = ovf().encode()
MACHINE = (("vm.ovf", OVF), ("a.vmdk", DISK))


def pythons(form: int, *members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def members_of(path: Path) -> dict[str, ByteRange]:
    with Reader(whole(path)) as reader:
        return ova.members(reader)


class TestArchive:
    @pytest.mark.parametrize(
        ("form", "name"),
        [
            (form, name)
            for form in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)
            for name in ("a.vmdk", "x" * 150 + ".vmdk", "Dänk-ディスク.vmdk")
            if form != tarfile.USTAR_FORMAT or len(name) <= 100
        ],
    )
    def test_of_every_kind(self, tmp_path: Path, form: int, name: str) -> None:
        path = stored(tmp_path, "a.ova", pythons(form, ("vm.ovf", OVF), (name, DISK)))
        found = members_of(path)
        assert list(found) == ["vm.ovf", name]
        place = found[name]
        assert path.read_bytes()[place.offset :][: place.length] == DISK

    @pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_a_member_of_more_than_8_gib(self, tmp_path: Path, form: Literal[1, 2]) -> None:
        info = tarfile.TarInfo("a.vmdk")
        info.size = 9 << 30
        head = info.tobuf(format=form)
        path = stored(tmp_path, "a.ova", head)
        os.truncate(path, len(head) + info.size)
        assert members_of(path) == {"a.vmdk": ByteRange(path, len(head), 9 << 30)}

    def test_without_an_end(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.ova", tar(*MACHINE, end=b""))
        assert list(members_of(path)) == ["vm.ovf", "a.vmdk"]

    def test_without_the_last_padding(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.ova", tar(("a", b"x"), end=b"")[:513])
        assert members_of(path) == {"a": ByteRange(path, 512, 1)}

    def test_junk_behind_the_end(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.ova", tar(*MACHINE) + b"junk" * 1000)
        assert list(members_of(path)) == ["vm.ovf", "a.vmdk"]

    def test_names_with_a_dot_before_them_are_plain(self, tmp_path: Path) -> None:
        directory = tar_header(b"./", b"0", b"5")
        data = directory + tar(("./vm.ovf", OVF), ("./a.vmdk", DISK))
        assert open_at(stored(tmp_path, "a.ova", data)).disks[0].virtual_size == 65536

    def test_what_a_mac_adds_is_passed_over(self, tmp_path: Path) -> None:
        data = tar(("./._vm.ovf", b"x"), ("vm.ovf", OVF), ("._a.vmdk", b"y"), ("a.vmdk", DISK))
        assert len(open_at(stored(tmp_path, "a.ova", data)).disks) == 1

    @pytest.mark.parametrize(
        "data",
        [
            tar_header(b"sub/a", b"0"),
            tar_header(b"../a", b"0"),
            tar_header(b"/etc/passwd", b"0"),
            tar_header(b"sub/", b"0", b"5"),
            tar_header(b"link", b"0", b"2"),
            tar_header(b"link", b"0", b"1"),
            tar_header(b"device", b"0", b"4"),
            tar_header(b"pipe", b"0", b"6"),
            tar_header(b"sparse", b"0", b"S"),
            tar(("a", b"x"), ("./a", b"y")),
        ],
    )
    def test_members_that_are_refused(self, tmp_path: Path, data: bytes) -> None:
        error = refusal(stored(tmp_path, "a.ova", data.ljust(2048, b"\0")))
        assert error.code == "ova-member"

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (tar_header(b"a", b"x"), "ova-tar-damaged"),
            (tar_header(b"a", b""), "ova-tar-damaged"),
            (tar_header(b"a", b"-1"), "ova-tar-damaged"),
            (tar_header(b"a", b"\xff" * 12), "ova-tar-damaged"),
            (tar_header(b"a", b"\x80" + b"\xff" * 11), "truncated"),
            (tar_header(b"a", b"77777777777"), "truncated"),
            (tar_header(b"a", b"1").replace(b"a", b"b", 1), "ova-tar-damaged"),
            (tar_header(b"a", b"0") + b"x" * 512, "ova-tar-damaged"),
            (tar_header(b"a", b"0") + b"x", "truncated"),
            (tar_header(b"p", b"4", b"x") + b"junk", "ova-tar-damaged"),
            (tar_header(b"p", b"10", b"x") + b"0 path=a", "ova-tar-damaged"),
            (tar_header(b"p", b"17", b"x") + b"15 size=-1\nxxxx\n", "ova-tar-damaged"),
            (tar_header(b"p", b"7777777", b"x") + bytes(4 << 20), "ova-tar-damaged"),
            (tar_header(b"p", b"7777777", b"L") + bytes(4 << 20), "ova-tar-damaged"),
        ],
    )
    def test_damage(self, tmp_path: Path, data: bytes, code: str) -> None:
        data += bytes(-len(data) % 512) if len(data) > 513 else b""
        assert damage(stored(tmp_path, "a.ova", data)).code == code

    @pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
    def test_headers_without_end(self, tmp_path: Path, kind: bytes) -> None:
        path = stored(tmp_path, "a.ova", tar_header(b"p", b"0", kind) * 5000)
        assert refusal(path).code == "ova-member"

    def test_extensions_without_end_are_not_kept(self, tmp_path: Path) -> None:
        """Each with keys of its own, 4000 of them would take 300 MiB and minutes."""
        header = tar_header(b"p", b"%o" % (64 << 10), b"x")
        records = [b"%08d k%05d=\n" % (17, number) for number in range(3855)]
        extension = header + b"".join(records).ljust(64 << 10, b"\0")
        error = damage(stored(tmp_path, "a.ova", extension * 17 + tar(*MACHINE)))
        assert error.code == "ova-tar-damaged"
        assert "extended headers have 1114112 bytes" in error.message

    def test_a_sparse_file_of_gnu_tar(self, tmp_path: Path) -> None:
        record = b"22 GNU.sparse.major=1\n"
        data = tar_header(b"p", b"%o" % len(record), b"x") + record.ljust(512, b"\0")
        path = stored(tmp_path, "a.ova", data + tar(("a.vmdk", b"x")))
        assert refusal(path).code == "ova-member"

    @given(st.integers(0, 1023), st.binary(min_size=1, max_size=12))
    def test_no_header_gives_another_error(
        self, tmp_path_factory: pytest.TempPathFactory, at: int, bytes_: bytes
    ) -> None:
        data = bytearray(pythons(tarfile.PAX_FORMAT, ("ä", b"x")))
        data[at : at + len(bytes_)] = bytes_
        # With a right checksum, the damage gets further.
        for start in (0, 1024):
            block = data[start : start + 512]
            total = sum(block) - sum(block[148:156]) + 256
            data[start + 148 : start + 156] = b"%06o\0 " % total
        path = stored(tmp_path_factory.mktemp("ova"), "a", bytes(data))
        try:
            found = members_of(path)
        except ConversionError:
            return
        assert all(place.offset + place.length <= len(data) for place in found.values())


class TestMachine:
    @pytest.mark.parametrize("order", [1, -1])
    def test_the_order_of_members_does_not_matter(self, tmp_path: Path, order: int) -> None:
        source = open_at(stored(tmp_path, "a.ova", tar(*MACHINE[::order])))
        [disk] = source.disks
        assert source.format is ContainerFormat.OVA
        assert (disk.subformat, disk.virtual_size) == ("streamOptimized", 65536)
        assert disk.label == "a.ova: a.vmdk"

    def test_other_members_do_not_matter(self, tmp_path: Path) -> None:
        others = (("vm.nvram", b"x"), ("cd.iso", b"y"), ("vm.cert", b"z"))
        assert len(open_at(stored(tmp_path, "a.ova", tar(*others, *MACHINE))).disks) == 1

    def test_disks_come_in_the_machines_order(self, tmp_path: Path) -> None:
        text = ovf(
            [f'<File ovf:href="{name}" ovf:id="{name}"/>' for name in ("b.vhd", "a.img")],
            [
                '<Disk ovf:diskId="one" ovf:fileRef="b.vhd"/>',
                '<Disk ovf:diskId="two" ovf:fileRef="a.img"/>',
            ],
            drive("ovf:/disk/one", place="1") + drive("ovf:/disk/two", place="0"),
        )
        data = tar(
            ("vm.ovf", text.encode()),
            ("b.vhd", fixed_vhd(pattern(1024))),
            ("a.img", pattern(MIB)),
        )
        found = open_at(stored(tmp_path, "x.ova", data)).disks
        assert [disk.label for disk in found] == ["x.ova: a.img", "x.ova: b.vhd"]

    def test_a_flat_vmdk_inside(self, tmp_path: Path) -> None:
        text = descriptor(['RW 128 FLAT "a-flat.vmdk" 0'], kind="monolithicFlat").encode()
        data = tar(("vm.ovf", OVF), ("a.vmdk", text), ("a-flat.vmdk", pattern(65536)))
        [disk] = open_at(stored(tmp_path, "x.ova", data)).disks
        assert disk.virtual_size == 65536
        for name in ("/etc/passwd", "../x", ".."):
            text = descriptor([f'RW 1 FLAT "{name}" 0'], kind="monolithicFlat").encode()
            path = stored(tmp_path, "x.ova", tar(("vm.ovf", OVF), ("a.vmdk", text)))
            assert refusal(path).code == "foreign-file"

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ((MACHINE[0],), "member-missing"),
            ((MACHINE[1],), "ova-no-ovf"),
            ((*MACHINE, ("other.ovf", OVF)), "ova-no-ovf"),
            ((("vm.ovf", OVF), ("a.vmdk", b"")), "disk-size-zero"),
            ((("vm.ovf", OVF), ("a.vmdk", DISK[:-600])), "truncated"),
            ((("vm.ovf", OVF), ("a.vmdk", pattern(4096))), "format-mismatch"),
            ((("vm.ovf", OVF), ("a.vmdk", fixed_vhd(pattern(1024)))), "format-mismatch"),
            ((("vm.ovf", b"<junk"), ("a.vmdk", DISK)), "ovf-invalid"),
            ((("vm.ovf", b""), ("a.vmdk", DISK)), "ovf-invalid"),
        ],
    )
    def test_damage(
        self, tmp_path: Path, members: tuple[tuple[str, bytes], ...], code: str
    ) -> None:
        assert damage(stored(tmp_path, "a.ova", tar(*members))).code == code

    def test_an_ova_in_an_ova(self, tmp_path: Path) -> None:
        text = ovf(['<File ovf:href="b.ova" ovf:id="f0"/>']).encode()
        data = tar(("vm.ovf", text), ("b.ova", tar(*MACHINE)))
        assert refusal(stored(tmp_path, "a.ova", data)).code == "container-nested"

    def test_a_xenserver_export_is_named(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.ova", tar(("ova.xml", b"<value/>"), ("Ref:1", b"")))
        assert refusal(path).code == "container-xva"

    @pytest.mark.parametrize("length", range(0, 12_000, 367))
    def test_cut_off_anywhere(self, tmp_path: Path, length: int) -> None:
        manifest = f"SHA256(a.vmdk)= {hashlib.sha256(DISK).hexdigest()}\n".encode()
        data = tar(MACHINE[0], ("vm.mf", manifest), MACHINE[1], end=b"")
        path = stored(tmp_path, "a.ova", data[: min(length, len(data) - 1)])
        assert damage(path)


class TestManifest:
    def machine(self, directory: Path, manifest: bytes, *, last: bool = False) -> Path:
        members = [MACHINE[0], MACHINE[1]]
        members.insert(2 if last else 1, ("vm.mf", manifest))
        return stored(directory, "a.ova", tar(*members))

    @pytest.mark.parametrize(
        "algorithm", ["SHA1", "SHA256", "SHA384", "SHA512", "SHA-1", "SHA2-256", "sha512"]
    )
    @pytest.mark.parametrize("spelling", ["{0}({1})= {2}\n", "{0} ({1}) = {2}\r\n", "{0}({1})={2}"])
    @pytest.mark.parametrize("last", [False, True])
    def test_right(self, tmp_path: Path, algorithm: str, spelling: str, last: bool) -> None:  # noqa: FBT001
        name = f"sha{algorithm.removeprefix('SHA').removeprefix('sha').rpartition('-')[2]}"
        digest = hashlib.new(name, DISK, usedforsecurity=False).hexdigest()
        for value in (digest, digest.upper()):
            text = "\n\n" + spelling.format(algorithm, "a.vmdk", value)
            open_at(self.machine(tmp_path, text.encode(), last=last))
            open_at(self.machine(tmp_path, text.encode("utf-8-sig"), last=last))

    @pytest.mark.parametrize("listed", ["a%20b.vmdk", "a b.vmdk"])
    @pytest.mark.parametrize("is_right", [False, True])
    def test_an_escaped_name(self, tmp_path: Path, listed: str, *, is_right: bool) -> None:
        text = ovf(['<File ovf:href="a%20b.vmdk" ovf:id="f0"/>']).encode()
        digest = hashlib.sha256(DISK if is_right else b"").hexdigest()
        lines = f"SHA256({listed})= {digest}\n".encode()
        data = tar(("vm.ovf", text), ("vm.mf", lines), ("a b.vmdk", DISK))
        path = stored(tmp_path, "vm.ova", data)
        if is_right:
            open_at(path)
        else:
            assert damage(path).code == "ova-manifest-mismatch"

    @pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
    def test_wrong(self, tmp_path: Path, algorithm: str) -> None:
        digest = hashlib.new(algorithm.lower(), DISK + b"x", usedforsecurity=False).hexdigest()
        path = self.machine(tmp_path, f"{algorithm}(a.vmdk)= {digest}".encode())
        error = damage(path)
        assert error.code == "ova-manifest-mismatch"
        assert "a.vmdk" in error.message
        assert digest in error.message

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (b"SHA256(gone.vmdk)= 00", "member-missing"),
            (b"SHA256(a.vmdk)= 00", "ova-manifest-mismatch"),
            (b"MD5(a.vmdk)= 00", "ova-manifest-invalid"),
            (b"SHA224(a.vmdk)= 00", "ova-manifest-invalid"),
            (b"SHA512/256(a.vmdk)= 00", "ova-manifest-invalid"),
            (b"SHA256(a.vmdk)=", "ova-manifest-invalid"),
            (b"\xff\xfe\0\0", "ova-manifest-invalid"),
            (b"x" * (1 << 20) + b"x", "ova-manifest-invalid"),
            (b"SHA1(a) " * 100_000, "ova-manifest-invalid"),
        ],
    )
    def test_damage(self, tmp_path: Path, text: bytes, code: str) -> None:
        assert damage(self.machine(tmp_path, text)).code == code

    def test_names_no_file_elsewhere(self, tmp_path: Path) -> None:
        path = self.machine(tmp_path, b"SHA1(/etc/passwd)= 00")
        assert refusal(path).code == "foreign-file"

    def test_in_the_background(self, tmp_path: Path) -> None:
        file = ByteRange(stored(tmp_path, "a", DISK), 0, len(DISK))
        good = ListedFile("vm.mf", "a", file, "sha256", hashlib.sha256(DISK).hexdigest())
        told: list[str] = []
        job = VerifyJob([good], on_failure=lambda: told.append("failed"))
        job.start()
        job.wait()
        assert told == []
        job = VerifyJob(
            [good, replace(good, digest="00"), replace(good, algorithm="sha1")],
            on_failure=lambda: told.append("failed"),
        )
        job.start()
        with pytest.raises(DamagedInputError) as caught:
            job.wait()
        assert [finding.code for finding in caught.value.findings] == ["ova-manifest-mismatch"] * 2
        assert told == ["failed"]

    def test_in_the_background_until_it_is_cancelled(self, tmp_path: Path) -> None:
        file = ByteRange(stored(tmp_path, "a", DISK), 0, len(DISK))
        job = VerifyJob(
            [ListedFile("vm.mf", "a", file, "sha256", "00")] * 9, on_failure=lambda: None
        )
        job.cancel()
        job.start()
        job.wait()
        assert not job.has_failed

    def test_a_file_listed_often_is_read_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []
        sha1 = hashlib.new

        def counted(*arguments: str, **options: bool) -> object:
            calls.append(arguments)
            return sha1(*arguments, **options)  # type: ignore[arg-type]

        digest = hashlib.sha1(DISK, usedforsecurity=False).hexdigest()
        path = self.machine(tmp_path, f"SHA1(a.vmdk)= {digest}\n".encode() * 10_000)
        monkeypatch.setattr(hashlib, "new", counted)
        open_at(path)
        assert len(calls) == 1


class TestBareOvf:
    def test_disks_lie_beside_it(self, tmp_path: Path) -> None:
        stored(tmp_path, "a.vmdk", sparse_vmdk({}, 128))
        source = open_at(stored(tmp_path, "vm.ovf", OVF))
        assert source.format is ContainerFormat.OVF
        assert [disk.label for disk in source.disks] == ["a.vmdk"]

    def test_its_manifest_is_verified(self, tmp_path: Path) -> None:
        stored(tmp_path, "a.vmdk", DISK)
        path = stored(tmp_path, "vm.ovf", OVF)
        good = hashlib.sha256(OVF).hexdigest()
        listed = stored(tmp_path, "vm.mf", f"SHA256(vm.ovf)= {good}".encode())
        open_at(path)
        listed.write_bytes(b"SHA256(a.vmdk)= 00")
        with pytest.raises(ConversionError, match=r"vm\.mf") as caught:
            open_at(path)
        assert caught.value.code == "ova-manifest-mismatch"

    @pytest.mark.parametrize(
        "href",
        ["http://h/a.vmdk", "file:///a.vmdk", "/a.vmdk", "../a.vmdk", "..%2fa.vmdk", "sub/a"],
    )
    def test_references_that_lead_away(self, tmp_path: Path, href: str) -> None:
        home = tmp_path / "home"
        home.mkdir()
        stored(tmp_path, "a.vmdk", DISK)
        text = ovf([f'<File ovf:href="{href}" ovf:id="f0"/>']).encode()
        assert refusal(stored(home, "vm.ovf", text)).code == "foreign-file"
        path = stored(home, "vm.ova", tar(("vm.ovf", text), ("a.vmdk", DISK)))
        assert refusal(path).code == "foreign-file"

    @pytest.mark.parametrize("name", ["a b.vmdk", "a%20b.vmdk", "ä.vmdk"])
    @pytest.mark.parametrize("href", ["a b.vmdk", "a%20b.vmdk", "%C3%A4.vmdk", "./a b.vmdk"])
    def test_references_are_uris_or_names(self, tmp_path: Path, name: str, href: str) -> None:
        stored(tmp_path, name, DISK)
        text = ovf([f'<File ovf:href="{href}" ovf:id="f0"/>']).encode()
        path = stored(tmp_path, "vm.ovf", text)
        plain = href.removeprefix("./")
        if name in (plain, unquote(plain)):
            assert len(open_at(path).disks) == 1
        else:
            assert damage(path).code == "member-missing"


def contents(path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as work:
        [disk] = open_source([path], work=Path(work)).disks
        with VirtualDisk(disk) as opened:
            return opened.read(0, opened.size)


def test_a_sparse_member_of_gnu_tar(tmp_path: Path) -> None:
    data = tar_header(b"disk.raw", b"%011o" % 512, b"S") + bytes(512 + 1024)
    error = refusal(stored(tmp_path, "a.tar", data))
    assert (error.code, "unpack it" in error.hint) == ("ova-member", True)


class TestBesideAnOvf:
    @pytest.mark.parametrize("name", ["x" * 254, "x" * 250 + ".ovf"])
    def test_its_name_may_be_long(self, tmp_path: Path, name: str) -> None:
        stored(tmp_path, "a.vmdk", DISK)
        assert len(open_at(stored(tmp_path, name, OVF)).disks) == 1

    @pytest.mark.parametrize(("size", "is_cut"), [(1024, False), (1000, False), (1025, True)])
    def test_a_raw_disk_that_was_cut_off(self, tmp_path: Path, size: int, *, is_cut: bool) -> None:
        stored(tmp_path, "a.disk", pattern(1024))
        text = ovf([f'<File ovf:href="a.disk" ovf:id="f0" ovf:size="{size}"/>']).encode()
        path = stored(tmp_path, "vm.ovf", text)
        if not is_cut:
            open_at(path)
            return
        with pytest.raises(DamagedInputError, match="1024 bytes, and 1025") as caught:
            open_at(path)
        assert caught.value.code == "truncated"

    def test_a_directory_is_no_manifest(self, tmp_path: Path) -> None:
        (tmp_path / "vm.mf").mkdir()
        stored(tmp_path, "a.vmdk", DISK)
        assert len(open_at(stored(tmp_path, "vm.ovf", OVF)).disks) == 1


class TestFlatExtents:
    """The data of a VMDK, as they are, in a file or several beside it in the archive."""

    @pytest.mark.parametrize("count", [1, 2])
    def test_are_read(self, tmp_path: Path, count: int) -> None:
        names = ["one", "two"][:count]
        lines = [f'RW 4 FLAT "{name}" 1' for name in names]
        disk = descriptor(lines, kind="custom").encode()
        data = [(name, pattern(4096, seed=seed)) for seed, name in enumerate(names)]
        path = stored(tmp_path, "a.ova", tar(("vm.ovf", OVF), ("a.vmdk", disk), *data))
        assert contents(path) == b"".join(data[512 : 512 + 2048] for _, data in data)


class TestChunks:
    """A disk's file that is cut (DMTF DSP0243, chunkSize), in an archive and beside an OVF."""

    FILE = '<File ovf:href="{name}" ovf:id="f0" ovf:chunkSize="{size}"{more}/>'

    def written(
        self,
        directory: Path,
        kind: str,
        chunks: Sequence[tuple[str, bytes]],
        size: int | str,
        *,
        name: str = "a.vmdk",
        more: str = "",
        others: Sequence[tuple[str, bytes]] = (),
    ) -> Path:
        text = ovf([self.FILE.format(name=name, size=size, more=more)]).encode()
        members = [("vm.ovf", text), *chunks, *others]
        if kind == "ova":
            return stored(directory, "vm.ova", tar(*members))
        paths = [stored(directory, name, data) for name, data in members]
        return paths[0]

    @pytest.fixture(params=["ova", "ovf"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        found: str = request.param
        return found

    @pytest.mark.parametrize("size", [512, 1024, len(DISK) - 512, len(DISK), 1 << 31])
    @pytest.mark.parametrize("told", [False, True])
    def test_are_put_together(self, tmp_path: Path, kind: str, size: int, *, told: bool) -> None:
        more = f' ovf:size="{len(DISK)}"' if told else ""
        path = self.written(tmp_path, kind, chunks("a.vmdk", DISK, size), size, more=more)
        source = open_at(path)
        assert source.chunked == ("a.vmdk",)
        assert source.disks[0].subformat == "streamOptimized"
        assert contents(path) == pattern(GRAIN)

    def test_of_a_raw_disk(self, tmp_path: Path, kind: str) -> None:
        data = pattern(10 * 512)
        path = self.written(tmp_path, kind, chunks("a.disk", data, 1536), 1536, name="a.disk")
        assert contents(path) == data

    @pytest.mark.parametrize("size", [513, 1000])
    def test_of_odd_lengths(self, tmp_path: Path, kind: str, size: int) -> None:
        path = self.written(tmp_path, kind, chunks("a.vmdk", DISK, size), size)
        assert refusal(path).code == "ova-chunks"

    def test_of_what_is_compressed_may_have_any(self, tmp_path: Path, kind: str) -> None:
        packed, more = gzip.compress(DISK), ' ovf:compression="gzip"'
        path = self.written(tmp_path, kind, chunks("a.vmdk", packed, 100), 100, more=more)
        assert contents(path) == pattern(GRAIN)

    def test_too_many(self, tmp_path: Path) -> None:
        cut = chunks("a.disk", pattern(501 * 512), 512)
        path = self.written(tmp_path, "ova", cut, 512, name="a.disk")
        error = refusal(path)
        assert (error.code, "500 files" in error.message) == ("ova-chunks", True)

    @pytest.mark.parametrize("told", [False, True])
    def test_one_is_missing(self, tmp_path: Path, kind: str, *, told: bool) -> None:
        cut = chunks("a.vmdk", DISK, 512)
        more = f' ovf:size="{len(DISK)}"' if told else ""
        path = self.written(tmp_path, kind, cut[:1] + cut[2:], 512, more=more)
        # If it is not told how many there are, they end where one is missing.
        with pytest.raises(DamagedInputError) as caught:
            open_at(path)
        assert caught.value.code == ("member-missing" if told else "truncated")
        assert not told or "a.vmdk.000000001" in caught.value.message

    def test_none_is_there(self, tmp_path: Path, kind: str) -> None:
        path = self.written(tmp_path, kind, (), 512)
        assert "a.vmdk.000000000" in damage(path).message

    @pytest.mark.parametrize("number", [0, 1, -1])
    @pytest.mark.parametrize("change", [-512, 512])
    def test_one_of_another_length(
        self, tmp_path: Path, kind: str, number: int, change: int
    ) -> None:
        cut = chunks("a.vmdk", DISK, 2048)
        name, data = cut[number]
        cut[number] = name, (data + bytes(512))[: len(data) + change]
        more = f' ovf:size="{len(DISK)}"'
        path = self.written(tmp_path, kind, cut, 2048, more=more)
        assert damage(path).code == "ova-chunk-size"

    @pytest.mark.parametrize("size", ["0", "-1", "x", "1" * 30])
    def test_of_no_size(self, tmp_path: Path, kind: str, size: str) -> None:
        path = self.written(tmp_path, kind, chunks("a.vmdk", DISK, 512), size)
        assert damage(path).code == "ovf-invalid"

    def test_a_manifest_lists_them(self, tmp_path: Path, kind: str) -> None:
        cut = chunks("a.vmdk", DISK, 2048)
        lines = [f"SHA256({name})= {hashlib.sha256(data).hexdigest()}\n" for name, data in cut]
        wrong = lines[0].replace("= ", "= 0")[:-2] + "\n"
        for first, code in ((lines[0], ""), (wrong, "ova-manifest-mismatch")):
            listed = ("vm.mf", "".join([first, *lines[1:]]).encode())
            path = self.written(tmp_path, kind, cut, 2048, others=[listed])
            if not code:
                assert contents(path) == pattern(GRAIN)
                continue
            with pytest.raises(DamagedInputError, match=cut[0][0]) as caught:
                open_at(path)
            assert caught.value.code == code

    def test_all_are_watched(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, "ovf", chunks("a.vmdk", DISK, 2048), 2048)
        watch = Watch([path])
        watch.add(open_at(path))
        watch.check()
        last = max(tmp_path.glob("a.vmdk.*"))
        last.write_bytes(last.read_bytes())
        with pytest.raises(ConversionError, match=last.name):
            watch.check()

    def test_one_that_leads_away(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, "ovf", chunks("a.vmdk", DISK, 2048), 2048)
        (tmp_path / "a.vmdk.000000001").unlink()
        (tmp_path / "a.vmdk.000000001").symlink_to("/etc/passwd")
        assert refusal(path).code == "foreign-file"


class TestSeveralFaults:
    """What is wrong with one part of a machine does not hide what is wrong with another."""

    def members(self, *disks: bytes) -> list[tuple[str, bytes]]:
        names = [f"{number}.vmdk" for number in range(len(disks))]
        files = [f'<File ovf:href="{name}" ovf:id="{name}"/>' for name in names]
        ids = [f'<Disk ovf:diskId="{name}" ovf:fileRef="{name}"/>' for name in names]
        return [("vm.ovf", ovf(files, ids).encode()), *zip(names, disks, strict=True)]

    def test_of_disks_and_manifest(self, tmp_path: Path) -> None:
        child = descriptor(['RW 128 SPARSE "x"'], parent="12345678").encode()
        members = self.members(DISK[:-1], DISK, child, b"text\n" * 200)
        manifest = "".join(f"SHA256({n}.vmdk)= {n:064x}\n" for n in range(2))
        data = tar(*members, ("vm.mf", manifest.encode()))
        error = damage(stored(tmp_path, "a.ova", data))
        assert [finding.code for finding in error.findings] == [
            "truncated", "vmdk-child", "format-mismatch", "ova-manifest-mismatch",
            "ova-manifest-mismatch",
        ]  # fmt: skip

    def test_sound_disks_keep_their_places(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.ova", tar(*self.members(DISK, DISK[:-1], DISK)))
        opening = survey([path], work=tmp_path)
        assert [place is not None for place in opening.places] == [True, False, True]
        assert [disk.label[-6:] for disk in opening.source.disks] == ["0.vmdk", "2.vmdk"]
        assert [error.code for error in opening.faults.errors] == ["truncated"]

    def test_of_disks_given_one_by_one(self, tmp_path: Path) -> None:
        paths = [
            stored(tmp_path, "a.vmdk", DISK[:-1]),
            stored(tmp_path, "b.img", pattern(1024)),
            stored(tmp_path, "c.vmdk", pattern(1024)),
            stored(tmp_path, "d.img", b"PK\3\4".ljust(1024, b"\0")),
        ]
        with pytest.raises(DamagedInputError) as caught:
            open_at(*paths)
        found = [finding.code for finding in caught.value.findings]
        assert sorted(found) == ["format-mismatch", "format-unknown", "truncated"]

    def test_of_a_vmdk_in_several_files(self, tmp_path: Path) -> None:
        lines = ['RW 128 SPARSE "one"', 'RW 128 SPARSE "two"']
        split = descriptor(lines, kind="twoGbMaxExtentSparse").encode()
        part = sparse_vmdk({0: pattern(GRAIN)}, 128, descriptor_sectors=0, text="")
        data = tar(*self.members(split, DISK, DISK[:-1]), ("one", part), ("two", part))
        opening = survey([stored(tmp_path, "a.ova", data)], work=tmp_path)
        found = [error.code for error in opening.faults.errors]
        assert found == ["ova-split-vmdk", "truncated"]
        assert [place is not None for place in opening.places] == [False, True, False]
