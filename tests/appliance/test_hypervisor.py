"""libguestfs stays in its own memory, however long the path of the QEMU is that it is given."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import guestfs
import pytest

from converter.guest import fixed_appliance, hypervisor

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.appliance

# Between the blocks of memory glibc's allocator looks for what was written over an end (mallopt(3),
# M_CHECK_ACTION), and ends the process.
_DEBUG = "libc_malloc_debug.so.0"
_CHECKED = {"LD_PRELOAD": _DEBUG, "MALLOC_CHECK_": "3", "PYTHONMALLOC": "malloc"}
# Of the directory. With a name of 81 to 97, 107 to 136, 337 to 353 or 363 to 392 bytes, what is
# asked is longer than its buffer.
_LENGTHS = (60, 76, 79, 82, 86, 90, 102, 106, 110, 114, 118, 122, 126, 130, 240, 340, 375, 600)


def test_it_asks_qemu_under_a_name_of_any_length() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:  # pytest's are too long
        subprocess.run(
            [sys.executable, "-m", __spec__.name, base],
            env={**os.environ, **_CHECKED},
            check=True,
        )


def ask(base: Path, lengths: Iterable[int]) -> None:
    """Have libguestfs start a QEMU with an option that there is not, from directories in `base`."""
    assert _DEBUG.encode() in Path("/proc/self/maps").read_bytes()
    for name in _CHECKED:  # it is not for what is started
        del os.environ[name]
    fixed = fixed_appliance.prepare(guestfs.GuestFS().get_path(), work=base)
    assert fixed
    for length in lengths:
        directory = _directory(base, length)
        handle = guestfs.GuestFS(python_return_dict=True)
        handle.set_backend("direct")
        handle.set_cachedir(str(directory))  # where nothing is known of QEMU yet
        handle.set_path(str(fixed))
        handle.add_drive_scratch(1 << 20)
        assert hypervisor.confine(handle, [], directory=directory, fixed=fixed)
        handle.config("-no-such-option", None)
        with pytest.raises(RuntimeError, match="guestfs_launch failed"):
            handle.launch()
        handle.close()
        [known] = directory.glob(".guestfs-*")
        assert {path.suffix for path in known.iterdir()} >= {".qmp-schema", ".query-kvm"}


def _directory(base: Path, length: int) -> Path:
    path = str(base)
    while len(path) < length - 1:
        path += "/" + "d" * min(length - len(path) - 1, 200)
    Path(path).mkdir(parents=True)
    return Path(path)


if __name__ == "__main__":
    ask(Path(sys.argv[1]), _LENGTHS)
