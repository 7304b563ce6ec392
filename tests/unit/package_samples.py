"""Packages made of bytes: what dpkg-deb and rpmbuild would make of as little."""

from __future__ import annotations

import io
import lzma
import struct
import tarfile

CONTROL = """\
Package: amazon-ssm-agent
Version: 3.3.1-1
Architecture: amd64
Installed-Size: 64
Description: an agent
 of two lines
"""
FILES = {"./usr/bin/amazon-ssm-agent": b"#!/bin/sh\n", "./etc/amazon/ssm/x.template": b"x"}


def tar(files: dict[str, bytes], *, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def ar(members: dict[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n"
        parts += [header.encode(), data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


def deb(control: str = CONTROL, files: dict[str, bytes] | None = None) -> bytes:
    return ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar.xz": lzma.compress(tar({"./control": control.encode()})),
            "data.tar": tar(FILES if files is None else files),
        }
    )


def header(values: dict[int, tuple[int, list[str] | list[int]]]) -> bytes:
    index, store = b"", b""
    for tag, (kind, items) in values.items():
        store += b"\0" * (-len(store) % 4 if kind == 4 else 0)
        index += struct.pack(">IIII", tag, kind, len(store), len(items))
        for item in items:
            store += struct.pack(">I", item) if isinstance(item, int) else f"{item}\0".encode()
    return (
        b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", len(values), len(store)) + index + store
    )


def rpm(
    name: str = "amazon-ssm-agent", version: str = "3.3.1", architecture: str = "x86_64"
) -> bytes:
    signatures = header({1000: (4, [7])})
    body = header(
        {
            1000: (6, [name]),
            1001: (6, [version]),
            1002: (6, ["1"]),
            1009: (4, [4096]),
            1022: (6, [architecture]),
            1116: (4, [0, 1]),
            1117: (8, ["amazon-ssm-agent", "amazon-ssm-agent.service"]),
            1118: (8, ["/usr/bin/", "/etc/systemd/system/"]),
        }
    )
    lead = b"\xed\xab\xee\xdb".ljust(96, b"\0")
    return lead + signatures + bytes(-len(signatures) % 8) + body + b"payload"
