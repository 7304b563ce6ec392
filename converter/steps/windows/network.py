r"""DHCP on every adapter of a Windows, whatever card EC2 shows (WIN-4).

A Windows keeps settings by the GUID of an adapter; a new card gets a new one, with DHCP on. Those
of the old ones are changed all the same: where the guest already has EC2's driver, the card may be
taken for one of them. Source: Microsoft Learn, "Tcpip\Parameters\Interfaces". Limit: addresses of
IPv6 are not there but in a database that nobody documents (`Control\Nsi`); they stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats.registry import dword, sz
from converter.inspection.windows import INTERFACES, INTERFACES_6
from converter.inspection.windows_values import number, text
from converter.model import ServiceStart
from converter.steps.step import Step
from converter.steps.windows.registry import Editing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.model import Facts
    from converter.steps.step import Context

_STATIC: Final = ("IPAddress", "SubnetMask", "DefaultGateway", "DefaultGatewayMetric")
_DHCP_CLIENT: Final = r"Services\Dhcp"
# Remote Desktop's; its LanAdapter is the number of a card, 0 for all.
_LISTENER: Final = r"Control\Terminal Server\WinStations\RDP-Tcp"
# Machines that saw many cards keep some hundreds.
_MOST_ADAPTERS: Final = 2000


def run(context: Context) -> None:
    """Plan DHCP."""
    editing = Editing(context, "network-dhcp", "EC2 gives addresses by DHCP")
    for key in _adapters(editing):
        editing.set_system(key, "EnableDHCP", dword(1))
        for name in _STATIC:
            editing.delete_system_value(key, name)
    for key in (*_adapters(editing), *_keys(editing, INTERFACES_6)):
        if text(editing.registry.system.value(key, "NameServer")):
            editing.set_system(key, "NameServer", sz(""))
    listener = Editing(context, "remote-desktop-card", "the card that it listened on is not there")
    for key in listener.keys(_LISTENER):
        if number(listener.registry.system.value(key, "LanAdapter")):
            listener.set_system(key, "LanAdapter", dword(0))
    client = Editing(context, "dhcp-client", "without its service no address is asked for")
    for key in client.keys(_DHCP_CLIENT):
        if (number(client.registry.system.value(key, "Start")) or 0) > ServiceStart.AUTOMATIC:
            client.set_system(key, "Start", dword(ServiceStart.AUTOMATIC))


def _adapters(editing: Editing) -> Iterator[str]:
    """Give the keys of adapters that have settings of their own, in every control set."""
    for key in _keys(editing, INTERFACES):
        if editing.registry.system.value(key, "EnableDHCP") is not None or any(
            editing.registry.system.value(key, static) is not None for static in _STATIC
        ):
            yield key


def _keys(editing: Editing, interfaces: str) -> Iterator[str]:
    for top in editing.keys(interfaces):
        for name in editing.registry.system.subkeys(top)[:_MOST_ADAPTERS]:
            yield rf"{top}\{name}"


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-network", "DHCP on whatever card there is", _applies, run)
