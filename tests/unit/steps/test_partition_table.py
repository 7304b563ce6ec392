from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.disk import core_image
from converter.formats import grubenv
from converter.formats.grub_modules import module_name
from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.inspection.storage import Storage
from converter.model import BootMode, ConvertTable, Mount, Plan, TableType
from converter.steps import partition_table
from converter.steps.step import Context, Options
from tests.unit import efi_programs
from tests.unit.disk.core_images import core_image as made_core
from tests.unit.disk.test_conversion import GPT_PARTS, gpt_image, mbr_image, part, primary
from tests.unit.efi_programs import elf_module
from tests.unit.samples import FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.disk.conversion import Conversion

MODULES: dict[str, str | bytes] = {
    "/boot/grub/i386-pc/part_msdos.mod": elf_module("part_msdos", "helper", wide=False),
    "/boot/grub/i386-pc/part_gpt.mod": elf_module("part_gpt", "helper", wide=False),
    "/boot/grub/i386-pc/helper.mod": elf_module("helper", "part_gpt", wide=False),
}
TO_MBR = gpt_image(*GPT_PARTS).prepared(TableType.MBR)
TO_GPT = mbr_image(primary(1, 2048, 4096)).prepared(TableType.GPT)


def plan(
    files: Mapping[str, str | bytes],
    conversion: Conversion | None = TO_MBR,
    *,
    mode: BootMode = BootMode.LEGACY_BIOS,
) -> tuple[Plan, RecordingGuest]:
    recording = RecordingGuest(MemoryGuest({**MODULES, **files}))
    facts = replace(
        FACTS, boot_modes=frozenset({mode}), esps=(Mount("/boot/efi", "/dev/sda2", "vfat"),)
    )
    options = Options(conversion=conversion)
    context = Context(recording, facts, Storage(facts.disks, (), ()), options)
    partition_table.STEP.run(context)
    return recording.plan, recording


def table(planned: Plan) -> ConvertTable:
    (found,) = [change for change in planned.changes if isinstance(change, ConvertTable)]
    return found


def core_of(change: ConvertTable, conversion: Conversion) -> core_image.CoreImage:
    data = bytearray(conversion.size)
    for offset, piece in change.pieces:
        data[offset : offset + len(piece)] = piece
    return core_image.parse(bytes(data[conversion.core_start :][: 64 << 10]))


def test_nothing_is_done_unless_asked_for() -> None:
    planned, _ = plan({}, None)
    assert planned == Plan(())


@pytest.mark.parametrize(
    ("conversion", "prefix"), [(TO_MBR, "(,msdos2)/boot/grub"), (TO_GPT, "(,gpt1)/boot/grub")]
)
def test_grub_reads_the_new_table(conversion: Conversion, prefix: str) -> None:
    old = "(,gpt2)/boot/grub" if conversion is TO_MBR else "(,msdos1)/boot/grub"
    core = made_core("biosdisk", "ext2", prefix=old, config="set root='hd0,gpt3'\n")
    planned, _ = plan({}, replace(conversion, core=core))
    image = core_of(table(planned), conversion)
    wanted = "part_msdos" if conversion is TO_MBR else "part_gpt"
    names = [module_name(item.data) for item in image.modules.objects]
    # What a module needs comes before it.
    assert {"biosdisk", "ext2", wanted, "helper"} <= set(names)
    assert names.index("helper") < names.index(wanted)
    assert image.modules.prefix == prefix
    expected = "hd0,msdos3" if conversion is TO_MBR else "hd0,gpt3"
    assert expected in image.modules.config


@pytest.mark.parametrize("prefix", ["(lvmid/a/b)/grub", "(mduuid/0123)/grub", "(memdisk)/x"])
def test_a_prefix_that_names_no_partition_stays(prefix: str) -> None:
    core = made_core("biosdisk", "part_msdos", prefix=prefix)
    planned, _ = plan({}, replace(TO_MBR, core=core))
    assert core_of(table(planned), TO_MBR).modules.prefix == prefix


def test_a_grub_without_its_modules_is_refused() -> None:
    core = made_core("biosdisk", "part_gpt")
    recording = RecordingGuest(MemoryGuest())
    options = Options(conversion=replace(TO_MBR, core=core))
    partition_table.STEP.run(Context(recording, FACTS, Storage(FACTS.disks, (), ()), options))
    assert recording.plan.changes == ()
    (finding,) = recording.plan.findings
    assert (finding.code, finding.severity) == ("table-bootloader", "error")
    assert "part_msdos" in finding.message


def test_a_grub_that_does_not_fit_is_refused() -> None:
    planned, _ = plan({}, replace(TO_MBR, core_room=1024))
    assert planned.changes == ()
    assert "room" in planned.findings[0].message


OLD = {number: part.uuid for number, part in ((p.number, p) for p in GPT_PARTS)}
NEW = {number: p.uuid for number, p in ((p.number, p) for p in TO_MBR.partitions)}
NAMED = gpt_image(part(1, 34, 2014, GPT_PARTS[0].type), part(2, 2048, 4096, name="root"))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("/etc/fstab", f"PARTUUID={OLD[3]} / ext4\n", f"PARTUUID={NEW[3]} / ext4\n"),
        ("/etc/fstab", f"PARTUUID={OLD[3].upper()} /\n", f"PARTUUID={NEW[3]} /\n"),
        ("/etc/crypttab", f"x /dev/disk/by-partuuid/{OLD[2]} none\n",
         f"x /dev/disk/by-partuuid/{NEW[2]} none\n"),
        ("/etc/default/grub", f'GRUB_CMDLINE_LINUX="root=PARTUUID={OLD[3]} ro"\n',
         f'GRUB_CMDLINE_LINUX="root=PARTUUID={NEW[3]} ro"\n'),
        ("/boot/grub/grub.cfg", "set root='hd0,gpt3'\nsearch --hint=ahci0,gpt3 --hint=hd1,gpt3\n",
         "set root='hd0,msdos3'\nsearch --hint=ahci0,msdos3 --hint=hd1,gpt3\n"),
        ("/boot/loader/entries/a.conf", f"options root=PARTUUID={OLD[3]}\n",
         f"options root=PARTUUID={NEW[3]}\n"),
        ("/etc/systemd/system/data.mount", f"[Mount]\nWhat=/dev/disk/by-partuuid/{OLD[3]}\n",
         f"[Mount]\nWhat=/dev/disk/by-partuuid/{NEW[3]}\n"),
        ("/boot/efi/EFI/debian/grub.cfg", "search.fs_uuid 1 root hd0,gpt3\n",
         "search.fs_uuid 1 root hd0,msdos3\n"),
    ],
)  # fmt: skip
def test_names_follow(path: str, before: str, after: str) -> None:
    planned, recording = plan({path: before})
    assert recording.read(path).decode() == after
    assert [change.code for change in planned.changes] == ["convert-table", "table-reference"]


@pytest.mark.parametrize(
    "text",
    [
        f"UUID={OLD[3]} / ext4\n",
        "PARTUUID=99999999-0000-0000-0000-000000000000 /data ext4\n",
        f"PARTUUID={OLD[3]}0 / ext4\n",
        "/dev/sda3 / ext4\n",
        "PARTLABEL=other /x ext4\n",
    ],
)
def test_other_names_stay(text: str) -> None:
    planned, recording = plan({"/etc/fstab": text})
    assert recording.read("/etc/fstab").decode() == text
    assert len(planned.changes) == 1


def test_labels_of_partitions_become_identifiers() -> None:
    conversion = NAMED.prepared(TableType.MBR)
    text = "PARTLABEL=root / ext4\n/dev/disk/by-partlabel/root /x\n"
    _, recording = plan({"/etc/fstab": text}, conversion)
    new = conversion.partitions[0].uuid
    assert recording.read("/etc/fstab").decode() == (
        f"PARTUUID={new} / ext4\n/dev/disk/by-partuuid/{new} /x\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("PARTLABEL=my\\040data /x", "PARTUUID={} /x"),
        ('PARTLABEL="my data" /x', 'PARTUUID="{}" /x'),
        ("/dev/disk/by-partlabel/my\\x20data /x", "/dev/disk/by-partuuid/{} /x"),
        ('root=PARTLABEL="my other"', 'root=PARTLABEL="my other"'),
        ("PARTLABEL=Données /x", "PARTUUID={} /x"),
        ("PARTLABEL=Donn\\303\\251es /x", "PARTUUID={} /x"),
        ("/dev/disk/by-partlabel/Donn\\xc3\\xa9es /x", "/dev/disk/by-partuuid/{} /x"),
    ],
)
def test_labels_of_any_letters(before: str, after: str) -> None:
    name = "Données" if "Donn" in before else "my data"
    named = gpt_image(part(1, 34, 2014, GPT_PARTS[0].type), part(2, 2048, 4096, name=name))
    conversion = named.prepared(TableType.MBR)
    _, recording = plan({"/etc/fstab": f"{before}\n"}, conversion)
    new = conversion.partitions[0].uuid
    assert recording.read("/etc/fstab").decode() == f"{after.format(new)}\n"


def test_a_swap_unit_is_told() -> None:
    path = f"/etc/systemd/system/dev-disk-by\\x2dpartuuid-{OLD[3]}.swap"
    planned, _ = plan({path: f"[Swap]\nWhat=/dev/disk/by-partuuid/{OLD[3]}\n"})
    assert [finding.code for finding in planned.findings] == ["unit-device-missing"]
    assert len(planned.changes) == 1


def test_systemd_boot_needs_a_gpt_for_its_entries() -> None:
    xbootldr = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
    image = gpt_image(part(1, 34, 2014, GPT_PARTS[0].type), part(2, 2048, 4096, xbootldr))
    files = {"/boot/efi/EFI/BOOT/BOOTX64.EFI": efi_programs.systemd_boot()}
    conversion = replace(image.prepared(TableType.MBR), core=b"")
    planned, _ = plan(files, conversion, mode=BootMode.UEFI)
    assert [finding.code for finding in planned.findings] == ["table-bootloader"]
    assert planned.changes == ()


def test_the_environment_block_keeps_its_size() -> None:
    text = f"# GRUB Environment Block\nkernelopts=root=PARTUUID={OLD[3]} ro\n"
    block = text.encode().ljust(1024, b"#")
    _, recording = plan({"/boot/grub/grubenv": block})
    found = recording.read("/boot/grub/grubenv")
    assert len(found) == 1024
    assert grubenv.parse(found)["kernelopts"] == f"root=PARTUUID={NEW[3]} ro"


@pytest.mark.parametrize(
    ("program", "refused"),
    [
        (efi_programs.grub("/EFI/debian", modules=("part_gpt", "part_msdos")), False),
        (efi_programs.grub("/EFI/debian", modules=("part_gpt",)), True),
        (efi_programs.grub("(,gpt3)/boot/grub", modules=("part_gpt", "part_msdos")), True),
        (efi_programs.systemd_boot(), False),
    ],
)
def test_an_efi_grub_must_read_the_new_table(program: bytes, *, refused: bool) -> None:
    files = {"/boot/efi/EFI/BOOT/BOOTX64.EFI": program}
    planned, _ = plan(files, replace(TO_MBR, core=b""), mode=BootMode.UEFI)
    assert bool(planned.findings) is refused
    assert bool(planned.changes) is not refused


def test_a_disk_that_grows_is_told() -> None:
    conversion = mbr_image(primary(1, 2048, 30720)).prepared(TableType.GPT)
    planned, _ = plan({}, replace(conversion, core=made_core("part_gpt")))
    assert [finding.code for finding in planned.findings] == ["table-disk-grown"]
    assert planned.diffs[0].startswith("-mbr, ")
    assert "+gpt, " in planned.diffs[0]
