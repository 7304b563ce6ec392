from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import ConversionError, DamagedInputError, Faults, GuestRefusedError
from converter.model import Severity
from converter.source.ovf import Machine, parse
from tests.unit.source.build import GRAIN, drive, ovf, pattern, stored, stream_vmdk, system, tar
from tests.unit.source.opening import open_at

if TYPE_CHECKING:
    from pathlib import Path

FILES = [f'<File ovf:href="{name}.vmdk" ovf:id="f-{name}"/>' for name in "abc"]
DISKS = [f'<Disk ovf:diskId="{name}" ovf:fileRef="f-{name}"/>' for name in "abc"]


def read(text: str | bytes) -> Machine:
    faults = Faults()
    machine = parse("vm.ovf", text.encode() if isinstance(text, str) else text, faults)
    faults.raise_all()
    return machine


def order(items: str, disks: list[str] | None = None) -> str:
    machine = read(ovf(FILES, DISKS if disks is None else disks, items))
    return "".join(item.href[:1] or "-" for item in machine.disks if item is not None)


class TestOrder:
    @pytest.mark.parametrize("form", ["ovf:/disk/{}", "/disk/{}", "disk/{}", "{}", "ovf://disk/{}"])
    def test_is_that_of_the_places_on_the_controller(self, form: str) -> None:
        places = {"b": "0", "c": "1", "a": "10"}
        items = [drive(form.format(disk), place=place) for disk, place in places.items()]
        assert order("".join(items)) == order("".join(items[::-1])) == "bca"

    def test_the_first_controller_comes_first(self) -> None:
        items = drive("ovf:/disk/a", parent="10") + drive("ovf:/disk/b", parent="9")
        assert order(items) == "ba"

    def test_without_places_it_is_as_written(self) -> None:
        items = "".join(drive(f"ovf:/disk/{name}", parent="x", place="²") for name in "cab")
        assert order(items) == "cab"

    def test_drives_of_ovf_2(self) -> None:
        items = drive("ovf:/disk/b", kind="31").replace("Item>", "StorageItem>")
        assert order(items) == "b"

    def test_a_drive_may_hold_a_file(self) -> None:
        assert order(drive("ovf:/file/f-c", place="1") + drive("ovf:/disk/a")) == "ac"

    def test_no_drive_is_told_of(self) -> None:
        assert order("") == "abc"

    def test_other_drives_do_not_matter(self) -> None:
        items = drive("ovf:/file/cd", kind="15") + drive("", place="1") + drive("ovf:/disk/a")
        assert order(items) == "a"

    def test_a_disk_in_two_configurations_is_one(self) -> None:
        assert order(drive("ovf:/disk/a") + drive("ovf:/disk/a", parent="4")) == "a"

    def test_a_disk_that_no_drive_holds(self) -> None:
        items = drive("ovf:/disk/a") + drive("ovf:/file/f-c", place="1")
        assert read(ovf(FILES, DISKS, items)).unattached == ("b",)
        assert read(ovf(FILES, DISKS, "")).unattached == ()

    def test_xencenter_calls_them_storage_extents(self) -> None:
        items = drive("ovf:/disk/b", parent="", place="1", kind="19")
        assert order(items + drive("ovf:/disk/a", parent="", place="0", kind="19")) == "ab"

    @pytest.mark.parametrize("kind", ["14", "15", "16"])
    @pytest.mark.parametrize("resource", ["ovf:/disk/b", "ovf:/file/f-b"])
    def test_what_a_cd_drive_holds_is_no_disk(self, kind: str, resource: str) -> None:
        for others in ("", drive("ovf:/disk/c") + drive("ovf:/disk/a", place="1")):
            machine = read(ovf(FILES, DISKS, drive(resource, kind=kind) + others))
            held = [item.href[:1] for item in machine.disks if item is not None]
            assert sorted(held) == (["a", "c"] if others or "disk" in resource else [*"abc"])
            assert machine.unattached == ()

    def test_a_blank_disk(self) -> None:
        blank = ['<Disk ovf:capacity="10" ovf:diskId="x"/>', *DISKS]
        assert order(drive("ovf:/disk/x") + drive("ovf:/disk/a", place="1"), blank) == "-a"


class TestText:
    @pytest.mark.parametrize(
        ("encoding", "mark"),
        [("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff")],
    )
    def test_encodings(self, tmp_path: Path, encoding: str, mark: str) -> None:
        said = encoding.removesuffix("-le").removesuffix("-be")
        text = mark + ovf().replace('"1.0"?', f'"1.0" encoding="{said}"?', 1)
        stored(tmp_path, "a.vmdk", stream_vmdk({0: pattern(GRAIN)}, 128))
        assert len(open_at(stored(tmp_path, "vm.ovf", text.encode(encoding))).disks) == 1

    def test_prefixed_elements_and_a_long_comment(self, tmp_path: Path) -> None:
        text = '<?xml version="1.0"?><!--' + "licence " * 2000 + "-->" + (
            '<o:Envelope xmlns:o="http://schemas.dmtf.org/ovf/envelope/2">'
            '<o:References><o:File o:href="a.vmdk" o:id="1"/></o:References>'
            '<o:DiskSection><o:Disk o:diskId="d" o:fileRef="1"/></o:DiskSection></o:Envelope>'
        )  # fmt: skip
        stored(tmp_path, "a.vmdk", stream_vmdk({}, 128))
        assert len(open_at(stored(tmp_path, "vm.ovf", text.encode())).disks) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "<Envelope>",
            "<html/>",
            '<!DOCTYPE x [<!ENTITY a "b">]><Envelope>&a;</Envelope>',
            '<!DOCTYPE x SYSTEM "http://localhost/x.dtd"><Envelope/>',
            "<Envelope>&undefined;</Envelope>",
            '<?xml version="1.0" encoding="none-such"?><Envelope/>',
            '<?xml version="1.0" encoding="shift_jis"?><Envelope/>',
            "<Envelope>" + "<a>" * 1_000_000,
        ],
    )
    def test_damage(self, text: str) -> None:
        with pytest.raises(DamagedInputError, match=r"^vm\.ovf: ") as caught:
            read(text)
        assert caught.value.code == "ovf-invalid"

    @given(st.data())
    def test_any_change_is_read_or_an_error_of_ours(self, data: st.DataObject) -> None:
        text = bytearray(ovf(FILES, DISKS, drive("ovf:/disk/a")).encode())
        for _ in range(3):
            at = data.draw(st.integers(0, len(text) - 1))
            text[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=5))
        try:
            read(bytes(text))
        except ConversionError as error:
            assert error.hint  # noqa: PT017 - either is right


class TestNames:
    """Which elements and attributes count, and that identifiers tell one thing from another."""

    def test_extensions_of_vendors_do_not(self) -> None:
        more = (
            '<v:Section xmlns:v="urn:v"><v:VirtualSystem/><v:Disk v:diskId="q"/>'
            '<v:File v:id="f-a" v:href="other"/></v:Section></Envelope>'
        )
        files = [
            f'<File xmlns:x="urn:x" x:href="x" x:id="x" ovf:href="{name}" ovf:id="f-{name}"/>'
            for name in "abc"
        ]
        machine = read(ovf(files, DISKS).replace("</Envelope>", more))
        assert [disk and disk.href for disk in machine.disks] == [*"abc"]

    @pytest.mark.parametrize(
        "namespace", ["http://schemas.dmtf.org/ovf/envelope/1/", "urn:next", ""]
    )
    def test_of_any_namespace(self, namespace: str) -> None:
        """As oVirt writes it: the root in one of its own, and what is in it in none."""
        text = (
            f'<o:Envelope xmlns:o="{namespace}"><References><File o:href="a" o:id="i"/>'
            '</References><Section><Disk o:diskId="i" o:fileRef="group/i"/></Section>'
            "</o:Envelope>"
        )
        if not namespace:
            text = text.replace(' xmlns:o=""', "").replace("o:", "")
        machine = read(text)
        assert [disk and disk.href for disk in machine.disks] == ["a"]

    def test_shared_disks_are_disks(self) -> None:
        shared = ['<SharedDisk ovf:diskId="s" ovf:fileRef="f-b"/>', *DISKS[:1]]
        items = drive("ovf:/disk/s") + drive("ovf:/disk/a", place="1")
        assert order(items, shared) == "ba"

    @pytest.mark.parametrize(
        ("files", "disks"), [([*FILES, FILES[0]], DISKS), (FILES, [*DISKS, DISKS[0]])]
    )
    def test_no_identifier_comes_twice(self, files: list[str], disks: list[str]) -> None:
        with pytest.raises(DamagedInputError, match="two elements") as caught:
            read(ovf(files, disks))
        assert caught.value.code == "ovf-invalid"

    def test_a_drive_of_nothing_hides_no_other(self) -> None:
        faults = Faults()
        items = "".join(
            drive(f"ovf:/disk/{name}", place=str(place)) for place, name in enumerate("xayb")
        )
        machine = parse("vm.ovf", ovf(FILES, DISKS, items).encode(), faults)
        assert [disk and disk.identifier for disk in machine.disks] == [None, "a", None, "b"]
        assert [error.code for error in faults.errors] == ["ovf-invalid"] * 2


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            (ovf(systems=system("one") + system("two")), "ovf-several-machines"),
            (
                ovf(
                    systems="<VirtualSystemCollection>"
                    f"{system('one')}{system('two')}</VirtualSystemCollection>"
                ),
                "ovf-several-machines",
            ),
            (ovf(['<File ovf:href="a" ovf:id="f0" ovf:compression="lz"/>']), "ovf-compression"),
            (
                ovf(disks=['<Disk ovf:diskId="d" ovf:fileRef="f0" ovf:parentRef="b"/>']),
                "ovf-delta-disk",
            ),
            (
                ovf(disks=[f'<Disk ovf:diskId="{n}" ovf:fileRef="f0"/>' for n in range(300)]),
                "too-many-disks",
            ),
        ],
    )
    def test_by_name(self, text: str, code: str) -> None:
        with pytest.raises(GuestRefusedError, match=r"^vm\.ovf: ") as caught:
            read(text)
        assert caught.value.code == code
        assert caught.value.hint

    def test_all_at_once(self) -> None:
        files = [
            '<File ovf:href="a" ovf:id="f-a" ovf:compression="lz"/>',
            '<File ovf:href="b" ovf:id="f-b" ovf:compression="bzip2"/>',
            '<File ovf:href="d" ovf:id="f-d"/>',
        ]
        disks = [*DISKS, '<Disk ovf:diskId="d" ovf:fileRef="f-d"/>']
        faults = Faults()
        machine = parse("vm.ovf", ovf(files, disks).encode(), faults)
        assert [disk and disk.href for disk in machine.disks] == [None, None, None, "d"]
        assert [error.code for error in faults.errors] == [
            "ovf-compression", "ovf-compression", "ovf-invalid"
        ]  # fmt: skip

    def test_a_collection_of_one_is_one(self) -> None:
        systems = f"<VirtualSystemCollection>{system('one')}</VirtualSystemCollection>"
        assert len(read(ovf(systems=systems)).disks) == 1

    @pytest.mark.parametrize(
        "text",
        [
            ovf(items=drive("ovf:/disk/none")),
            ovf(items=drive("ovf:/file/none")),
            ovf(disks=['<Disk ovf:diskId="d" ovf:fileRef="none"/>']),
            ovf(files=['<File ovf:id="f0"/>']),
        ],
    )
    def test_a_disk_that_is_not_described_is_damage(self, text: str) -> None:
        with pytest.raises(DamagedInputError) as caught:
            read(text)
        assert caught.value.code == "ovf-invalid"


def test_no_disk_at_all(tmp_path: Path) -> None:
    for disks in ([], ['<Disk ovf:diskId="d"/>']):
        path = stored(tmp_path, "a.ova", tar(("vm.ovf", ovf([], disks).encode())))
        with pytest.raises(GuestRefusedError) as caught:
            open_at(path)
        assert caught.value.code == "ovf-no-disk"


def test_a_blank_disk_is_reported(tmp_path: Path) -> None:
    text = ovf(disks=['<Disk ovf:diskId="d" ovf:fileRef="f0"/>', '<Disk ovf:diskId="swap"/>'])
    data = tar(("vm.ovf", text.encode()), ("a.vmdk", stream_vmdk({}, 128)))
    source = open_at(stored(tmp_path, "a.ova", data))
    [finding] = source.findings
    assert len(source.disks) == 1
    assert (finding.code, finding.severity) == ("ovf-blank-disk", Severity.WARNING)
    assert "swap" in finding.message


@pytest.mark.parametrize("href", ["a.vmdk", "a.vmdk.gz"])
def test_a_disk_compressed_by_ovftool(tmp_path: Path, href: str) -> None:
    text = ovf([f'<File ovf:href="{href}" ovf:id="f0" ovf:compression="gzip"/>'])
    disk = gzip.compress(stream_vmdk({0: pattern(GRAIN)}, 128))
    path = stored(tmp_path, "a.ova", tar(("vm.ovf", text.encode()), (href, disk)))
    [found] = open_at(path).disks
    assert (found.subformat, found.virtual_size) == ("streamOptimized", 65536)
    assert found.label == f"a.ova: {href}"
