from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from converter import containers, process
from converter.containers import Cabinet, Files, Installer, open_container, walk
from converter.data import load
from converter.errors import ConversionError
from converter.formats import FormatError, installer
from converter.process import Completed
from tests.unit.formats.test_cabinet import made as cabinet
from tests.unit.formats.test_installer import COMPONENT, DIRECTORY, FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CABINET = cabinet([(b"f1", 0x20, 3), (b"unknown", 0x20, 2), (b"f2", 0x20, 4)])
CONTENT = b"oneXXfour"
MEDIA = b"DiskId\tCabinet\r\ni2\tS255\r\nMedia\tDiskId\r\n1\t#drv.cab\r\n2\tother.cab\r\n"
TABLES = {"File": FILE, "Component": COMPONENT, "Directory": DIRECTORY, "Media": MEDIA}


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have tools that say what is given: cabextract, and msiinfo for tables and streams."""

    def have(
        content: bytes = CONTENT,
        tables: Mapping[str, bytes] = TABLES,
        *,
        status: int = 0,
        error: ConversionError | None = None,
    ) -> None:
        def pour(
            argv: list[str], target: IO[bytes], *, read: list[Path], limit: int, timeout: float
        ) -> Completed:
            if error is not None:
                raise error
            assert [str(path) for path in read] == [item for item in argv if Path(item).is_file()]
            tool, *arguments = argv
            said = content if tool == "cabextract" else tables.get(arguments[-1], CABINET)
            target.write(said[:limit])
            return Completed(status, b"", b"it is\n damaged")

        monkeypatch.setattr(process, "pour", pour)
        monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")

    return have


def given(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "given"
    path.write_bytes(data)
    return path


def test_files_are_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_bytes(b"12")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("a")
    found = Files(tmp_path, walk(tmp_path))
    assert [(member.name, member.size) for member in found.members] == [("a", 1), ("b/x", 2)]
    assert [found.unpack(member) for member in found.members] == [
        tmp_path / "a",
        tmp_path / "b" / "x",
    ]


def test_a_cabinet_is_taken_apart_by_its_directory(
    tools: Callable[..., None], tmp_path: Path
) -> None:
    tools()
    opened = open_container(given(tmp_path, CABINET), "vendor.cab", tmp_path)
    assert isinstance(opened, Cabinet)
    assert [member.origin for member in opened.members] == [
        "vendor.cab!f1", "vendor.cab!unknown", "vendor.cab!f2",
    ]  # fmt: skip
    contents = [opened.unpack(member).read_bytes() for member in reversed(opened.members)]
    assert contents == [b"four", b"XX", b"one"]
    opened.close()


@pytest.mark.parametrize("content", [CONTENT[:-1], b""])
def test_a_cabinet_that_holds_less_than_it_says(
    tools: Callable[..., None], tmp_path: Path, content: bytes
) -> None:
    tools(content)
    with pytest.raises(FormatError, match="bytes of 9 come out"):
        open_container(given(tmp_path, CABINET), "vendor.cab", tmp_path)


@pytest.mark.parametrize("data", [CABINET, installer.MAGIC])
def test_what_a_tool_refuses(tools: Callable[..., None], tmp_path: Path, data: bytes) -> None:
    tools(status=1)
    with pytest.raises(FormatError, match=r"cannot be read.*: it is damaged$"):
        open_container(given(tmp_path, data), "x", tmp_path)


def test_what_takes_a_tool_too_long(tools: Callable[..., None], tmp_path: Path) -> None:
    tools(error=ConversionError("tool-timeout", "cabextract did not finish within 120 s"))
    with pytest.raises(FormatError, match="takes longer"):
        open_container(given(tmp_path, CABINET), "x", tmp_path)


def test_an_installer_has_the_names_of_its_tables(
    tools: Callable[..., None], tmp_path: Path
) -> None:
    tools()
    opened = open_container(given(tmp_path, installer.MAGIC), "vendor.msi", tmp_path)
    assert isinstance(opened, Installer)
    names = ["Amazon Drivers/AWSNVMe.inf", "Amazon Drivers/amd64/a.sys"]
    assert [member.name for member in opened.members] == names
    assert [opened.unpack(m).read_bytes() for m in opened.members] == [b"one", b"four"]
    opened.close()


@pytest.mark.parametrize(
    ("table", "old", "new", "match"),
    [
        ("File", b"|AWSNVMe.inf", b"|..\\..\\x.inf", "leads out"),
        ("File", b"|AWSNVMe.inf", b"|con.inf", "no name of a file"),
        ("Directory", b"|Amazon Drivers", b"|..", "leads out"),
        ("Media", b"#drv.cab", b"#--help", "a cabinet has the name"),
        (
            "Media",
            b"1\t#drv.cab\r\n",
            b"".join(b"1\t#c%d\r\n" % n for n in range(33)),
            "33 cabinets",
        ),
    ],
)
def test_an_installer_with_names_that_lead_elsewhere(  # noqa: PLR0917
    tools: Callable[..., None], tmp_path: Path, table: str, old: bytes, new: bytes, match: str
) -> None:
    tools(tables={**TABLES, table: TABLES[table].replace(old, new)})
    with pytest.raises(FormatError, match=match):
        open_container(given(tmp_path, installer.MAGIC), "vendor.msi", tmp_path)


def test_every_tool_is_told_of_by_doctor() -> None:
    tools = {row["name"]: row["debian"] for row in load("host")["tools"]}
    assert {name: package for name, (package, _) in containers._TOOLS.items()} == {
        name: tools[name] for name in containers._TOOLS
    }
