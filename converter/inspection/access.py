"""Whether somebody will be able to log in: SSH server, keys and firewall, by their files (LNX-8).

Findings for a person to judge; nothing is changed, because only the owner knows what is meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import firewall, shellvars, sshd_config
from converter.guest import paths, services
from converter.inspection import cloud
from converter.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.guest.protocol import ReadableGuest

_CONFIG: Final = "/etc/ssh/sshd_config"
_SERVERS: Final = (
    "/usr/sbin/sshd",
    "/usr/bin/sshd",
    "/usr/local/sbin/sshd",
    "/usr/lib/ssh/sshd",
    "/usr/sbin/dropbear",
    "/usr/bin/dropbear",
)
_SERVICES: Final = (
    "ssh.service",
    "sshd.service",
    "ssh.socket",
    "sshd.socket",
    "dropbear.service",
    "ssh",
    "sshd",
    "dropbear",
)
# sshd's own default; a name in it is relative to the user's home (sshd_config(5)).
_KEY_FILES: Final = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_NO_LOGIN: Final = ("nologin", "false", "sync", "shutdown", "halt")
# Accounts beyond this are not looked at one by one: they come from somewhere else than a setup.
_MOST_USERS: Final = 1000
_PORT: Final = "22"
# Addresses that stand for all there are, with a port or without.
_ANYWHERE: Final = re.compile(r"(?:0\.0\.0\.0|\*|\[?::\]?)(?::\d{1,5})?")


def inspect_access(guest: ReadableGuest) -> tuple[Finding, ...]:
    """Give what may keep its owner out of the converted machine."""
    if not any(paths.is_file(guest, path) for path in _SERVERS):
        return (
            _warning(
                "ssh-server-missing",
                "no SSH server is installed",
                "install one in the machine (openssh-server), or use SSM or the serial console",
            ),
        )
    settings = _settings(guest)
    return (*_server(guest, settings), *_users(guest, settings), *_firewall(guest))


def _warning(code: str, message: str, hint: str) -> Finding:
    return Finding(Severity.WARNING, code, message, hint)


def _settings(guest: ReadableGuest) -> dict[str, tuple[str, ...]]:
    def include(pattern: str) -> Iterator[str]:
        if "*" in pattern.rpartition("/")[0]:
            return  # nobody's setup, and a walk through the whole guest
        for path in paths.glob(guest, pattern):
            yield paths.text(guest, path) or ""

    return sshd_config.parse(paths.text(guest, _CONFIG) or "", include=include)


def _server(guest: ReadableGuest, settings: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    off = paths.is_file(guest, "/etc/ssh/sshd_not_to_be_run")
    if off or not services.is_enabled(guest, _SERVICES):
        yield _warning(
            "ssh-server-disabled",
            "the SSH server is installed, but not started at boot",
            "enable it in the machine (systemctl enable ssh or sshd)",
        )
    ports = settings.get("port", (_PORT,))
    if _PORT not in ports:
        yield _warning(
            "ssh-port",
            f"the SSH server listens on port {', '.join(ports)}",
            "let that port in by the instance's security group",
        )
    addresses = settings.get("listenaddress", ())
    if addresses and not any(map(_ANYWHERE.fullmatch, addresses)):
        yield _warning(
            "ssh-listen-address",
            f"the SSH server listens at {', '.join(addresses)} alone: on EC2 the machine has"
            " another address",
            "take ListenAddress out of /etc/ssh/sshd_config in the machine, and export it again",
        )


def _users(guest: ReadableGuest, settings: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    """Ask for a user other than root that has a key, unless keys come from somewhere else."""
    if "authorizedkeyscommand" in settings and settings["authorizedkeyscommand"] != ("none",):
        return
    if cloud.is_active(guest):
        return  # it gives the instance's key to its default user
    if any(_may_log_in(name, settings) and _has_key(guest, settings, name, home)
           for name, home in _people(guest)):  # fmt: skip
        return
    root = _has_key(guest, settings, "root", "/root")
    yield _warning(
        "ssh-no-key-user",
        "only root has an SSH key" if root else "no user has an SSH key",
        "put a key into ~/.ssh/authorized_keys of a user that may use sudo; without one only"
        " passwords are left, which need PasswordAuthentication",
    )


def _people(guest: ReadableGuest) -> Iterator[tuple[str, str]]:
    """Give the users other than root that have a shell, with their homes (passwd(5))."""
    for line in (paths.text(guest, "/etc/passwd") or "").splitlines()[:_MOST_USERS]:
        fields = line.split(":")
        if len(fields) != 7 or fields[2] == "0" or not fields[5].startswith("/"):
            continue
        if fields[6].rpartition("/")[2] not in _NO_LOGIN:
            yield fields[0], fields[5]


def _may_log_in(name: str, settings: dict[str, tuple[str, ...]]) -> bool:
    if sshd_config.is_listed(name, settings.get("denyusers", ())):
        return False
    return "allowusers" not in settings or sshd_config.is_listed(name, settings["allowusers"])


def _has_key(
    guest: ReadableGuest, settings: dict[str, tuple[str, ...]], name: str, home: str
) -> bool:
    for pattern in settings.get("authorizedkeysfile", _KEY_FILES):
        path = pattern.replace("%h", home).replace("%u", name).replace("%%", "%")
        text = paths.text(guest, path if path.startswith("/") else f"{home}/{path}") or ""
        if any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
            return True
    return False


def _firewall(guest: ReadableGuest) -> Iterator[Finding]:
    for name, file in _closed(guest):
        yield _warning(
            "firewall-blocks-ssh",
            f"{name} ({file}) does not seem to let SSH in from everywhere",
            "let port 22 in (the instance's security group guards it), or use SSM",
        )


def _closed(guest: ReadableGuest) -> Iterator[tuple[str, str]]:
    """Give each firewall that is on and does not let SSH in, with the file that says so."""
    if (_value(guest, "/etc/ufw/ufw.conf", "ENABLED") or "").lower() == "yes":
        policy = (_value(guest, "/etc/default/ufw", "DEFAULT_INPUT_POLICY") or "DROP").upper()
        rules = _first_file(guest, ("/etc/ufw/user.rules", "/lib/ufw/user.rules"))
        if policy != "ACCEPT" and not firewall.ufw_lets_ssh_in(paths.text(guest, rules) or ""):
            yield "ufw", rules
    if services.is_enabled(guest, ["firewalld.service"]):
        zone = _zone(guest)
        if not firewall.firewalld_zone_lets_ssh_in(paths.text(guest, zone) or ""):
            yield "firewalld", zone
    judged = (
        (("nftables.service", "nftables"), ("/etc/nftables.conf", "/etc/sysconfig/nftables.conf"),
         firewall.nftables_lets_ssh_in),
        (("iptables.service", "iptables", "netfilter-persistent.service", "iptables-persistent"),
         ("/etc/sysconfig/iptables", "/etc/iptables/rules.v4", "/etc/iptables/rules",
          "/etc/iptables/iptables.rules"), firewall.iptables_lets_ssh_in),
        (("SuSEfirewall2.service", "SuSEfirewall2_setup"), ("/etc/sysconfig/SuSEfirewall2",),
         firewall.susefirewall_lets_ssh_in),
    )  # fmt: skip
    for names, files, lets_in in judged:
        path = _first_file(guest, files)
        text = paths.text(guest, path)
        if text is not None and services.is_enabled(guest, names) and not lets_in(text):
            yield names[0].partition(".")[0], path


def _zone(guest: ReadableGuest) -> str:
    """Give the file of firewalld's default zone: whatever card there is will be in that."""
    wanted = _value(guest, "/etc/firewalld/firewalld.conf", "DefaultZone") or "public"
    name = wanted.replace("/", "")
    return _first_file(
        guest, (f"/etc/firewalld/zones/{name}.xml", f"/usr/lib/firewalld/zones/{name}.xml")
    )


def _value(guest: ReadableGuest, path: str, name: str) -> str | None:
    return shellvars.parse(paths.text(guest, path) or "").get(name)


def _first_file(guest: ReadableGuest, candidates: Iterable[str]) -> str:
    known = tuple(candidates)
    return next((path for path in known if paths.is_file(guest, path)), known[-1])
