"""The demonstration: a real VMware guest that does not boot from NVMe, and the same one converted.

Builds the guest (or takes it from the cache), exports it as VMware does, shows that it does not
come up from an NVMe disk, converts the export, and boots the result from NVMe.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from images.cache import image
from images.exports import export

GUEST = "debian-12-bios"


def say(text: str) -> None:
    """Print a heading with the time since the start."""
    print(f"\n=== [{time.monotonic() - _BEGUN:5.0f} s] {text}", flush=True)


_BEGUN = time.monotonic()


def converter(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, its progress on this terminal."""
    print("$ converter " + " ".join(arguments), flush=True)
    command = [sys.executable, "-m", "converter", *arguments]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)


def boots(path: Path, *, timeout: int) -> dict[str, object]:
    """Boot the raw image at `path` from NVMe and give the report."""
    done = converter("boot", str(path), "--bus", "nvme", "--timeout", str(timeout), "--json")
    report: dict[str, object] = json.loads(done.stdout)
    shown = {name: value for name, value in report.items() if name != "console_tail"}
    print(json.dumps(shown, indent=2), flush=True)
    return report


def main() -> int:
    """Run it; 0 when everything came out as it should."""
    say(f"building the guest {GUEST} from Debian's packages")
    guest = image(GUEST)
    with tempfile.TemporaryDirectory(prefix="converter-demo-") as scratch:
        directory = Path(scratch)
        say("exporting it as OVA, as VMware does")
        ova = export(guest, "ova")
        say("booting the source from NVMe: it must not come up")
        before = boots(guest.path, timeout=180)
        say("what a conversion would change")
        print(converter("plan", str(ova)).stdout)
        say("converting")
        output = directory / "out"
        done = converter("convert", str(ova), "-o", str(output), "--name", "demo")
        print(done.stdout)
        if done.returncode != 0:
            return done.returncode
        say("booting the result from NVMe: it must come up")
        after = boots(output / "demo.raw", timeout=300)
        kept = _keep(output)
        say(f"report: {kept / 'demo.report.html'}")
    return _verdict(before, after)


def _keep(output: Path) -> Path:
    """Keep the manifest and the report of the demonstration in ./out."""
    kept = Path("out")
    kept.mkdir(exist_ok=True)
    for name in ("demo.manifest.json", "demo.report.html"):
        (kept / name).write_bytes((output / name).read_bytes())
    return kept


def _verdict(before: dict[str, object], after: dict[str, object]) -> int:
    root = after["root"]
    good = (
        before["reached"] != "multi-user"
        and after["reached"] == "multi-user"
        and isinstance(root, dict)
        and root["source"] == "/dev/nvme0n1p1"
        and bool(after["addresses"])
        and not after["failed_units"]
    )
    say(
        "the source does not come up from NVMe; the converted image does"
        if good
        else "NOT as it should be: see above"
    )
    return 0 if good else 1
