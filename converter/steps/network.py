"""The network: DHCP on whatever card there is, by the stack that configured it (LNX-2, LNX-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import kernel_args
from converter.model import Finding, LinkKind, Severity
from converter.network import (
    cloud_init,
    names,
    networkmanager,
    networkmanager_config,
    resolver,
    services,
    suse,
    waits,
)
from converter.network.links import on_cards, primary
from converter.network.stack import STACKS, choose, configures_cards
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, NetworkLink, NetworkStack
    from converter.steps.step import Context

# Words of the kernel's command line by which the initramfs names or configures cards:
# dracut.cmdline(7).
_PINNING_ARGUMENTS: Final = ("ifname", "ip", "bootdev", "bond", "bridge", "vlan", "rd.route")


def run(context: Context) -> None:
    """Plan DHCP in one stack, no cards in the others, and names that no old card is tied to."""
    guest = context.guest
    stacks = context.facts.linux.networks
    names.release(guest)
    cloud_init.release(guest)
    waits.release_units(guest)
    _note_arguments(guest, context.facts)
    chosen = choose(stacks)
    if chosen is None:
        _note_no_stack(guest)
        return
    involved = configures_cards(guest, chosen)
    _change(guest, stacks, chosen, involved)
    waits.release_wait_online(guest, networkd_has_cards="networkd" in involved)
    resolver.release(guest, is_written=_writes_resolver(guest, involved))
    for finding in _left_out(stacks, chosen):
        guest.note(finding)


def _change(
    guest: RecordingGuest,
    stacks: Sequence[NetworkStack],
    chosen: NetworkStack,
    involved: frozenset[str],
) -> None:
    """Plan the change of each stack: what is asked for by another keeps no files of its own."""
    used = {stack.name: stack for stack in stacks}
    for stack in STACKS:
        if stack.name not in used:
            continue
        if stack.name == chosen.name:
            stack.to_dhcp(guest, chosen)
        elif stack.name == "networkmanager" and stack.name in involved:
            networkmanager.release_profiles(guest, used[stack.name])
        else:
            stack.let_go(guest, used[stack.name])


def _writes_resolver(guest: RecordingGuest, involved: frozenset[str]) -> bool:
    """Tell whether the DHCP client of the stack writes /etc/resolv.conf."""
    if "networkd" in involved:
        return False
    if "networkmanager" in involved:
        return networkmanager_config.writes_resolver(guest)
    if not involved.isdisjoint({suse.WICKED, suse.SCRIPT}):
        return suse.writes_resolver(guest)
    return True


def _left_out(stacks: Sequence[NetworkStack], chosen: NetworkStack) -> Iterator[Finding]:
    """Name every link that was configured and is not any more, but for the card of the default."""
    kept = primary(chosen)
    for stack in stacks:
        for link in on_cards(stack.links):
            same = kept is not None and stack.name == chosen.name and link.name == kept.name
            if (same and link.kind is LinkKind.ETHERNET) or not _is_worth_naming(link):
                continue
            yield Finding(
                Severity.WARNING,
                "network-link-disabled",
                f"{_described(link)}, as {stack.name} had it, is not set up any more:"
                " one network card asks for an address by DHCP",
                "give the instance a second network interface, or set it up again, if it is needed",
            )


def _is_worth_naming(link: NetworkLink) -> bool:
    """Tell whether a link did anything: a card that is only part of another is named there."""
    made_of_others = link.kind is not LinkKind.ETHERNET
    return made_of_others or bool(link.addresses) or (link.dhcp and bool(link.name))


def _described(link: NetworkLink) -> str:
    parts = [link.name or "a card"]
    if link.kind is not LinkKind.ETHERNET:
        of = f" of {', '.join(link.lower)}" if link.lower else ""
        parts.append(f"{link.kind.value}{of}")
    parts += link.addresses
    return f"{parts[0]} ({', '.join(parts[1:])})" if parts[1:] else parts[0]


def _note_arguments(guest: RecordingGuest, facts: Facts) -> None:
    """Name words on the kernel's command line that set up a card of the source."""
    bootloader = facts.linux.bootloader
    arguments = bootloader.default.arguments if bootloader and bootloader.default else ()
    for key in _PINNING_ARGUMENTS:
        for value in kernel_args.values(arguments, key):
            # Ubuntu's initramfs for FIPS has a disk by the name of dracut's word for a card.
            is_disk = key == "bootdev" and ("=" in value or "/" in value)
            mode = value.partition(":")[0]
            if not is_disk and mode not in {"dhcp", "dhcp6", "on", "any", "auto6", "off", ""}:
                guest.note(
                    Finding(
                        Severity.WARNING,
                        "network-kernel-argument",
                        f"{key}={value} on the kernel's command line sets up a card of the source",
                        "take it out of the bootloader's configuration in the machine",
                    )
                )


def _note_no_stack(guest: RecordingGuest) -> None:
    """Say what is missing where nothing that is started configures the network."""
    others = services.others(guest)
    rows = load("linux")["network"]["stacks"]
    installed = [
        row["service"]
        for name, row in rows.items()
        if "service" in row and services.is_installed(guest, name)
    ]
    if others:
        finding = Finding(
            Severity.INFO,
            "network-stack-other",
            f"{', '.join(others)} configures the network; it was left as it is",
            "make sure that it asks for an address by DHCP on any card",
        )
    elif installed:
        known = services.has_known_init(guest)
        finding = Finding(
            Severity.ERROR if known else Severity.WARNING,
            "network-service-disabled",
            f"nothing configures the network: {', '.join(installed)} is there, but not started",
            f"enable {installed[0]} in the machine and export it again",
        )
    else:
        finding = Finding(
            Severity.WARNING,
            "network-stack-unknown",
            "nothing was found that configures the network",
            "make sure that the machine asks for an address by DHCP on any card",
        )
    guest.note(finding)


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("network", "DHCP on whatever card there is", _applies, run)
