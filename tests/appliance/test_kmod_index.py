"""Our module indexes against those of the real depmod(8), and read by the real modprobe(8).

No module is loaded: modprobe only shows what it would do, in a directory of its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from converter import process
from converter.formats import kmod, kmod_index

pytestmark = pytest.mark.appliance

# What has dependencies, soft dependencies, many aliases, and brackets in aliases.
PARTS = ("drivers/nvme", "drivers/block", "drivers/net/ethernet/amazon", "block", "lib", "crypto")
NVME = "pci:v00001D0Fd00008061sv00001D0Fsd00000000bc01sc08i02"


def installed() -> list[Path]:
    return [path for path in Path("/lib/modules").glob("*") if (path / "modules.dep").exists()]


@pytest.fixture(scope="module")
def host() -> Path:
    found = installed()
    if not found:
        pytest.skip("no kernel's modules are installed")
    return found[0]


@pytest.fixture(scope="module")
def modules(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some modules of this machine's kernel in a root of their own, indexed by depmod."""
    root = tmp_path_factory.mktemp("root")
    target = root / "lib/modules" / host.name
    for part in PARTS:
        shutil.copytree(host / "kernel" / part, target / "kernel" / part)
    for name in ("modules.order", "modules.builtin"):
        shutil.copy(host / name, target / name)
    process.run(["depmod", "-b", str(root), host.name])
    return target


def rewrite(directory: Path) -> dict[str, bytes]:
    """Make the binary indexes of a directory from its text ones."""
    dep = kmod.parse_dep((directory / "modules.dep").read_text())
    aliases = kmod.parse_alias((directory / "modules.alias").read_text())
    builtin = kmod.parse_builtin((directory / "modules.builtin").read_text())
    order = [kmod.module_name(path) for path in dep]
    return {
        "modules.dep.bin": kmod_index.write_dep(dep),
        "modules.alias.bin": kmod_index.write_alias(aliases, order=order),
        "modules.builtin.bin": kmod_index.write_builtin(builtin),
    }


def test_indexes_are_byte_for_byte_those_of_depmod(modules: Path) -> None:
    for name, data in rewrite(modules).items():
        assert data == (modules / name).read_bytes(), name


def test_indexes_of_the_whole_installed_kernel(host: Path) -> None:
    """The package's own indexes: 4,000 modules, more than 20,000 aliases."""
    for name, data in rewrite(host).items():
        assert data == (host / name).read_bytes(), name


def test_texts_are_those_of_depmod(modules: Path) -> None:
    dep, alias, softdep = (
        (modules / f"modules.{name}").read_text() for name in ("dep", "alias", "softdep")
    )
    assert kmod.format_dep(kmod.parse_dep(dep)) == dep
    assert kmod.format_alias(kmod.parse_alias(alias)) == alias
    assert kmod.format_softdep(kmod.parse_softdep(softdep)) == softdep


def test_the_binary_form_says_what_the_text_says(modules: Path) -> None:
    dep = kmod.parse_dep((modules / "modules.dep").read_text())
    read = kmod_index.read_dep((modules / "modules.dep.bin").read_bytes())
    assert list(read.items()) == list(dep.items())


def test_symbols_are_read_and_written(modules: Path) -> None:
    data = (modules / "modules.symbols.bin").read_bytes()
    symbols = kmod_index.read(data)
    text = (modules / "modules.symbols").read_text()
    lines = {tuple(line.split()[1:]) for line in text.splitlines() if line.startswith("alias")}
    assert {(item.key, item.value) for item in symbols} == lines
    assert kmod_index.write(symbols) == data


def modprobe(modules: Path, *options: str) -> str:
    root = modules.parents[2]
    release = ("--set-version", modules.name)
    return process.run(["modprobe", "-d", str(root), *release, *options]).stdout.decode()


def test_modprobe_reads_what_we_write(modules: Path, tmp_path: Path) -> None:
    """With nothing but our own indexes in place, and module names that depmod has not seen."""
    target = tmp_path / "lib/modules" / modules.name
    shutil.copytree(modules / "kernel", target / "kernel")
    dep = kmod.parse_dep((modules / "modules.dep").read_text())
    kept = kmod.closure(dep, ["nvme", "xen_blkfront", "ena"])
    few = {path: dep[path] for path in kept}
    aliases = [
        alias
        for alias in kmod.parse_alias((modules / "modules.alias").read_text())
        if alias.module in {kmod.module_name(path) for path in kept}
    ]
    order = [kmod.module_name(path) for path in few]
    (target / "modules.dep.bin").write_bytes(kmod_index.write_dep(few))
    (target / "modules.alias.bin").write_bytes(kmod_index.write_alias(aliases, order=order))
    for name in ("symbols", "builtin", "builtin.alias"):
        (target / f"modules.{name}.bin").write_bytes(kmod_index.write([]))

    shown = modprobe(target, "--show-depends", "nvme").split()[1::2]
    assert [Path(path).name for path in shown][-1] == "nvme.ko"
    assert {str(Path(path).relative_to(target)) for path in shown} == {
        "kernel/drivers/nvme/host/nvme.ko",
        *few["kernel/drivers/nvme/host/nvme.ko"],
    }
    assert set(modprobe(target, "--resolve-alias", NVME).split()) == {"nvme"}
    assert modprobe(target, "--resolve-alias", "xen:vbd").split() == ["xen_blkfront"]
