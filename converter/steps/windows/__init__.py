"""What is done to a Windows guest: one module per step; `steps.order` has their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.formats.security_descriptor import SYSTEM_DIRECTORY, SYSTEM_FILE
from converter.guest.protocol import SECURITY
from converter.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.model import Facts


def system_security(
    facts: Facts,
) -> Callable[[str, FileKind], tuple[tuple[str, bytes], ...]]:
    """Give what gives new paths of a Windows their security: only SYSTEM and administrators write.

    ntfs-3g would let everybody do everything with them. FAT has no security.
    """
    volumes = tuple(f"{mount.path}/" for mount in facts.mounts if mount.type == "ntfs")

    def security(place: str, kind: FileKind) -> tuple[tuple[str, bytes], ...]:
        if not place.startswith(volumes):
            return ()
        is_directory = kind is FileKind.DIRECTORY
        return ((SECURITY, SYSTEM_DIRECTORY if is_directory else SYSTEM_FILE),)

    return security
