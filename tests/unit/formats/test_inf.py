from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, inf
from converter.formats.inf import Service, TargetOS

# Shaped like a vendor's for a storage controller, with every turn of the syntax.
TEXT = """\
; A driver of a test; with a comment
[Version]
Signature   = "$WINDOWS NT$"
Class       = SCSIAdapter
ClassGuid   = {4D36E97B-E325-11CE-BFC1-08002BE10318}
Provider    = %Vendor%
CatalogFile = awsnvme.cat
DriverVer   = 06/21/2023,1.5.1.6

[SourceDisksNames]
1 = %Disk%,,,

[SourceDisksFiles]
AWSNVMe.sys = 1

[Manufacturer]
%Vendor% = Models, NTamd64.6.1, NTamd64.6.3, NTamd64.10.0...14393, \\
           NTarm64.10.0

[Models.NTamd64.6.1]
%Device% = Old_Inst, PCI\\VEN_1D0F&DEV_8061

[MODELS.NTAMD64.6.3]
%Device% = AWSNVMe_Inst, PCI\\VEN_1D0F&DEV_8061, PCI\\CC_010802
"Other; ""device"", too" = AWSNVMe_Inst, pci\\ven_1d0f&dev_cd00 ; and so on

[Models.NTamd64.10.0...14393]
%Device% = AWSNVMe_Inst, PCI\\VEN_1D0F&DEV_8061

[Models.NTarm64.10.0]
%Device% = AWSNVMe_Inst, PCI\\VEN_1D0F&DEV_8061

[AWSNVMe_Inst.NT]
CopyFiles = @AWSNVMe.sys

[AWSNVMe_Inst.NT.Services]
AddService = AWSNVMe, 0x00000002, Service_Inst

[Service_Inst]
ServiceType   = 1 ; SERVICE_KERNEL_DRIVER
StartType     = 0
ErrorControl  = 0x1
ServiceBinary = %12%\\AWSNVMe.sys

[Strings]
Vendor = "Amazon Inc."
Disk   = "A disk"
Device = "AWS NVMe, the controller"

[Strings.0407]
Vendor = "Amazonas"
"""
FOUND = inf.parse(TEXT)
NVME = ("PCI\\VEN_1D0F&DEV_8061",)


def test_what_it_says_of_itself() -> None:
    assert FOUND.version == "1.5.1.6"
    assert FOUND.value("Version", "provider") == "Amazon Inc."
    assert FOUND.value("version", "ClassGuid") == "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
    assert FOUND.files("x86_64") == ("AWSNVMe.sys", "awsnvme.cat")
    keys = [line.key for line in FOUND.lines("Models.NTamd64.6.3")]
    assert keys == ["AWS NVMe, the controller", 'Other; "device", too']


@pytest.mark.parametrize(
    ("version", "target", "ids"),
    [
        ((6, 1, 7601), TargetOS(6, 1, 0, "x86_64"), [NVME]),
        (
            (6, 3, 9600),
            TargetOS(6, 3, 0, "x86_64"),
            [(*NVME, "PCI\\CC_010802"), ("PCI\\VEN_1D0F&DEV_CD00",)],
        ),
        (
            (10, 0, 10240),
            TargetOS(6, 3, 0, "x86_64"),
            [(*NVME, "PCI\\CC_010802"), ("PCI\\VEN_1D0F&DEV_CD00",)],
        ),
        ((10, 0, 17763), TargetOS(10, 0, 14393, "x86_64"), [NVME]),
    ],
)
def test_what_it_drives(
    version: tuple[int, int, int], target: TargetOS, ids: list[tuple[str, ...]]
) -> None:
    found = FOUND.devices("x86_64", version)
    assert {model.target for model in found} == {target}
    assert [model.hardware_ids for model in found] == ids


@pytest.mark.parametrize("said", ["1." + "5" * 5000, "1..2", "new"])
def test_a_version_that_is_none(said: str) -> None:
    assert parsed("", f"Signature=$Windows NT$\nDriverVer=06/21/2023,{said}").version == ""


def test_what_it_does_not_drive() -> None:
    assert FOUND.devices("x86_64", (6, 0, 6002)) == ()
    assert FOUND.devices("i686", (10, 0, 19045)) == ()


def test_by_which_service() -> None:
    model = FOUND.devices("x86_64", (10, 0, 17763))[0]
    assert FOUND.services(model) == (Service("AWSNVMe", "%12%\\AWSNVMe.sys", 0, 1, 1),)


def test_another_architecture() -> None:
    (model,) = FOUND.devices("aarch64", (10, 0, 26100))
    assert model.target == TargetOS(10, 0, 0, "aarch64")
    assert FOUND.devices("aarch64", (6, 3, 9600)) == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str) -> None:
    assert inf.parse(inf.decode(TEXT.encode(encoding))).version == "1.5.1.6"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no section"),
        (b"[Manufacturer]\nx=y\n", "no section"),
        (b"[Version\nx=y\n", "no end"),
        (b"\xff\xfe\x00", "no text"),
        (b"[Version]\n" + b"a=b\n" * 200_000, "lines"),
        (bytes(5 << 20), "more than"),
    ],
)
def test_what_is_none(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        inf.parse(inf.decode(data))


@given(st.text(alphabet='[]=,;"%\\\n NTamd64.x', max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(FormatError):
        found = inf.parse(f"[Version]\n[Manufacturer]\nm=x,NTamd64\n{text}")
        for model in found.devices("x86_64", (10, 0, 1)):
            found.services(model)
        found.files("x86_64")


def parsed(body: str, version: str = "") -> inf.Inf:
    return inf.parse(f"[Version]\n{version}\n{body}")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[SourceDisksNames]\n1=x\n[SourceDisksFiles]\na.sys=1\nb.sys=1,,4096", ["a.sys", "b.sys"]),
        ("[SourceDisksFiles]\na.sys=1,\\amd64\n[SourceDisksNames]\n1=x", ["amd64\\a.sys"]),
        (
            "[SourceDisksNames.amd64]\n1=,,,\\x64\n[SourceDisksNames]\n1=\n[SourceDisksFiles]\na.sys=1,sub",
            ["x64\\sub\\a.sys"],
        ),
        # The processor's own lines go before those for all of them.
        (
            "[SourceDisksFiles.amd64]\na.sys=1,x64\n[SourceDisksFiles.x86]\nc.sys=1\n[SourceDisksFiles]\nA.SYS=1",
            ["x64\\a.sys"],
        ),
        (
            "[i.NTamd64]\nCopyFiles=c,@a.sys\n[c]\nx.sys,y.sys,,2\nz.sys\n[i.NTx86]\nCopyFiles=@b.sys",
            ["y.sys", "z.sys", "a.sys"],
        ),
        ("[i]\nCopyFiles=@A.sys\n[SourceDisksFiles]\na.sys=1", ["a.sys"]),
    ],
)
def test_what_it_is_made_of(body: str, expected: list[str]) -> None:
    assert list(parsed(body).files("x86_64")) == expected


def test_what_windows_has_is_no_part_of_it() -> None:
    body = "[i]\nCopyFiles=@theirs.sys\n[SourceDisksFiles]\nours.sys=1"
    assert parsed(body, "LayoutFile=layout.inf").files("x86_64") == ("ours.sys",)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("CatalogFile=a.cat", ["a.cat"]),
        ("CatalogFile.NTamd64=a.cat\nCatalogFile.NTx86=b.cat", ["a.cat"]),
        ("CatalogFile.nt=a.cat\nCatalogFile=b.cat", ["a.cat", "b.cat"]),
    ],
)
def test_catalogs(keys: str, expected: list[str]) -> None:
    assert list(parsed("", keys).files("x86_64")) == expected


def test_without_a_processor_it_is_for_x86() -> None:
    found = parsed("[Manufacturer]\nm=s,NT.6.1\n[s]\nx=i,PCI\\A\n[s.NT.6.1]\nx=i,PCI\\B")
    assert found.devices("x86_64", (10, 0, 17763)) == ()
    assert [m.hardware_ids for m in found.devices("i686", (10, 0, 17763))] == [("PCI\\B",)]


def test_models_that_many_makers_share_count_once() -> None:
    makers = "".join(f"m{number}=s,NTamd64\n" for number in range(5_000))
    models = "".join(f"d=i,PCI\\{number}\n" for number in range(5_000))
    found = parsed(f"[Manufacturer]\n{makers}[s.NTamd64]\n{models}")
    assert len(found.devices("x86_64", (10, 0, 1))) == 5_000


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[x]\n" + f"{'%a%' * 20_000}\n" * 10 + f"[Strings]\na={'x' * 60_000}", "stand for more"),
        ("[x]\n" + "a" * 70_000, "a line"),
        ("[x]\n" + "aaaaaaaa\\\n" * 9_000, "a line"),
    ],
)
def test_strings_have_bounds(text: str, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        parsed(text)
