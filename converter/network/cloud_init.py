"""cloud-init's own network configuration, which it writes into the guest's stack on a new instance.

It takes the first of: the kernel's command line, its configuration (`network:` in /etc/cloud), the
data source. On EC2 the data source gives DHCP on the instance's cards, so all that is to be done is
to take away what someone (or an installer) wrote for the cards of the source into the second and
into local seeds. `network: {config: disabled}` stays: then what the stack has counts.
See cloud-init's documentation, "Network configuration".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.guest import paths

if TYPE_CHECKING:
    from converter.guest.recording import RecordingGuest

_CODE: Final = "network-cloud-init"
_REASON: Final = (
    "cloud-init would write the cards and addresses of the source network into the guest again"
)
_MAIN: Final = "/etc/cloud/cloud.cfg"
_DROP_INS: Final = "/etc/cloud/cloud.cfg.d/*.cfg"
_SEEDS: Final = ("/var/lib/cloud/seed/nocloud/network-config",
                 "/var/lib/cloud/seed/nocloud-net/network-config")  # fmt: skip
_KEY: Final = re.compile(r"[\"']?network[\"']?[ \t]*:(?:[ \t].*)?")
_DISABLED: Final = re.compile(r"\bconfig\b[\"']?[ \t]*:[ \t]*[\"']?disabled\b")


def release(guest: RecordingGuest) -> None:
    """Plan that cloud-init knows no card of the source."""
    for path in (_MAIN, *paths.glob(guest, _DROP_INS)):
        text = paths.text(guest, path)
        if text is None:
            continue
        wanted = _without_network(text)
        if wanted == text:
            continue
        if not _says_anything(wanted):
            guest.remove(path, code=_CODE, reason=_REASON)
        else:
            guest.write(path, paths.encode(wanted), code=_CODE, reason=_REASON)
    for path in _SEEDS:
        if paths.is_file(guest, path):
            guest.remove(path, code=_CODE, reason=_REASON)


def _without_network(text: str) -> str:
    """Give a configuration without its top-level key `network`, unless that turns it off."""
    kept: list[str] = []
    block: list[str] = []
    for line in text.split("\n"):
        if block and (not line.strip() or line[0] in " \t-#"):
            block.append(line)
            continue
        kept += _kept(block)
        block = []
        if _KEY.fullmatch(line.rstrip("\r")):
            block = [line]
        else:
            kept.append(line)
    return "\n".join([*kept, *_kept(block)])


def _kept(block: list[str]) -> list[str]:
    """Give what stays of the key's lines: comments and blank lines below it belong to the next."""
    if _DISABLED.search("\n".join(block)):
        return block
    end = len(block)
    while end and (not block[end - 1].strip() or block[end - 1].startswith("#")):
        end -= 1
    return block[end:]


def _says_anything(text: str) -> bool:
    lines = (line.strip() for line in text.split("\n"))
    return any(line and line != "---" and not line.startswith("#") for line in lines)
