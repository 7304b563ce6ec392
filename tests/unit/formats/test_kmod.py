"""The text indexes of depmod; the samples are lines as kmod 30 writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import kmod
from converter.formats.kmod import Alias, SoftDependency

DEP = """\
kernel/drivers/nvme/host/nvme-core.ko: kernel/block/t10-pi.ko kernel/lib/crc-t10dif.ko
kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/host/nvme-core.ko kernel/block/t10-pi.ko \
kernel/lib/crc-t10dif.ko
kernel/block/t10-pi.ko: kernel/lib/crc-t10dif.ko
kernel/lib/crc-t10dif.ko:
kernel/crypto/crct10dif_generic.ko.xz:
"""
NVME = "kernel/drivers/nvme/host/nvme.ko"
CORE = "kernel/drivers/nvme/host/nvme-core.ko"
T10 = "kernel/block/t10-pi.ko"
CRC = "kernel/lib/crc-t10dif.ko"
GENERIC = "kernel/crypto/crct10dif_generic.ko.xz"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/block/xen-blkfront.ko", "xen_blkfront"),
        ("extra/a.ko.xz", "a"),
        ("b-c.ko.zst", "b_c"),
    ],
)
def test_names(path: str, name: str) -> None:
    assert kmod.module_name(path) == name


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_plain_paths(suffix: str) -> None:
    assert kmod.plain_path(f"kernel/a.ko{suffix}") == "kernel/a.ko"


def test_dep() -> None:
    dep = kmod.parse_dep(DEP)
    assert dep[CORE] == (T10, CRC)
    assert dep[CRC] == ()
    assert kmod.format_dep(dep) == DEP


def test_dep_passes_over_what_is_not_a_line_of_it() -> None:
    assert kmod.parse_dep("# comment\n\nnonsense\na.ko: b.ko\na.ko:\n") == {"a.ko": ("b.ko",)}


def test_alias() -> None:
    text = (
        "# Aliases extracted from modules themselves.\n"
        "alias pci:v*d*sv*sd*bc01sc08i02* nvme\n"
        "alias xen:vbd xen_blkfront\n"
    )
    aliases = kmod.parse_alias(text + "alias incomplete\n")
    assert aliases[1] == Alias("xen:vbd", "xen_blkfront")
    assert kmod.format_alias(aliases) == text


def test_softdep() -> None:
    text = (
        "# Soft dependencies extracted from modules themselves.\n"
        "softdep ext4 pre: crypto-crc32c mbcache post: x\n"
        "softdep cifs gcm\n"
    )
    ext4, cifs = kmod.parse_softdep(text)
    assert (ext4.module, ext4.pre, ext4.post) == ("ext4", ("crypto-crc32c", "mbcache"), ("x",))
    assert (cifs.pre, cifs.post) == ((), ())
    assert kmod.format_softdep((ext4, cifs)) == text


def test_builtin() -> None:
    text = "kernel/fs/ext4/ext4.ko\nkernel/drivers/net/xen-netfront.ko\n"
    assert kmod.parse_builtin(text) == ("ext4", "xen_netfront")


@pytest.mark.parametrize(
    ("pattern", "normalised"),
    [
        ("usb-storage", "usb_storage"),
        ("a-[0-9]-b", "a_[0-9]_b"),
        ("a[", None),
        ("a]-", None),
        ("[a-b]]", None),
    ],
)
def test_alias_patterns(pattern: str, normalised: str | None) -> None:
    assert kmod.normalise_alias(pattern) == normalised


def test_closure_loads_what_is_needed_first() -> None:
    assert kmod.closure(kmod.parse_dep(DEP), ["nvme"]) == (CRC, T10, CORE, NVME)


def test_closure_takes_soft_dependencies_through_aliases() -> None:
    softdeps = (SoftDependency("crc_t10dif", ("pre:", "crct10dif", "nothing")),)
    aliases = (Alias("crct10dif", "crct10dif_generic"), Alias("*", "not-there"))
    paths = kmod.closure(kmod.parse_dep(DEP), ["t10-pi"], softdeps=softdeps, aliases=aliases)
    assert paths == (GENERIC, CRC, T10)


def test_closure_of_what_is_not_there_is_empty() -> None:
    assert kmod.closure(kmod.parse_dep(DEP), ["ena"]) == ()


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefghi"), max_size=4)
    ),
    st.lists(st.sampled_from("abcdefghi"), max_size=4),
)
def test_closure_is_complete_and_ends_even_in_circles(
    graph: dict[str, list[str]], wanted: list[str]
) -> None:
    dep = {f"{name}.ko": tuple(f"{need}.ko" for need in needs) for name, needs in graph.items()}
    paths = kmod.closure(dep, wanted)
    assert len(set(paths)) == len(paths)
    assert {f"{name}.ko" for name in wanted} & dep.keys() <= set(paths)
    for path in paths:
        assert set(dep[path]) & dep.keys() <= set(paths)


def test_what_is_kept_from_loading() -> None:
    """modprobe.d(5)."""
    text = "# blacklist a\nblacklist xen-blkfront\ninstall b /bin/false\nblacklist\n"
    text += "options c d=1\ninstall nvme /sbin/modprobe --ignore-install nvme\n"
    assert kmod.parse_blocked(text) == {"xen_blkfront", "b"}


def test_aliases_that_cannot_match_cost_nothing() -> None:
    """A hostile index: a million patterns, each of which would be compiled."""
    aliases = [Alias(f"pci:*a*b{number}*", "x") for number in range(20_000)]
    assert kmod.resolve(
        "crypto-crc32c", names=(), aliases=[*aliases, Alias("crypto-*c", "crc")]
    ) == ("crc",)
    likely = [Alias(f"crypto*{number}*x", "x") for number in range(20_000)]
    assert kmod.resolve("crypto-crc32c", names=(), aliases=likely) == ()


def test_soft_dependencies_are_bounded() -> None:
    words = ("pre:", *(f"m{number}" for number in range(1000)))
    names = ("a", *(f"m{number}" for number in range(1000)))
    dependencies: kmod.Dependencies = {f"{name}.ko": () for name in names}
    found = kmod.closure(dependencies, ["a"], softdeps=[SoftDependency("a", words)])
    assert len(found) < 200
    assert found[-1] == "a.ko"
