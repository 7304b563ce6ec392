from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, installer

# As msiinfo writes them.
FILE = (
    b"File\tComponent_\tFileName\tFileSize\r\ns72\ts72\tl255\ti4\r\nFile\tFile\r\n"
    b"f1\tC1\tAWSNVM~1.INF|AWSNVMe.inf\t10\r\nf2\tC2\ta.sys\t4\r\nf3\tC9\tlost.txt\t0\r\n"
)
COMPONENT = b"Component\tDirectory_\r\ns72\ts72\r\nComponent\tComponent\r\nC1\tD1\r\nC2\tD2\r\n"
DIRECTORY = (
    b"Directory\tDirectory_Parent\tDefaultDir\r\ns72\tS72\tl255\r\nDirectory\tDirectory\r\n"
    b"D2\tD1\tAMD64|amd64:source\r\nD1\tProgramFiles\tAMAZON~1|Amazon Drivers\r\n"
    b"ProgramFiles\tTARGETDIR\t.\r\nTARGETDIR\t\tSourceDir\r\n"
)


def media(*cabinets: str) -> list[dict[str, str]]:
    return [{"DiskId": "1", "Cabinet": name} for name in cabinets]


def test_names_of_files() -> None:
    files, components, directories = map(installer.read_table, (FILE, COMPONENT, DIRECTORY))
    assert installer.names(files, components, directories) == {
        "f1": "Amazon Drivers/AWSNVMe.inf",
        "f2": "Amazon Drivers/amd64/a.sys",
        "f3": "lost.txt",
    }


def test_folders_that_never_end() -> None:
    around = [
        {"Directory": "a", "Directory_Parent": "b", "DefaultDir": "x"},
        {"Directory": "b", "Directory_Parent": "a", "DefaultDir": "y"},
    ]
    components = [{"Component": "C1", "Directory_": "a"}]
    with pytest.raises(FormatError, match="deep"):
        installer.names(installer.read_table(FILE), components, around)


def test_cabinets_are_those_within() -> None:
    assert installer.cabinets(media("#drv.cab", "outside.cab", "", "#_E1")) == ("drv.cab", "_E1")


@pytest.mark.parametrize("name", ["#-x", "#", "#a b", "#../x", "#" + "x" * 70, "#a\n"])
def test_a_cabinet_by_a_name_that_is_none(name: str) -> None:
    with pytest.raises(FormatError, match="name"):
        installer.cabinets(media(name))


def test_the_version_of_the_product() -> None:
    rows = [{"Property": "ProductName", "Value": "x"}, {"Property": "ProductVersion", "Value": "8"}]
    assert installer.product_version(rows) == "8"
    assert installer.product_version([]) == ""


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "damaged"),
        (b"a\tb\r\nc", "damaged"),
        (FILE[:-10], "a row"),
        (FILE + b"f1\tx\tx\tx\tx\r\n", "a row"),
        (FILE + b"a\tb\tc\td\r\n" * 100_000, "rows"),
    ],
)
def test_a_table_that_is_damaged(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        installer.read_table(data)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef"), max_size=6))
def test_any_tree_of_folders_has_an_end(parents: dict[str, str]) -> None:
    rows = [
        {"Directory": key, "Directory_Parent": parent, "DefaultDir": key}
        for key, parent in parents.items()
    ]
    components = [{"Component": "C1", "Directory_": "a"}]
    try:
        found = installer.names(installer.read_table(FILE), components, rows)
    except FormatError:
        return
    assert len(found["f1"].split("/")) <= 7
