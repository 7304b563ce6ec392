"""Configuration files as the manual pages of the programs have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.data import load
from converter.formats.initramfs_config import EDITS, with_modules

NAMES = ("nvme", "xen-blkfront")
ADAPTERS = """\
alias eth0 e1000
alias scsi_hostadapter mptbase
alias scsi_hostadapter1 mptspi
"""


@pytest.mark.parametrize(
    ("edit", "old", "new"),
    [
        ("module-lines", "", "nvme\nxen_blkfront\n"),
        ("module-lines", "# raid1\next4 a=1", "# raid1\next4 a=1\nnvme\nxen_blkfront\n"),
        ("module-lines", "xen-blkfront\n", "xen-blkfront\nnvme\n"),
        ("mkinitcpio", "MODULES=()\n", "MODULES=(nvme xen_blkfront)\n"),
        ("mkinitcpio", "# MODULES=(a)\nMODULES=(b c)\nHOOKS=(base)\n",
         "# MODULES=(a)\nMODULES=(nvme xen_blkfront b c)\nHOOKS=(base)\n"),
        ("mkinitcpio", 'MODULES=(\n  "xen_blkfront" # Xen)\n)\n',
         'MODULES=(nvme\n  "xen_blkfront" # Xen)\n)\n'),
        ("mkinitcpio", "MODULES=(# none\n)\n", "MODULES=(nvme xen_blkfront # none\n)\n"),
        ("mkinitcpio", "MODULES=(a)\nMODULES+=(b)\n",
         "MODULES=(a)\nMODULES+=(nvme xen_blkfront b)\n"),
        ("mkinitcpio", 'MODULES="ext4"\n', 'MODULES="ext4 nvme xen_blkfront"\n'),
        ("mkinitcpio", "HOOKS=(base)", "HOOKS=(base)\nMODULES=(nvme xen_blkfront)\n"),
        ("mkinitcpio", "MODULES=(never closed", "MODULES=(never closed"),
        ("initrd-modules", 'A=1\nINITRD_MODULES="piix nvme"\n',
         'A=1\nINITRD_MODULES="piix nvme xen_blkfront"\n'),
        ("initrd-modules", "", 'INITRD_MODULES="nvme xen_blkfront"\n'),
        ("host-adapters", ADAPTERS,
         f"{ADAPTERS}alias scsi_hostadapter2 nvme\nalias scsi_hostadapter3 xen_blkfront\n"),
        ("host-adapters", "",
         "alias scsi_hostadapter nvme\nalias scsi_hostadapter1 xen_blkfront\n"),
        ("host-adapters", "alias scsi_hostadapter7 xen-blkfront",
         "alias scsi_hostadapter7 xen-blkfront\nalias scsi_hostadapter8 nvme\n"),
    ],
)  # fmt: skip
def test_modules_are_added(edit: str, old: str, new: str) -> None:
    assert with_modules(old, NAMES, edit=edit) == new
    assert with_modules(new, NAMES, edit=edit) == new


def test_dracuts_file_is_written_whole() -> None:
    """dracut.conf(5): add_drivers+=" <kernel modules> ", with the blanks inside."""
    text = with_modules("", NAMES, edit="dracut")
    comment, line = text.splitlines()
    assert comment.startswith("#")
    assert line == 'add_drivers+=" nvme xen_blkfront "'
    assert with_modules(text, NAMES, edit="dracut") == text


@pytest.mark.parametrize("edit", EDITS)
def test_nothing_to_add_changes_nothing(edit: str) -> None:
    assert with_modules("anything\n", (), edit=edit) == "anything\n"


def test_every_row_of_the_table_names_an_edit() -> None:
    rows = load("linux")["initramfs"].values()
    assert {row["edit"] for row in rows} == set(EDITS)
    assert all(row["file"].startswith("/etc/") and row["installed"] for row in rows)


@given(st.sampled_from(sorted(EDITS)), st.text(st.sampled_from("MODULES=()\n #\"'a+ \\")))
def test_any_text_is_taken_and_once_is_enough(edit: str, text: str) -> None:
    once = with_modules(text, NAMES, edit=edit)
    assert with_modules(once, NAMES, edit=edit) == once
