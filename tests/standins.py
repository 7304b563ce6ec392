"""Stand-ins for vendors' payloads, made from source text by the tools that vendors use.

Shaped like the real ones: the same names of packages, files and units. What they do is to be there,
and to run.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from converter import process

if TYPE_CHECKING:
    from pathlib import Path

AGENT: Final = "amazon-ssm-agent"
VERSION: Final = "3.3.9999.0"

_PROGRAM: Final = "#!/bin/sh\n# A stand-in: it only runs.\nexec sleep infinity\n"
_UNIT: Final = f"""\
[Unit]
Description={AGENT}
After=network-online.target

[Service]
Type=simple
ExecStart=/usr/bin/{AGENT}
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
_JOB: Final = f"""\
description "{AGENT}"
start on (runlevel [345] and started network)
stop on (runlevel [!345] or stopping network)
exec /usr/bin/{AGENT}
"""
_CONTROL: Final = f"""\
Package: {AGENT}
Version: {VERSION}-1
Architecture: {{architecture}}
Maintainer: Nobody <nobody@example.com>
Installed-Size: 64
Description: Stand-in for the agent of AWS Systems Manager
"""
_SPEC: Final = f"""\
Name: {AGENT}
Version: {VERSION}
Release: 1
Summary: Stand-in for the agent of AWS Systems Manager
License: Apache-2.0
BuildArch: x86_64
%description
It only runs.
%files
%attr(0755,root,root) /usr/bin/{AGENT}
%dir /etc/amazon/ssm
/etc/amazon/ssm/seelog.xml.template
%config(noreplace) /etc/init/{AGENT}.conf
%config(noreplace) /etc/systemd/system/{AGENT}.service
%posttrans
{{posttrans}}
"""


def _tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755 if "/bin/" in name else 0o644)


def deb(directory: Path, *, architecture: str = "amd64", postinst: str = "") -> Path:
    """Make the agent's Debian package; `postinst` is what is run after it was unpacked."""
    root = directory / "deb"
    unit = f"lib/systemd/system/{AGENT}.service"
    template = "etc/amazon/ssm/seelog.xml.template"
    _tree(root, {f"usr/bin/{AGENT}": _PROGRAM, unit: _UNIT, template: "<seelog/>\n"})
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(_CONTROL.format(architecture=architecture), "utf-8")
    (control / "conffiles").write_text(f"/{template}\n", "utf-8")
    for script, text in {
        "postinst": postinst or f"systemctl enable {AGENT}\nsystemctl start {AGENT}",
        "prerm": f"systemctl stop {AGENT}",
    }.items():
        (control / script).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (control / script).chmod(0o755)
    target = directory / f"{AGENT}.deb"
    process.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target)])
    shutil.rmtree(root)
    return target


def rpm(directory: Path, *, posttrans: str = f"systemctl start {AGENT}") -> Path:
    """Make the agent's RPM package."""
    root, top = directory / "buildroot", directory / "rpmbuild"
    _tree(
        root,
        {
            f"usr/bin/{AGENT}": _PROGRAM,
            "etc/amazon/ssm/seelog.xml.template": "<seelog/>\n",
            f"etc/init/{AGENT}.conf": _JOB,
            f"etc/systemd/system/{AGENT}.service": _UNIT,
        },
    )
    spec = directory / f"{AGENT}.spec"
    spec.write_text(_SPEC.format(posttrans=posttrans), "utf-8")
    process.run(
        [
            "rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}",
            "--define", "_build_id_links none", "--buildroot", str(root), str(spec),
        ]
    )  # fmt: skip
    target = directory / f"{AGENT}.rpm"
    next(top.glob("RPMS/*/*.rpm")).rename(target)
    shutil.rmtree(top)
    return target
