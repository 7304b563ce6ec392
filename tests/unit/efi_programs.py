"""EFI programs made field by field, after Microsoft's "PE Format" and GRUB's module list."""

from __future__ import annotations

import struct

X86_64 = 0x8664
I386 = 0x14C


def pe(*sections: tuple[bytes, bytes], machine: int = X86_64, subsystem: int = 10) -> bytes:
    optional = struct.pack("<H66xH170x", 0x20B, subsystem)
    start = 0x40 + 4 + 20 + len(optional) + 40 * len(sections)
    headers, body = b"", b""
    for name, data in sections:
        at = start + len(body)
        headers += struct.pack("<8sIIII16x", name, len(data), at, len(data), at)
        body += data
    return (
        struct.pack("<2s58xI", b"MZ", 0x40)
        + b"PE\0\0"
        + struct.pack("<HH12xHH", machine, len(sections), len(optional), 0x22)
        + optional
        + headers
        + body
    )


def ucs2(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def shim(*names: str, machine: int = X86_64) -> bytes:
    """A shim with the names that Debian's has, or those given."""
    used = names or ("fbx64.efi", "mmx64.efi", "\\grubx64.efi", "EFI\\BOOT\\fbx64.efi")
    data = b"".join(ucs2(f"\\{name}") for name in used)
    return pe((b".text", b"\x90" * 16), (b".data", data), machine=machine)


def elf_module(name: str, *needs: str, wide: bool = True) -> bytes:
    """An ELF file with the sections that a GRUB module tells its name and needs by."""
    names = b"\0.modname\0.moddeps\0.shstrtab\0"
    contents = [b"", name.encode() + b"\0", b"".join(n.encode() + b"\0" for n in needs), names]
    offsets = [0, names.index(b".modname"), names.index(b".moddeps"), names.index(b".shstrtab")]
    header = 64 if wide else 52
    body, table = b"", b""
    for at, content in zip(offsets, contents, strict=True):
        start = header + len(body)
        if wide:
            table += struct.pack("<I20xQQ24x", at, start, len(content))
        else:
            table += struct.pack("<I12xII16x", at, start, len(content))
        body += content
    where = header + len(body)
    if wide:
        head = struct.pack("<4sBB34xQ10xHHH", b"\x7fELF", 2, 1, where, 64, 4, 3)
    else:
        head = struct.pack("<4sBB26xI10xHHH", b"\x7fELF", 1, 1, where, 40, 4, 3)
    return head + body + table


def module_objects(prefix: str, config: str, modules: list[bytes]) -> bytes:
    found = [(0, module) for module in modules]
    found += [(2, config.encode() + b"\0")] if config else []
    found += [(3, prefix.encode() + b"\0")]
    return b"".join(
        struct.pack("<II", kind, 8 + len(data) + -len(data) % 8) + data + bytes(-len(data) % 8)
        for kind, data in found
    )


def grub(
    prefix: str = "/EFI/debian",
    *,
    config: str = "",
    modules: tuple[str, ...] = ("part_gpt", "fat"),
    machine: int = X86_64,
) -> bytes:
    objects = module_objects(prefix, config, [elf_module(name) for name in modules])
    info = struct.pack("<4sIQQ", b"mimg", 0, 24, 24 + len(objects))
    return pe((b".text", b"\x90" * 16), (b"mods", info + objects), machine=machine)


def systemd_boot() -> bytes:
    return pe((b".text", b"\x90"), (b".sdmagic", b"#### LoaderInfo: systemd-boot 252 ####"))


def unified_kernel() -> bytes:
    return pe((b".linux", b"\x90"), (b".sdmagic", b"#### LoaderInfo: systemd-stub 252 ####"))
