from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import DamagedInputError
from converter.source import vmdk_descriptor
from tests.unit.source.build import (
    GRAIN,
    descriptor,
    pattern,
    sparse_vmdk,
    stored,
    stream_vmdk,
)
from tests.unit.source.opening import codes, damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path

DATA = pattern(GRAIN)
PARENT = 'parentFileNameHint="base.vmdk"'


KEYS = 'encryptionKeys="vmware:key/list/(pair/(fqid/<VMWARE-NULL>/k,AES-256,data))"'
FILTER = 'ddb.iofilters = "vmwarevmcrypt"'


class TestStreamOptimized:
    def test_opens(self, tmp_path: Path) -> None:
        disk = open_one(stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA, 700: DATA}, 128 * 1000)))
        assert (disk.subformat, disk.virtual_size) == ("streamOptimized", 64000 * 1024)

    def test_a_size_that_is_no_whole_number_of_grains(self, tmp_path: Path) -> None:
        disk = open_one(stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA}, 129)))
        assert disk.virtual_size == 129 * 512

    def test_the_size_is_the_descriptors_when_the_header_rounds_it(self, tmp_path: Path) -> None:
        text = descriptor(['RW 129 SPARSE "a.vmdk"'], kind="streamOptimized")
        disk = open_one(stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA}, 256, text=text)))
        assert disk.virtual_size == 129 * 512

    @pytest.mark.parametrize("sectors", [128, 257, 10**12])
    def test_but_not_when_they_contradict_each_other(self, tmp_path: Path, sectors: int) -> None:
        text = descriptor([f'RW {sectors} SPARSE "a.vmdk"'], kind="streamOptimized")
        path = stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA}, 256, text=text))
        assert damage(path).code == "vmdk-extent"

    def test_is_told_by_the_header_not_by_the_descriptor(self, tmp_path: Path) -> None:
        text = descriptor(['RW 128 SPARSE "a.vmdk"'], kind="streamOptimized")
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128, text=text))
        assert open_one(path).subformat == "monolithicSparse"

    def test_the_algorithm_is_named(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA}, 128, compression=0))
        error = damage(path)
        assert error.code == "vmdk-compression"
        [finding] = error.findings
        assert finding.service_message == "File uses unsupported compression algorithm 0"

    @pytest.mark.parametrize("cut", [1, 512, 1024, 1536, 4000])
    def test_cut_off_before_its_footer(self, tmp_path: Path, cut: int) -> None:
        data = stream_vmdk({0: DATA, 1: DATA}, 256)
        assert damage(stored(tmp_path, "a.vmdk", data[:-cut])).code == "truncated"

    @pytest.mark.parametrize(
        "footer",
        [{"capacity": 512}, {"flags": 0x30000}, {"grain": 64}, {"directory": (1 << 64) - 1}],
    )
    def test_header_and_footer_contradict_each_other(
        self, tmp_path: Path, footer: dict[str, int]
    ) -> None:
        path = stored(tmp_path, "a.vmdk", stream_vmdk({0: DATA}, 128, footer=footer))
        assert damage(path).code == "vmdk-footer"

    def test_what_ends_it_is_all_there(self, tmp_path: Path) -> None:
        """QEMU looks for the footer elsewhere in a file that ends within a sector."""
        data = stream_vmdk({0: DATA}, 128)
        assert damage(stored(tmp_path, "a.vmdk", data[:-512] + b"x" * 512)).code == "truncated"
        for more in (1, 100, 511):
            assert damage(stored(tmp_path, "a.vmdk", data + bytes(more))).code == "truncated"


class TestSparse:
    def test_an_algorithm_without_the_flag(self, tmp_path: Path) -> None:
        """QEMU would inflate what others take as it is."""
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128, compression=1))
        assert damage(path).code == "vmdk-compression"

    def test_opens(self, tmp_path: Path) -> None:
        disk = open_one(stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA, 3: DATA}, 513)))
        assert (disk.subformat, disk.virtual_size) == ("monolithicSparse", 513 * 512)

    def test_the_last_grain_may_be_as_short_as_the_disk(self, tmp_path: Path) -> None:
        data = sparse_vmdk({0: DATA, 4: DATA}, 513)
        open_one(stored(tmp_path, "a.vmdk", data[: -GRAIN + 512]))
        assert damage(stored(tmp_path, "a.vmdk", data[: -GRAIN + 511])).code == "truncated"

    @pytest.mark.parametrize("place", [1, 5, 20])
    def test_a_grain_in_the_header(self, tmp_path: Path, place: int) -> None:
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 256, places={1: place}))
        assert damage(path).code == "vmdk-table"

    def test_no_grain_is_there_over_and_over(self, tmp_path: Path) -> None:
        """A small file would be a disk of terabytes that are not zero."""
        whole = sparse_vmdk({0: DATA}, 256)
        places = dict.fromkeys(range(1, 20), len(whole) // 512 - 128)
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128 * 20, places=places))
        assert damage(path).code == "blocks-overlap"

    def test_a_parent_behind_what_the_header_takes_for_the_descriptor(self, tmp_path: Path) -> None:
        """QEMU looks there."""
        text = descriptor(['RW 128 SPARSE "a.vmdk"']).ljust(512, "#") + PARENT
        path = stored(
            tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128, text=text, descriptor_sectors=1)
        )
        assert refusal(path).code == "vmdk-child"

    def test_a_grain_marked_as_zeros(self, tmp_path: Path) -> None:
        open_one(stored(tmp_path, "a.vmdk", sparse_vmdk({}, 256, places={1: 1}, flags=7)))

    def test_a_grain_beyond_the_end(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 256, places={1: 0xFFFFFFFF}))
        assert damage(path).code == "truncated"

    def test_what_a_table_says_beyond_the_disks_end_means_nothing(self, tmp_path: Path) -> None:
        open_one(stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128, places={1: 0xFFFFFFFF})))

    @pytest.mark.parametrize(
        "fields",
        [
            {"version": 4},
            {"grain": 0},
            {"grain": 3},
            {"grain": 1 << 20},
            {"entries": 0},
            {"entries": 513},
            {"line_ends": b"\n \n\0"},
            {"flags": 1 << 16, "compression": 1},
            {"descriptor_offset": 2},
            {"descriptor_sectors": 1 << 40},
        ],
    )
    def test_headers_that_are_none(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA}, 128, **fields))
        assert damage(path).code == "vmdk-header"

    def test_a_transfer_as_text_is_named(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vmdk", sparse_vmdk({}, 128, line_ends=b"\n \n\0"))  # type: ignore[arg-type]
        assert "transfer as text" in damage(path).message

    def test_no_size(self, tmp_path: Path) -> None:
        text = descriptor(['RW 0 SPARSE "a.vmdk"'])
        error = damage(stored(tmp_path, "a.vmdk", sparse_vmdk({}, 0, text=text)))
        assert error.code == "disk-size-zero"

    def test_a_size_for_which_there_is_no_table(self, tmp_path: Path) -> None:
        text = descriptor([f'RW {1 << 49} SPARSE "a.vmdk"'])
        path = tmp_path / "a.vmdk"
        path.write_bytes(sparse_vmdk({}, 128, text=text).replace(b"\x80", b"\x80", 1))
        header = bytearray(path.read_bytes())
        header[12:20] = (1 << 49).to_bytes(8, "little")
        path.write_bytes(header)
        os.truncate(path, 1 << 40)
        assert damage(path).code == "vmdk-header"

    def test_two_tables_in_one_place(self, tmp_path: Path) -> None:
        data = bytearray(sparse_vmdk({0: DATA}, 128 * 1024))
        data[21 * 512 + 4 : 21 * 512 + 8] = data[21 * 512 : 21 * 512 + 4]
        assert damage(stored(tmp_path, "a.vmdk", bytes(data))).code == "vmdk-table"

    @pytest.mark.parametrize("fields", [{"descriptor_sectors": 0}, {"text": "\0"}])
    def test_an_extent_of_several_is_no_disk(self, tmp_path: Path, fields: Any) -> None:
        error = damage(stored(tmp_path, "a-s001.vmdk", sparse_vmdk({}, 128, **fields)))
        assert error.code == "vmdk-extent"
        assert "descriptor" in error.message


@pytest.mark.parametrize("build", [sparse_vmdk, stream_vmdk])
class TestChildren:
    @pytest.mark.parametrize(
        "text",
        [
            descriptor(['RW 128 SPARSE "a.vmdk"'], parent="87654321"),
            descriptor(['RW 128 SPARSE "a.vmdk"'], extra=PARENT),
            # What QEMU would take for a setting, though it is none for us.
            descriptor(['RW 128 SPARSE "a.vmdk"'], extra=f"# {PARENT}"),
            descriptor(['RW 128 SPARSE "a.vmdk"'], extra=f"x {PARENT}"),
            descriptor(['RW 128 SPARSE "a.vmdk"']) + f"\0{PARENT}",
        ],
    )
    def test_are_refused(self, tmp_path: Path, build: Any, text: str) -> None:
        path = stored(tmp_path, "a.vmdk", build({0: DATA}, 128, text=text))
        assert refusal(path).code == "vmdk-child"


class TestDescriptor:
    def flat(self, directory: Path, name: str = "a-flat.vmdk", size: int = 65536) -> Path:
        return stored(directory, name, pattern(size))

    def written(self, directory: Path, *extents: str, **options: Any) -> Path:
        text = descriptor(extents, **{"kind": "monolithicFlat", **options})
        return stored(directory, "a.vmdk", text.encode())

    def test_flat(self, tmp_path: Path) -> None:
        flat = self.flat(tmp_path)
        disk = open_one(self.written(tmp_path, 'RW 128 FLAT "a-flat.vmdk" 0'))
        [extent] = disk.extents
        assert extent.file is not None
        assert (extent.file.path, disk.virtual_size) == (flat, 65536)
        assert disk.subformat == "monolithicFlat"

    @pytest.mark.parametrize(
        "line",
        [
            'RW 128 FLAT "a-flat.vmdk" 0',
            'RW 128 VMFS "a-flat.vmdk"',
            'rw\t128   flat  "a-flat.vmdk"  0  ',
            'RDONLY 128 FLAT "a-flat.vmdk" 0',
            'RW 128 FLAT "a-flat.vmdk" 0 partitionUUID x',
        ],
    )
    def test_spellings(self, tmp_path: Path, line: str) -> None:
        self.flat(tmp_path)
        assert open_one(self.written(tmp_path, line)).virtual_size == 65536

    @pytest.mark.parametrize("said", ["streamOptimized", "STREAMOPTIMIZED", ""])
    def test_is_no_stream_whatever_it_says(self, tmp_path: Path, said: str) -> None:
        self.flat(tmp_path)
        disk = open_one(self.written(tmp_path, 'RW 128 FLAT "a-flat.vmdk" 0', kind=said))
        assert disk.subformat == "custom"

    def test_line_ends_of_dos_and_a_mark_at_the_start(self, tmp_path: Path) -> None:
        self.flat(tmp_path)
        text = descriptor(['RW 128 FLAT "a-flat.vmdk" 0'], kind="monolithicFlat")
        data = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
        assert open_one(stored(tmp_path, "a.vmdk", data)).virtual_size == 65536

    @pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "shift_jis"])
    def test_names_in_the_descriptors_encoding(self, tmp_path: Path, encoding: str) -> None:
        name = "ディスク-flat.vmdk" if encoding == "shift_jis" else "Dänk-flat.vmdk"
        self.flat(tmp_path, name)
        text = descriptor([f'RW 128 FLAT "{name}" 0'], extra=f'encoding="{encoding}"')
        assert open_one(stored(tmp_path, "a.vmdk", text.encode(encoding))).virtual_size == 65536

    def test_names_that_are_no_text_at_all(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"\xff\xfe-flat.vmdk")
        self.flat(tmp_path, name)
        text = os.fsencode(descriptor([f'RW 128 FLAT "{name}" 0'], extra='encoding="none-such"'))
        assert open_one(stored(tmp_path, "a.vmdk", text)).virtual_size == 65536

    def test_every_reason_is_told(self, tmp_path: Path) -> None:
        path = self.written(
            tmp_path, 'RW 128 VMFSRDM "a"', kind="seSparse", parent="1234abcd", extra=KEYS
        )
        assert codes(path) == ["vmdk-rdm", "vmdk-sesparse", "encrypted-disk", "vmdk-child"]

    def test_one_file_is_one_extent(self, tmp_path: Path) -> None:
        stored(tmp_path, "one", sparse_vmdk({0: DATA}, 128, descriptor_sectors=0, text=""))
        path = self.written(tmp_path, *['RW 128 SPARSE "one"'] * 3, kind="custom")
        error = damage(path)
        assert (error.code, "'one' more than once" in error.message) == ("vmdk-extent", True)

    @pytest.mark.parametrize("names", [("one", "one"), ("one", "./one")])
    def test_no_part_of_a_file_is_in_two_extents(
        self, tmp_path: Path, names: tuple[str, str]
    ) -> None:
        self.flat(tmp_path, "one")
        lines = (f'RW 64 FLAT "{names[0]}" 0', f'RW 64 FLAT "{names[1]}" 63')
        error = damage(self.written(tmp_path, *lines, kind="custom"))
        assert (error.code, "more than once" in error.message) == ("vmdk-extent", True)

    def test_several_extents_in_order(self, tmp_path: Path) -> None:
        self.flat(tmp_path, "one")
        self.flat(tmp_path, "two")
        stored(tmp_path, "three", sparse_vmdk({0: DATA}, 128, descriptor_sectors=0, text=""))
        disk = open_one(
            self.written(
                tmp_path,
                'RW 128 FLAT "one" 0',
                "RW 63 ZERO",
                'RW 64 FLAT "two" 64',
                'RW 128 SPARSE "three"',
                kind="custom",
            )
        )
        assert [(item.kind, item.sectors, item.file_offset) for item in disk.extents] == [
            ("FLAT", 128, 0),
            ("ZERO", 63, 0),
            ("FLAT", 64, 32768),
            ("SPARSE", 128, 0),
        ]
        assert disk.virtual_size == (128 + 63 + 64 + 128) * 512

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ('RW 129 FLAT "a-flat.vmdk" 0', "truncated"),
            ('RW 128 FLAT "a-flat.vmdk" 1', "truncated"),
            ('RW 128 FLAT "absent" 0', "member-missing"),
            (f'RW 128 FLAT "{"x" * 300}" 0', "member-missing"),
            ('RW 128 FLAT "dangling" 0', "member-missing"),
            ('RW 128 FLAT "loop" 0', "member-missing"),
            ('RW 128 ODD "a-flat.vmdk" 0', "vmdk-extent"),
            ('NOACCESS 128 FLAT "a-flat.vmdk" 0', "vmdk-extent"),
            ('RW 128 SPARSE "sparse"', "vmdk-extent"),
            ('RW 128 SPARSE "a-flat.vmdk"', "vmdk-header"),
            ("RW 128 FLAT a-flat.vmdk 0", "vmdk-descriptor"),
            ('RW 128 FLAT "a-flat.vm', "vmdk-descriptor"),
            ("RW 128", "vmdk-descriptor"),
            ("RW", "vmdk-descriptor"),
            (f'RW {"9" * 5000} FLAT "a-flat.vmdk" 0', "vmdk-descriptor"),
            ("RW 0 ZERO", "disk-size-zero"),
            ("", "vmdk-descriptor"),
        ],
    )
    def test_damage(self, tmp_path: Path, line: str, code: str) -> None:
        self.flat(tmp_path)
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        (tmp_path / "loop").symlink_to("loop")
        stored(tmp_path, "sparse", sparse_vmdk({}, 256))
        assert damage(self.written(tmp_path, line)).code == code

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "/etc/passwd", "../a", "sub/a", "..\\a", "link", "pipe", "sub", "linked"],
    )
    def test_leading_away(self, tmp_path: Path, name: str) -> None:
        home = tmp_path / "home"
        home.mkdir()
        stored(tmp_path, "secret", pattern(65536))
        (home / "sub").mkdir()
        self.flat(home / "sub", "a")
        (home / "link").symlink_to("../secret")
        (home / "linked").symlink_to("sub/a")
        os.mkfifo(home / "pipe")
        error = refusal(self.written(home, f'RW 128 FLAT "{name}" 0'))
        assert error.code == "foreign-file"
        assert "a.vmdk" in error.message

    def test_a_link_that_stays_is_followed(self, tmp_path: Path) -> None:
        self.flat(tmp_path, "real")
        (tmp_path / "link").symlink_to("real")
        assert open_one(self.written(tmp_path, 'RW 128 FLAT "link" 0')).virtual_size == 65536

    def test_reached_by_a_link_its_extents_are_beside_the_link(self, tmp_path: Path) -> None:
        self.flat(tmp_path)
        path = self.written(tmp_path, 'RW 128 FLAT "a-flat.vmdk" 0')
        (tmp_path / "other").symlink_to(tmp_path)
        assert open_one(tmp_path / "other" / path.name).virtual_size == 65536

    @pytest.mark.parametrize(
        ("options", "extent", "code"),
        [
            ({"kind": "vmfsRawDeviceMap"}, 'RW 128 VMFSRDM "a-flat.vmdk"', "vmdk-rdm"),
            ({"kind": "vmfsPassthroughRawDeviceMap"}, 'RW 1 VMFSRDMP "a"', "vmdk-rdm"),
            ({"kind": "vmfsRaw"}, 'RW 128 VMFSRAW "vml.0200"', "vmdk-rdm"),
            ({"kind": "fullDevice"}, 'RW 128 FLAT "/dev/sda" 0', "vmdk-rdm"),
            ({"kind": "seSparse"}, 'RW 128 SESPARSE "a-sesparse.vmdk"', "vmdk-sesparse"),
            ({"kind": "vmfsSparse"}, 'RW 128 VMFSSPARSE "a-delta.vmdk"', "vmdk-child"),
            ({"parent": "1234abcd"}, 'RW 128 FLAT "a-flat.vmdk" 0', "vmdk-child"),
            ({"extra": PARENT}, 'RW 128 FLAT "a-flat.vmdk" 0', "vmdk-child"),
            ({"kind": "vmfs", "extra": KEYS}, 'RW 128 VMFS "a-flat.vmdk"', "encrypted-disk"),
            ({"kind": "vmfs", "extra": FILTER}, 'RW 128 VMFS "a-flat.vmdk"', "encrypted-disk"),
        ],
    )
    def test_refused_by_name(
        self, tmp_path: Path, options: dict[str, Any], extent: str, code: str
    ) -> None:
        self.flat(tmp_path)
        assert refusal(self.written(tmp_path, extent, **options)).code == code

    def test_every_extent_that_is_missing_is_named(self, tmp_path: Path) -> None:
        self.flat(tmp_path, "f002")
        lines = [f'RW 128 FLAT "f00{number}" 0' for number in (1, 2, 3)]
        error = damage(self.written(tmp_path, *lines, kind="custom"))
        assert [finding.code for finding in error.findings] == ["member-missing"] * 2
        assert "f001" in error.message
        assert "f003" in error.message

    def test_split_and_cut_off_between_two_lines(self, tmp_path: Path) -> None:
        self.flat(tmp_path, "f001")
        path = self.written(tmp_path, 'RW 128 FLAT "f001" 0', kind="twoGbMaxExtentFlat", ddb=False)
        assert damage(path).code == "vmdk-descriptor"

    def test_an_extent_larger_by_its_header_would_move_the_others(self, tmp_path: Path) -> None:
        stored(tmp_path, "one", sparse_vmdk({0: DATA}, 128, descriptor_sectors=0, text=""))
        lines = ['RW 100 SPARSE "one"', "RW 28 ZERO"]
        assert damage(self.written(tmp_path, *lines, kind="custom")).code == "vmdk-extent"
        # As the last it does no harm: VirtualBox rounds up.
        assert open_one(self.written(tmp_path, lines[1], lines[0])).virtual_size == 128 * 512

    def test_an_extent_that_ends_within_a_grain(self, tmp_path: Path) -> None:
        """QEMU reads on in the grain, where the next extent begins."""
        stored(tmp_path, "one", sparse_vmdk({0: DATA}, 100, text=""))
        lines = ['RW 100 SPARSE "one"', "RW 28 ZERO"]
        assert damage(self.written(tmp_path, *lines, kind="custom")).code == "vmdk-extent"
        assert open_one(self.written(tmp_path, *lines[::-1])).virtual_size == 128 * 512

    def test_an_extent_that_is_a_stream(self, tmp_path: Path) -> None:
        """QEMU takes the place of its footer from the descriptor's size."""
        stored(tmp_path, "one", stream_vmdk({0: DATA}, 128))
        path = self.written(tmp_path, 'RW 128 SPARSE "one"', kind="custom")
        assert damage(path).code == "vmdk-extent"

    def test_beside_its_data_the_data_alone_is_explained(self, tmp_path: Path) -> None:
        error = damage(self.flat(tmp_path))
        assert error.code == "format-mismatch"
        assert "descriptor" in error.hint


@pytest.mark.parametrize(
    ("magic", "code"), [(b"COWD", "vmdk-child"), (b"\xbe\xba\xfe\xca\0\0\0\0", "vmdk-sesparse")]
)
def test_snapshots_of_esx_are_refused(tmp_path: Path, magic: bytes, code: str) -> None:
    assert refusal(stored(tmp_path, "a.vmdk", magic.ljust(4096, b"\0"))).code == code


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_text_is_a_descriptor_or_damaged(data: bytes) -> None:
    with contextlib.suppress(DamagedInputError):
        vmdk_descriptor.parse("a.vmdk", b"# Disk DescriptorFile\n" + data)


@pytest.mark.parametrize("line", ["a=" + " " * 500_000 + '"x', "RW 1 FLAT" + " " * 500_000 + "x"])
def test_no_line_takes_long(line: str) -> None:
    with contextlib.suppress(DamagedInputError):
        vmdk_descriptor.parse("a.vmdk", line.encode())
