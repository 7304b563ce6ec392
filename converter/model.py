"""The shared types; read this first.

Everything that crosses from one part of the converter to another is one of these frozen records:
`Request` (what is wanted) → `Source` (what was given) → `Facts` (what is in it) → `Finding`s and
`Plan` (what is wrong, what will change) → `Report` (what became of it).

Sizes and offsets are in bytes. Guest paths are absolute, `/`-separated strings. Digests are
lower-case hexadecimal SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from converter.formats.registry import Value


class Severity(StrEnum):
    """How much a finding matters: an error refuses the guest."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Policy(StrEnum):
    """What is refused: what cannot be converted (`open`), or what the service refuses (`aws`)."""

    OPEN = "open"
    AWS = "aws"


class BootMode(StrEnum):
    """RegisterImage's BootMode values that an image can be made for."""

    LEGACY_BIOS = "legacy-bios"
    UEFI = "uefi"


class Licence(StrEnum):
    """Who provides the licence of the operating system (ImportImage's LicenseType)."""

    AWS = "AWS"
    BYOL = "BYOL"


class ContainerFormat(StrEnum):
    """What the given file is, by its own bytes."""

    OVA = "ova"
    OVF = "ovf"
    RAW = "raw"
    COMPRESSED_RAW = "compressed-raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"
    VDI = "vdi"


class DiskFormat(StrEnum):
    """The format of one disk; the values are the names users know, not qemu's."""

    RAW = "raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"
    VDI = "vdi"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth saying about a guest.

    `service_message` is the text VM Import/Export gives for the same fault, where it has one.
    """

    severity: Severity
    code: str
    message: str
    hint: str = ""
    service_message: str = ""


# --- what is wanted and what was given ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a guest, whatever it is read from and whether it is written or not.

    `as_is`: it is read and handed off, and nothing in it is changed (OUT-4). `agent`: it gets the
    Systems Manager agent. `drivers` is the driver store, None for the user's own. `licence` is None
    for what the guest's kind gets by default, `unattend` the answer file of a Windows that sysprep
    prepared, None for one made for it.
    """

    policy: Policy = Policy.OPEN
    boot_mode: BootMode | None = None
    table: TableType | None = None
    generalize: bool = False
    as_is: bool = False
    agent: bool = True
    drivers: Path | None = None
    licence: Licence | None = None
    unattend: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Validated intent of one conversion."""

    sources: tuple[Path, ...]
    output: Path
    name: str
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A stretch of a host file: a whole file, or a member of an OVA where it lies."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Extent:
    """One piece of a disk that is stored in several files (VMDK); sizes in 512-byte sectors.

    `kind` is the VMDK extent type: FLAT, VMFS, SPARSE or ZERO (no file).
    """

    kind: str
    sectors: int
    file: ByteRange | None = None
    file_offset: int = 0


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """One disk of the source, its headers read and found sound.

    `subformat` is the format's own word (streamOptimized, fixed, dynamic, …), "" if it has none.
    `extents` is empty unless the disk's data is in other files than `file`.
    """

    label: str
    format: DiskFormat
    subformat: str
    virtual_size: int
    file: ByteRange
    extents: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The virtual machine as it was given: its container and its disks, boot disk first."""

    paths: tuple[Path, ...]
    format: ContainerFormat
    disks: tuple[SourceDisk, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def virtual_size(self) -> int:
        """The sum of the disks' sizes as the guest sees them."""
        return sum(disk.virtual_size for disk in self.disks)


# --- what is in it --------------------------------------------------------------------------------


class TableType(StrEnum):
    """The partition table of a disk."""

    MBR = "mbr"
    GPT = "gpt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Partition:
    """An entry of a partition table. `type` is an MBR type byte ("83") or a GPT type GUID."""

    number: int
    start: int
    size: int
    type: str
    name: str = ""
    uuid: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the guest sees it. `device` is the appliance's name for it.

    `boot_code` tells whether a BIOS that starts the first sector comes to a boot loader; `loader`
    is whose code is there (`disk.boot_code`).
    """

    device: str
    size: int
    table: TableType
    identifier: str
    boot_code: bool
    partitions: tuple[Partition, ...]
    loader: str = ""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A filesystem, swap area or other signature on a device (partition, volume or whole disk).

    `type` is blkid(8)'s word, "" where nothing is known to be there. `is_dirty`: what was written
    last is in its journal only; `has_errors`: it is marked as damaged. `last_mounted` is where it
    was mounted last, if it says so. `member` tells the devices of one filesystem apart that is on
    several (UUID_SUB).
    """

    device: str
    type: str
    uuid: str = ""
    label: str = ""
    member: str = ""
    is_dirty: bool = False
    has_errors: bool = False
    last_mounted: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """An LVM logical volume; its `device` is there only while it is active."""

    device: str
    group: str
    name: str
    size: int
    is_active: bool = True
    is_snapshot: bool = False

    @property
    def mapped(self) -> str:
        """Its name below /dev/mapper, where a dash in a name is written twice (lvm(8))."""
        return "-".join(part.replace("-", "--") for part in (self.group, self.name))


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """An LVM volume group: its physical volumes (devices), and whether all of them are there."""

    name: str
    uuid: str
    is_complete: bool = True
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Array:
    """A software RAID array (md(4)) of `size` members, of which `present` are there.

    `device` is the appliance's name for it; `name` is the one in its metadata, as `host:0`.
    """

    device: str
    level: str
    uuid: str
    name: str
    size: int
    present: int
    members: tuple[str, ...] = ()

    @property
    def is_degraded(self) -> bool:
        """Whether members are missing."""
        return self.present < self.size


@dataclass(frozen=True, slots=True)
class Subvolume:
    """A Btrfs subvolume by its path from the top level, which has the number 5 and the path ""."""

    number: int
    path: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """What is free in a filesystem; `inodes` is None where files need none of a fixed number."""

    size: int
    free: int
    inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """A filesystem where the guest mounts it, as its fstab says and the appliance found it.

    `path` is without symlinks. `subvolume` is that of a Btrfs filesystem, from its top level.
    """

    path: str
    device: str
    type: str
    uuid: str = ""
    subvolume: str = ""
    space: Space | None = None


@dataclass(frozen=True, slots=True)
class Initramfs:
    """What the default kernel's initramfs was found to be.

    `modules` are normalised names (`-` written `_`), without those built into the kernel.
    """

    path: str
    compression: tuple[str, ...]
    segments: int
    generator: str
    modules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kernel:
    """An installed kernel: its release, image, and the modules it can load or has built in.

    `modules` and `builtin` hold normalised names (`-` written `_`).
    """

    release: str
    image: str
    modules: frozenset[str] = frozenset()
    builtin: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A bootloader's menu entry: ids as the bootloader has them; paths are the guest's own.

    `source` is the file that the entry stands in alone (Boot Loader Specification), else "".
    """

    title: str
    identifier: str
    kernel: str
    initramfs: str
    arguments: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Bootloader:
    """The bootloader that was found and what it starts by default.

    `kind` is "grub2", "grub-legacy", "systemd-boot", or the name of one that cannot be converted;
    `config` the file that says what the default is. `scripts` are all files that make the menu, in
    the bootloader's own language; `environments` those with the variables it keeps (GRUB 2).
    """

    kind: str
    config: str
    firmware: frozenset[BootMode]
    default: BootEntry | None
    entries: tuple[BootEntry, ...] = ()
    scripts: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()


class LinkKind(StrEnum):
    """What a network link is, as far as it matters whether it needs a card of the source.

    A TUNNEL ends at an address of the source's network; OTHER links (VPNs, containers' and dummy
    ones) need no card.
    """

    ETHERNET = "ethernet"
    BOND = "bond"
    BRIDGE = "bridge"
    VLAN = "vlan"
    WIRELESS = "wireless"
    TUNNEL = "tunnel"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """A network link as one stack configures it: a card, or something made of others (`lower`).

    `name` is what the configuration calls it, which may be a pattern. `addresses` are the fixed
    ones, as they are written. `gateway`: the default route is set here by hand. `automatic`: it is
    brought up at boot.
    """

    name: str
    kind: LinkKind = LinkKind.ETHERNET
    addresses: tuple[str, ...] = ()
    dhcp: bool = False
    mac: str = ""
    lower: tuple[str, ...] = ()
    gateway: bool = False
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class NetworkStack:
    """A network configuration mechanism in use: `name` (ifupdown, networkd, …), its files.

    `interfaces` and `static` sum `links` up: their names, and whether any has a fixed address.
    `managed` tells that it configures cards which no file names (NetworkManager's default).
    """

    name: str
    files: tuple[str, ...]
    interfaces: tuple[str, ...]
    static: bool
    links: tuple[NetworkLink, ...] = ()
    managed: bool = False


@dataclass(frozen=True, slots=True)
class LinuxFacts:
    """What a Linux guest was found to be.

    `distribution` and `version` are those of os-release(5). `point_release` is the exact version
    where the distribution counts it as the same version with its updates in (Debian 12.7 is 12).
    """

    distribution: str
    version: str
    pretty_name: str
    hostname: str
    architecture: str
    package_manager: str
    init_system: str
    selinux: str
    kernels: tuple[Kernel, ...]
    default_kernel: Kernel | None
    initramfs: Initramfs | None
    bootloader: Bootloader | None
    networks: tuple[NetworkStack, ...]
    agents: tuple[str, ...]
    guest_tools: tuple[str, ...]
    point_release: str = ""


@dataclass(frozen=True, slots=True)
class NetworkAdapter:
    """A network interface that a Windows keeps settings for, by the GUID of its key.

    `addresses` are the fixed ones, `servers` the name servers that were set by hand.
    """

    identifier: str
    dhcp: bool
    addresses: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


class ProductType(StrEnum):
    r"""What a Windows is for, as `Control\ProductOptions` has it."""

    WORKSTATION = "WinNT"
    SERVER = "ServerNT"
    DOMAIN_CONTROLLER = "LanmanNT"


class ServiceStart(IntEnum):
    """When Windows starts a service, as its value `Start` has it (those that matter here)."""

    BOOT = 0
    AUTOMATIC = 2
    DEMAND = 3
    DISABLED = 4


# What sysprep leaves in `WindowsFacts.image_state`.
GENERALIZED: Final = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"


@dataclass(frozen=True, slots=True)
class WindowsFacts:
    """What a Windows guest was found to be, read from its registry and files.

    `release` is the row of data/windows.toml that its build is ("2019", "11"), "" for none.
    `version` is that of NT ("6.1", "10.0"). `root` is where its directory is mounted
    (%SystemRoot%), as "/C/Windows". `language` is the number of the language it was installed in,
    four hexadecimal digits. `image_state` is what sysprep left. `current_control_set` is the one
    that it starts with next. `services` are those of it with the number that says when they start,
    without those that have none.
    `boot_drivers` are those of them that start before the boot volume is found, and are there.
    `stand_ins` are drivers that an earlier conversion put in before their package is installed.
    `remote_desktop` says what keeps it from being used, `automatic_logon` whom it is for; both are
    "" where there is nothing to be said. `dotnet` is the release of .NET Framework 4. `physical`
    are signs of a physical machine that it was, `tools_products` the codes by which Windows
    Installer knows the old hypervisor's tools. `is_policy_off`: the local Group Policy is not
    processed.
    """

    product: str
    edition: str
    release: str
    version: str
    build: int
    installation_type: str
    product_type: ProductType
    architecture: str
    hostname: str
    root: str
    language: str
    control_sets: tuple[str, ...]
    current_control_set: str
    image_state: str
    services: dict[str, int]
    boot_drivers: frozenset[str]
    stand_ins: frozenset[str]
    adapters: tuple[NetworkAdapter, ...]
    roles: tuple[str, ...]
    agents: tuple[str, ...]
    guest_tools: tuple[str, ...]
    languages: tuple[str, ...] = ()
    dotnet: int = 0
    remote_desktop: str = ""
    automatic_logon: str = ""
    antivirus: tuple[str, ...] = ()
    is_restart_pending: bool = False
    page_files: tuple[str, ...] = ()
    blank_passwords: tuple[str, ...] = ()
    physical: tuple[str, ...] = ()
    tools_products: tuple[str, ...] = ()
    is_policy_off: bool = False

    @property
    def is_generalized(self) -> bool:
        """Whether sysprep prepared it, to be set up anew at its next start."""
        return self.image_state == GENERALIZED


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything inspection found out; nothing in it depends on what will be done.

    `esps` are the EFI system partitions and where each is mounted while the guest is worked on; the
    guest itself may mount them elsewhere, or not at all. `other_roots` describe systems beside the
    one that starts.
    """

    disks: tuple[Disk, ...]
    filesystems: tuple[Filesystem, ...]
    volumes: tuple[Volume, ...]
    mounts: tuple[Mount, ...]
    boot_modes: frozenset[BootMode]
    os: LinuxFacts | WindowsFacts
    esps: tuple[Mount, ...] = ()
    groups: tuple[VolumeGroup, ...] = ()
    arrays: tuple[Array, ...] = ()
    other_roots: tuple[str, ...] = ()

    @property
    def linux(self) -> LinuxFacts:
        """What the Linux is: for what deals with Linux guests only."""
        if not isinstance(self.os, LinuxFacts):
            raise TypeError("the guest is no Linux")
        return self.os

    @property
    def windows(self) -> WindowsFacts:
        """What the Windows is: for what deals with Windows guests only."""
        if not isinstance(self.os, WindowsFacts):
            raise TypeError("the guest is no Windows")
        return self.os

    def filesystem(self, device: str) -> Filesystem | None:
        """Give what was found on `device` (an appliance name), if anything was."""
        return next((fs for fs in self.filesystems if fs.device == device), None)


# --- what will change -----------------------------------------------------------------------------


class FileKind(StrEnum):
    """What lies at a guest path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stat:
    """lstat(2) of a guest path, as far as conversion needs it."""

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Make `path` a regular file with the content `data`, keeping the original at `backup`.

    `before` is the digest of what is replaced, None for a new file; `backup` is None where there
    is no original, or an earlier change of the plan keeps it. A replaced file keeps its
    extended attributes; a new one gets `attributes` (its SELinux label, where the guest has any).
    """

    code: str
    reason: str
    path: str
    data: bytes
    mode: int
    uid: int
    gid: int
    before: str | None = None
    backup: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make the directory `path`, which is not there, in one that is; it belongs to root."""

    code: str
    reason: str
    path: str
    mode: int = 0o755
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class AppendFile:
    """Add `data` to the end of the regular file `path` (size `size`), keeping the original."""

    code: str
    reason: str
    path: str
    data: bytes
    size: int
    before: str
    backup: str | None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take the file or symlink `path` away; a file is kept at `backup`.

    `before` is the file's digest, or `-> target` of a link.
    """

    code: str
    reason: str
    path: str
    before: str
    backup: str | None


@dataclass(frozen=True, slots=True)
class MakeLink:
    """Make `path` a symbolic link to `target`. `before` is the target it had, None if new."""

    code: str
    reason: str
    path: str
    target: str
    before: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Make `path` the same as the regular file `source` is, byte for byte.

    For programs: a plan names what is copied instead of holding it. `digest` is that of the source.
    """

    code: str
    reason: str
    path: str
    source: str
    digest: str
    before: str | None = None
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class ConvertTable:
    """Give the disk `path` (an appliance name) another partition table, its data staying in place.

    `pieces` are the bytes to be written, by offset; the disk is to have `size` bytes, which may be
    more than it had.
    """

    code: str
    reason: str
    path: str
    table: TableType
    partitions: tuple[Partition, ...]
    pieces: tuple[tuple[int, bytes], ...]
    size: int


@dataclass(frozen=True, slots=True)
class InstallPackage:
    """Have the guest's own package manager install the package called `path`.

    `payload` is the package's file on this host, and `digest` what it is; `size` is what the
    package takes, `files` what it brings as far as is known. `services` (units with their suffix,
    Upstart's jobs without) are to be started at boot.
    """

    code: str
    reason: str
    path: str
    manager: str
    version: str
    payload: Path
    digest: str
    size: int
    files: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Make `path` the same as the file `payload` of this host, which has `size` bytes.

    For what vendors ship: a plan names it instead of holding it. `digest` is what it is.
    """

    code: str
    reason: str
    path: str
    payload: Path
    digest: str
    size: int
    before: str | None = None
    backup: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class SetValue:
    """Give the value `name` ("" is the default one) of a registry's `key`, which is made if needed.

    `path` is the hive's file; `before` is what the value was, None for a new one. The file is kept
    at `backup` before the first change of the plan to it.
    """

    code: str
    reason: str
    path: str
    key: str
    name: str
    value: Value
    before: Value | None = None
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteValue:
    """Take the value `name` of a registry's `key` away; see `SetValue`."""

    code: str
    reason: str
    path: str
    key: str
    name: str
    before: Value
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """Take a registry's `key` away with all that is below it; see `SetValue`."""

    code: str
    reason: str
    path: str
    key: str
    backup: str | None = None


RegistryChange = SetValue | DeleteValue | DeleteKey
FileChange = WriteFile | AppendFile | RemoveFile | MakeLink | MakeDirectory | CopyFile | CopyIn
Change = FileChange | RegistryChange | ConvertTable | InstallPackage


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will be done to the guest, in order, and all that was found on the way."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    diffs: tuple[str, ...] = ()


# --- what became of it ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The EC2 devices the result has drivers for, as read from the result itself."""

    nvme: bool
    ena: bool
    xen_blk: bool
    xen_net: bool
    ixgbevf: bool


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest of a disk whose cost follows the data (see `handoff.checksum`)."""

    method: str
    value: str


@dataclass(frozen=True, slots=True)
class OutputDisk:
    """A disk image that was written, by its name in the output directory."""

    path: str
    virtual_size: int
    allocated_size: int
    checksum: Checksum


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a conversion: what the manifest and the HTML report are made from.

    `staged` are devices, by their names in `Capabilities`, that the guest installs drivers for when
    it first starts.
    """

    source: Source
    before: Facts
    after: Facts
    boot_mode: BootMode
    disks: tuple[OutputDisk, ...]
    capabilities: Capabilities
    plan: Plan
    findings: tuple[Finding, ...]
    staged: frozenset[str] = frozenset()
    timings: dict[str, float] = field(default_factory=dict)
