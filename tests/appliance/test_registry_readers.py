"""Hives that our code edited, read by others that share no code with it: dissect, hivex, reged.

hivex also writes the hives that some of the edits begin with.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import hivex
import pytest
from dissect.regf import RegistryHive

from converter import process
from converter.formats import registry_new
from converter.formats.reg_file import reg_lines
from converter.formats.registry import (
    Hive,
    Value,
    ValueType,
    binary,
    dword,
    expand_sz,
    multi_sz,
    qword,
    sz,
)

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

pytestmark = pytest.mark.appliance

Content = dict[str, dict[str, tuple[int, bytes]]]

SERVICES = "ControlSet001\\Services"
NVME = f"{SERVICES}\\AWSNVMe"
DEVICES = "DriverDatabase\\DeviceIds\\PCI"


def join(path: str, name: str) -> str:
    return f"{path}\\{name}" if path else name


def by_us(hive: Hive, path: str = "") -> Content:
    values = hive.values(path).items()
    found: Content = {path: {name: (int(value.type), value.data) for name, value in values}}
    for name in hive.subkeys(path):
        found |= by_us(hive, join(path, name))
    return found


def by_dissect(data: bytes) -> Content:
    def walk(key: Any, path: str) -> Content:
        found: Content = {path: {}}
        for value in key.values():
            name = "" if value.name == "(Default)" else value.name
            found[path][name] = (value.type, value.data)
        for below in key.subkeys():
            found |= walk(below, join(path, below.name))
        return found

    return walk(RegistryHive(io.BytesIO(data)).root(), "")


def by_hivex(data: bytes, directory: Path) -> Content:
    place = directory / "hive"
    place.write_bytes(data)
    hive = hivex.Hivex(str(place))

    def walk(node: int, path: str) -> Content:
        found: Content = {path: {}}
        for value in hive.node_values(node):
            found[path][hive.value_key(value)] = hive.value_value(value)
        for below in hive.node_children(node):
            found |= walk(below, join(path, hive.node_name(below)))
        return found

    return walk(hive.root(), "")


def check_with_all(hive: Hive, directory: Path) -> Content:
    """Read the hive with every reader; all must see the same."""
    hive.check()
    data = hive.tobytes()
    content = by_us(Hive(data))
    assert by_dissect(data) == content
    assert by_hivex(data, directory) == content
    return content


def fill(hive: Hive) -> None:
    """What a conversion sets, and values of every type and of awkward sizes."""
    for name, value in {
        "Type": dword(1),
        "Start": dword(0),
        "Group": sz("SCSI miniport"),
        "ImagePath": expand_sz("System32\\drivers\\AWSNVMe.sys"),
        "Owners": multi_sz("oem1.inf", "oem2.inf"),
        "Large": qword(1 << 40),
        "": sz("default"),
        "Größe": binary(b"\1\2\3"),
        "Размер": Value(ValueType.NONE, b""),
    }.items():
        hive.set_value(NVME, name, value)
    for size in (0, 1, 4, 5, 8, 4000, 16343, 16344):
        hive.set_value("Sizes", f"of {size}", binary((bytes(range(251)) * 66)[:size]))
    hive.create_key("Ключ\\Schlüssel\\鍵")


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_all_readers_see_the_same(minor: int, tmp_path: Path) -> None:
    hive = Hive(registry_new.empty(minor=minor))
    fill(hive)
    before = check_with_all(hive, tmp_path)
    assert before[NVME]["Start"] == (4, bytes(4))
    hive.set_value(NVME, "Start", dword(3))
    hive.set_value(NVME, "ImagePath", expand_sz("x" * 2000))
    hive.delete_value(NVME, "")
    hive.delete_key("Ключ")
    after = check_with_all(hive, tmp_path)
    expected = {
        path: dict(values) for path, values in before.items() if not path.startswith("Ключ")
    }
    expected[NVME] |= {
        "Start": (4, b"\3\0\0\0"),
        "ImagePath": (2, ("x" * 2000 + "\0").encode("utf-16-le")),
    }
    del expected[NVME][""]
    assert after == expected


def test_many_keys(tmp_path: Path) -> None:
    """More than one list of subkeys holds, and most of them gone again."""
    hive = Hive(registry_new.empty())
    names = [f"VEN_{number * 7919 % 601:04X}&DEV_0001" for number in range(601)]
    for name in names:
        hive.create_key(f"{DEVICES}\\{name}")
    assert len(check_with_all(hive, tmp_path)) == len(names) + 4
    for name in names[::3] + names[1::3]:
        hive.delete_key(f"{DEVICES}\\{name}")
    assert set(hive.subkeys(DEVICES)) == set(names[2::3])
    check_with_all(hive, tmp_path)


def test_a_hive_that_hivex_wrote(tmp_path: Path) -> None:
    place = tmp_path / "other"
    place.write_bytes(registry_new.empty())
    other = hivex.Hivex(str(place), write=True)
    services = other.node_add_child(other.node_add_child(other.root(), "ControlSet001"), "Services")
    for name in ("stornvme", "_under", "Zeta", "alpha"):
        node = other.node_add_child(services, name)
        other.node_set_value(node, {"key": "Start", "t": 4, "value": b"\3\0\0\0"})
        other.node_set_value(node, {"key": "Text", "t": 1, "value": b"a\0b\0\0\0"})
        other.node_add_child(node, "StartOverride")
    other.commit(None)
    hive = Hive(place.read_bytes())
    before = check_with_all(hive, tmp_path)
    assert before[f"{SERVICES}\\stornvme"] == {
        "Start": (4, b"\3\0\0\0"),
        "Text": (1, b"a\0b\0\0\0"),
    }
    hive.delete_key(f"{SERVICES}\\stornvme\\StartOverride")
    hive.set_value(f"{SERVICES}\\STORNVME", "start", dword(0))
    fill(hive)
    after = check_with_all(hive, tmp_path)
    assert after[f"{SERVICES}\\stornvme"]["Start"] == (4, bytes(4))
    assert f"{SERVICES}\\stornvme\\StartOverride" not in after
    for path in (f"{SERVICES}\\_under", f"{SERVICES}\\Zeta", f"{SERVICES}\\alpha\\StartOverride"):
        assert after[path] == before[path]


def test_reged_exports_what_we_show(tmp_path: Path) -> None:
    hive = Hive(registry_new.empty())
    shown = {"Start": dword(4), "Path": sz('C:\\Program "Files"'), "Data": binary(b"\1\xfe")}
    for name, value in shown.items():
        hive.set_value("Services\\x", name, value)
    place, exported = tmp_path / "hive", tmp_path / "out.reg"
    place.write_bytes(hive.tobytes())
    process.run(["reged", "-x", str(place), "HKEY_LOCAL_MACHINE", "\\", str(exported)])
    lines = {line.strip() for line in exported.read_text(encoding="latin-1").splitlines()}
    for name, value in shown.items():
        assert set(reg_lines("HKEY_LOCAL_MACHINE\\Services\\x", name, value)) <= lines
