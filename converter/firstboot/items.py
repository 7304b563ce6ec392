"""What is to be done at a Windows guest's first start, as data that is safe in a command line.

An item names a payload below the staging directory, or what Windows itself has. The exit codes that
are no failure are those that Microsoft documents for the program ("PnPUtil Return Values",
"Windows Installer error messages").

Limits: names from driver packages that cmd.exe would take apart (`%`, `"`, `!`, what is not ASCII)
are refused. A licence-included server must have a key for volume activation: none is put in here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from converter.formats import FormatError

_NAME: Final = re.compile(r"[A-Za-z0-9.](?:[A-Za-z0-9 ._+/()-]{0,78}[A-Za-z0-9.)])?")
_PATH: Final = re.compile(r"[A-Za-z0-9_(][A-Za-z0-9 ._+()#&@~{}/-]{0,199}")
_PROGRAM: Final = re.compile(r"[A-Za-z0-9]{1,32}\.exe")
_PRODUCT: Final = re.compile(r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_KEY: Final = re.compile(r"HKLM\\[A-Za-z0-9 ._+()#&@~{}\\-]{1,400}[A-Za-z0-9_}]")
_ARGUMENT: Final = re.compile(r"[A-Za-z0-9._:\\/{}=+,#@-]{1,200}")

KMS_SERVER: Final = "169.254.169.250:1688"


class Kind(Enum):
    """How an item is done, and so what its target is."""

    DRIVER = "driver"  # an INF file below the payloads, by pnputil
    MSI = "msi"  # a package below the payloads, by msiexec
    MSI_REMOVAL = "msi-removal"  # an installed product's code
    PROGRAM = "program"  # a program below the payloads
    POWERSHELL = "powershell"  # a script below the payloads
    COMMAND = "command"  # a program of System32, which is also its working directory
    KEY_REMOVAL = "key-removal"  # a registry key, with all below it
    VALUE_REMOVAL = "value-removal"  # a value of a registry key; its name is the argument


_TARGETS: Final = {
    Kind.MSI_REMOVAL: _PRODUCT,
    Kind.COMMAND: _PROGRAM,
    Kind.KEY_REMOVAL: _KEY,
    Kind.VALUE_REMOVAL: _KEY,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do. Raises `FormatError` for what cannot stand in the script.

    What `is_required` is tried again at the next starts; anything else once.
    """

    name: str
    kind: Kind
    target: str
    arguments: tuple[str, ...] = ()
    is_required: bool = False

    def __post_init__(self) -> None:
        """Refuse what cmd.exe would not take as it stands."""
        if not _NAME.fullmatch(self.name):
            raise FormatError(f"{self.name!r} cannot be the name of a first-boot item")
        target = _TARGETS.get(self.kind, _PATH)
        parts = self.target.split("/")
        if not target.fullmatch(self.target) or {"", ".", ".."}.intersection(parts):
            raise FormatError(f"{self.target!r} cannot be named in a command of Windows")
        if any(part.endswith((" ", ".")) for part in parts):
            raise FormatError(f"{self.target!r} is no name that Windows keeps")
        for argument in self.arguments:
            if not _ARGUMENT.fullmatch(argument):
                raise FormatError(f"{argument!r} cannot stand in a command of Windows")


def dotnet(path: str) -> Item:
    """Install the .NET Framework from its offline installer."""
    return Item(".NET Framework", Kind.PROGRAM, path, ("/q", "/norestart"))


def ssm_agent(path: str) -> Item:
    """Install the Systems Manager agent from its setup program."""
    return Item("SSM agent", Kind.PROGRAM, path, ("/S",))


def ec2config(path: str) -> Item:
    """Install EC2Config from its setup program."""
    return Item("EC2Config", Kind.PROGRAM, path, ("/quiet", "/norestart"))


def vmware_tools_removal(product: str) -> Item:
    """Uninstall VMware Tools, which often fails off VMware."""
    return Item("VMware Tools removal", Kind.MSI_REMOVAL, product)


def activation() -> tuple[Item, ...]:
    """Activate a server whose licence is in the instance's price."""
    slmgr = ("//NoLogo", "slmgr.vbs")
    return (
        Item("KMS server", Kind.COMMAND, "cscript.exe", (*slmgr, "/skms", KMS_SERVER)),
        Item("Windows activation", Kind.COMMAND, "cscript.exe", (*slmgr, "/ato")),
    )
