"""The shared types; read this first.

Everything that crosses from one part of the converter to another is one of these frozen records:
`Request` (what is wanted) → `Source` (what was given) → `Facts` (what is in it) → `Finding`s and
`Plan` (what is wrong, what will change) → `Report` (what became of it).

Sizes and offsets are in bytes. Guest paths are absolute, `/`-separated strings. Digests are
lower-case hexadecimal SHA-256.
"""

from __future__ import annotations

from converter.model.changes import (
    AppendFile,
    Change,
    ConvertTable,
    CopyFile,
    CopyIn,
    DeleteKey,
    DeleteValue,
    FileChange,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    Plan,
    RegistryChange,
    RemoveFile,
    SetValue,
    WriteFile,
)
from converter.model.facts import Facts
from converter.model.files import FileKind, Stat
from converter.model.finding import Finding, Severity
from converter.model.linux import (
    BootEntry,
    Bootloader,
    Initramfs,
    Kernel,
    LinkKind,
    LinuxFacts,
    NetworkLink,
    NetworkStack,
)
from converter.model.report import Capabilities, Checksum, OutputDisk, Report
from converter.model.source import (
    URLS,
    ByteRange,
    ContainerFormat,
    DiskFormat,
    Extent,
    ListedFile,
    Source,
    SourceDisk,
    joined,
)
from converter.model.storage import (
    Array,
    Disk,
    Filesystem,
    Mount,
    Partition,
    Space,
    Subvolume,
    TableType,
    Volume,
    VolumeGroup,
)
from converter.model.wanted import BootMode, Licence, Policy, Request, Wanted
from converter.model.windows import (
    GENERALIZED,
    NetworkAdapter,
    ProductType,
    ServiceStart,
    WindowsFacts,
)

__all__ = [
    "GENERALIZED",
    "URLS",
    "AppendFile",
    "Array",
    "BootEntry",
    "BootMode",
    "Bootloader",
    "ByteRange",
    "Capabilities",
    "Change",
    "Checksum",
    "ContainerFormat",
    "ConvertTable",
    "CopyFile",
    "CopyIn",
    "DeleteKey",
    "DeleteValue",
    "Disk",
    "DiskFormat",
    "Extent",
    "Facts",
    "FileChange",
    "FileKind",
    "Filesystem",
    "Finding",
    "Initramfs",
    "InstallPackage",
    "Kernel",
    "Licence",
    "LinkKind",
    "LinuxFacts",
    "ListedFile",
    "MakeDirectory",
    "MakeLink",
    "Mount",
    "NetworkAdapter",
    "NetworkLink",
    "NetworkStack",
    "OutputDisk",
    "Partition",
    "Plan",
    "Policy",
    "ProductType",
    "RegistryChange",
    "RemoveFile",
    "Report",
    "Request",
    "ServiceStart",
    "SetValue",
    "Severity",
    "Source",
    "SourceDisk",
    "Space",
    "Stat",
    "Subvolume",
    "TableType",
    "Volume",
    "VolumeGroup",
    "Wanted",
    "WindowsFacts",
    "WriteFile",
    "joined",
]
