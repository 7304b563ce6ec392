r"""The answer file by which an image that was prepared by sysprep starts without questions.

Windows reads `\Windows\Panther\unattend.xml` in the oobeSystem pass ("Unattended Windows Setup
Reference"). It has what Amazon documents for imported images: the licence terms accepted, en-US,
and Windows Welcome skipped; it sets no password and makes no account, which is the launch agent's
to do. SkipMachineOOBE is deprecated since Windows 8 and still works; there is nobody at the console
to answer a page, so the settings that hide single pages are only added to it.
"""

from __future__ import annotations

from typing import Final

from converter.formats import FormatError

PATH: Final = "Panther/unattend.xml"

# The converter's names of architectures, and Windows'.
_ARCHITECTURES: Final = {"x86_64": "amd64", "i686": "x86", "aarch64": "arm64"}
_WINDOWS_8: Final = (6, 2)
_LOCALES: Final = ("InputLocale", "SystemLocale", "UILanguage", "UserLocale")
_LOCALE: Final = "en-US"
_ALWAYS: Final = {
    "HideEULAPage": "true",
    "ProtectYourPC": "3",
    "SkipMachineOOBE": "true",
    "SkipUserOOBE": "true",
}
_BEFORE_WINDOWS_8: Final = {"NetworkLocation": "Work"}
_SINCE_WINDOWS_8: Final = {
    "HideOEMRegistrationScreen": "true",
    "HideOnlineAccountScreens": "true",
    "HideWirelessSetupInOOBE": "true",
}
# There is no such page, and no such setting, on clients.
_SERVERS_SINCE_WINDOWS_8: Final = {"HideLocalAccountScreen": "true"}

_FILE: Final = """<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="oobeSystem">
{components}  </settings>
</unattend>
"""
_COMPONENT: Final = """    <component name="{name}" processorArchitecture="{architecture}" \
publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
{content}    </component>
"""


def unattend(architecture: str, version: tuple[int, int], *, is_server: bool) -> bytes:
    """Give the answer file for a guest; `version` is that of Windows NT, such as (6, 1)."""
    if architecture not in _ARCHITECTURES:
        raise FormatError(f"there is no Windows for {architecture!r}")
    pages = dict(_ALWAYS)
    if version < _WINDOWS_8:
        pages |= _BEFORE_WINDOWS_8
    else:
        pages |= _SINCE_WINDOWS_8
        if is_server:
            pages |= _SERVERS_SINCE_WINDOWS_8
    locale = _elements(dict.fromkeys(_LOCALES, _LOCALE), " " * 6)
    welcome = f"      <OOBE>\n{_elements(pages, ' ' * 8)}      </OOBE>\n"
    components = {
        "Microsoft-Windows-International-Core": locale,
        "Microsoft-Windows-Shell-Setup": welcome,
    }
    name = _ARCHITECTURES[architecture]
    text = "".join(
        _COMPONENT.format(name=key, architecture=name, content=content)
        for key, content in components.items()
    )
    return _FILE.format(components=text).replace("\n", "\r\n").encode()


def _elements(values: dict[str, str], indent: str) -> str:
    return "".join(f"{indent}<{key}>{values[key]}</{key}>\n" for key in sorted(values))
