"""What to add to an initramfs so that drivers load in it: the modules, and indexes to find them.

The result is one archive for `initramfs.append`. In it are the missing modules with all they
depend on, decompressed (so that nothing in the initramfs must know how), and module indexes that
say what the initramfs' own say and, beyond that, what the added modules need. Everything else in
the initramfs stays: nothing is loaded that was not, except through udev, which finds drivers by
their aliases, and through the list of modules to load that the initramfs' program reads
(`initramfs_load`).

All inputs come from the guest: paths in its indexes are checked before they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, compression, cpio, initramfs_load, kmod, kmod_index
from converter.formats.initramfs_tree import join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from converter.formats.initramfs import Image

# The storage drivers of EC2 with all their dependencies are about 2 MiB.
_TOTAL_LIMIT: Final = 256 << 20
_ELF: Final = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class KernelModules:
    """The modules that the guest's root filesystem has for a kernel: the texts of their indexes.

    `load` gives the bytes of a module file by its path in modules.dep, made relative to the
    directory of the release.
    """

    release: str
    load: Callable[[str], bytes]
    dep: str
    alias: str = ""
    softdep: str = ""
    builtin: str = ""


@dataclass(frozen=True, slots=True)
class Addition:
    """What adding drivers comes to.

    `archive` is a newc archive, None if nothing is missing. `added` are the paths in the
    initramfs of the modules in it, in an order that loads. `unavailable` are the wanted modules
    that neither the initramfs nor the kernel nor the root filesystem has.
    """

    archive: bytes | None
    added: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()


def add_drivers(
    image: Image,
    modules: KernelModules,
    wanted: Iterable[str],
    *,
    extra: Mapping[str, bytes] = MappingProxyType({}),
) -> Addition:
    """Work out what `image` lacks to load the modules `wanted` (names) under the release's kernel.

    `extra` are further files (configuration, by path) that are to be in the archive.
    Modules that are built into the kernel count as present. Raises `FormatError` when a module
    that is needed is said to be elsewhere than with the others, or is not what its name says, or
    could not be found in the image; `load` may raise what it wants.
    """
    names = tuple(dict.fromkeys(kmod.normalise(name) for name in wanted))
    plan = _FlatPlan if image.generator == "nash" else _Plan
    return plan(image, modules, names).addition(extra)


class _Plan:
    """The indexes of both sides, and what follows from them."""

    def __init__(self, image: Image, modules: KernelModules, wanted: tuple[str, ...]) -> None:
        self.image = image
        self.modules = modules
        self.wanted = wanted
        self.directory = _place(image, f"lib/modules/{modules.release}")
        self.dep = _relative(kmod.parse_dep(modules.dep), modules.release)
        self.names = kmod.paths_by_name(self.dep)
        self.aliases = kmod.parse_alias(modules.alias)
        self.softdeps = kmod.parse_softdep(modules.softdep)
        self.present = self._present()
        self.builtin = {*kmod.parse_builtin(modules.builtin)}
        self.builtin |= {*kmod.parse_builtin(self._text("modules.builtin") or "")}

    def _present(self) -> dict[str, str]:
        return self.image.module_files(self.modules.release)

    def addition(self, extra: Mapping[str, bytes]) -> Addition:
        missing = self._missing()
        there = self.present.keys() | self.builtin | self.names.keys()
        unavailable = tuple(name for name in self.wanted if name not in there)
        files = dict(self._module_files(missing))
        added = tuple(files)
        files |= self._indexes(missing) if missing else {}
        if missing or not self.image.has_udev:
            loadable = self.present.keys() | self.names.keys()
            names = [name for name in self.wanted if name in loadable]
            extra = initramfs_load.load_always(self.image, names, added, changed=extra)
        files |= {_place(self.image, path): data for path, data in extra.items()}
        return Addition(_archive(self.image, files) if files else None, added, unavailable)

    def _text(self, name: str) -> str | None:
        data = self.image.read(f"{self.directory}/{name}")
        return None if data is None else data.decode("utf-8", "surrogateescape")

    def _missing(self) -> tuple[str, ...]:
        """Give the paths in the root of what must be added, in an order that loads."""
        paths = kmod.closure(self.dep, self.wanted, softdeps=self.softdeps, aliases=self.aliases)
        there = self.present.keys() | self.builtin
        missing = tuple(path for path in paths if kmod.module_name(path) not in there)
        if missing and self.image.inner:
            raise FormatError(f"its files are in another image inside of it, {self.image.inner}")
        for path in missing:
            _check(path, self.modules.release)
        return missing

    def _module_files(self, missing: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        total = 0
        for path in missing:
            data = compression.decompress_module(self.modules.load(path), path)
            if not data.startswith(_ELF):
                raise FormatError(f"{path} is not a kernel module: it starts with {data[:4]!r}")
            total += len(data)
            if total > _TOTAL_LIMIT:
                raise FormatError(f"the missing modules hold more than {_TOTAL_LIMIT} bytes")
            yield self._place(path), data

    def _place(self, path: str) -> str:
        """Give where a module goes, from its path in the root."""
        return _place(self.image, f"{self.directory}/{kmod.plain_path(path)}")

    # --- the indexes ------------------------------------------------------------------------------

    def _indexes(self, missing: Sequence[str]) -> dict[str, bytes]:
        """Give the module indexes to write, by path."""
        paths = self.present | {kmod.module_name(path): kmod.plain_path(path) for path in missing}
        dep = self._merged_dep(paths)
        aliases = self._merged_aliases(paths)
        order = [kmod.module_name(path) for path in dep]
        texts = {
            "modules.dep": kmod.format_dep(dep),
            "modules.alias": kmod.format_alias(aliases),
        }
        files = (
            {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
            | {
                "modules.dep.bin": kmod_index.write_dep(dep),
                "modules.alias.bin": kmod_index.write_alias(aliases, order=order),
            }
            | self._softdep_index(paths)
            | self._builtin_indexes()
        )
        return {f"{self.directory}/{name}": data for name, data in files.items()}

    def _merged_dep(self, paths: Mapping[str, str]) -> kmod.Dependencies:
        """Give modules.dep of the modules in `paths` (name → path), the image's own first."""
        own = self._own_dep()
        merged: kmod.Dependencies = {}
        for path, needs in (*own.items(), *self.dep.items()):
            name = kmod.module_name(path)
            if name in paths:
                there = (paths.get(kmod.module_name(need)) for need in needs)
                merged.setdefault(paths[name], tuple(need for need in there if need))
        return merged | {path: () for path in paths.values() if path not in merged}

    def _own_dep(self) -> kmod.Dependencies:
        text = self._text("modules.dep")
        if text is None:
            data = self.image.read(f"{self.directory}/modules.dep.bin")
            own = {} if data is None else kmod_index.read_dep(data)
        else:
            own = kmod.parse_dep(text)
        return _relative(own, self.modules.release)

    def _merged_aliases(self, paths: Mapping[str, str]) -> tuple[kmod.Alias, ...]:
        """Give the aliases of the modules in `paths`, the image's own first."""
        own = self._own_aliases()
        known = {alias.module for alias in own}
        new = (a for a in self.aliases if a.module in paths and a.module not in known)
        return (*own, *new)

    def _own_aliases(self) -> tuple[kmod.Alias, ...]:
        text = self._text("modules.alias")
        if text is not None:
            return kmod.parse_alias(text)
        data = self.image.read(f"{self.directory}/modules.alias.bin")
        return () if data is None else kmod_index.read_alias(data)

    def _softdep_index(self, paths: Mapping[str, str]) -> dict[str, bytes]:
        own = kmod.parse_softdep(self._text("modules.softdep") or "")
        known = {soft.module for soft in own}
        new = [s for s in self.softdeps if s.module in paths and s.module not in known]
        if not new:
            return {}
        text = kmod.format_softdep((*own, *new))
        return {"modules.softdep": text.encode("utf-8", "surrogateescape")}

    def _builtin_indexes(self) -> dict[str, bytes]:
        """Give the lists of what is built in, where the image has none."""
        text = self.modules.builtin
        names = {"modules.builtin", "modules.builtin.bin"}
        if not text or any(f"{self.directory}/{name}" in self.image.files for name in names):
            return {}
        return {
            "modules.builtin": text.encode("utf-8", "surrogateescape"),
            "modules.builtin.bin": kmod_index.write_builtin(kmod.parse_builtin(text)),
        }


class _FlatPlan(_Plan):
    """The plan for an image that is made for one kernel: modules in /lib, without indexes."""

    def _present(self) -> dict[str, str]:
        return self.image.flat_modules()

    def _place(self, path: str) -> str:
        return _place(self.image, f"lib/{kmod.plain_path(path).rpartition('/')[2]}")

    def _indexes(self, missing: Sequence[str]) -> dict[str, bytes]:  # noqa: ARG002 - none
        return {}


def _relative(dependencies: kmod.Dependencies, release: str) -> kmod.Dependencies:
    """Give modules.dep with paths relative to the directory of the release.

    module-init-tools before 3.4 wrote them absolute.
    """
    base = f"/lib/modules/{release}/"
    return {
        path.removeprefix(base): tuple(need.removeprefix(base) for need in needs)
        for path, needs in dependencies.items()
    }


def _check(path: str, release: str) -> None:
    """Raise `FormatError` for a path that leads out of the directory, or is not a module's."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or not kmod.MODULE_FILE.fullmatch(parts[-1]):
        raise FormatError(f"modules.dep of {release}: {path!r} is not the path of a module in it")


def _place(image: Image, path: str) -> str:
    """Give where `path` would come to lie: links are followed as far as the path exists."""
    head, tail = path, ""
    while head:
        real = image.resolve(head)
        if real is not None:
            return join(real, tail) if tail else real
        head, _, name = head.rpartition("/")
        tail = f"{name}/{tail}" if tail else name
    return tail


def _archive(image: Image, files: Mapping[str, bytes]) -> bytes:
    """Give the archive of `files` by path, and of the directories for them that are missing."""
    directories = {
        "/".join(parts[:depth])
        for parts in (path.split("/") for path in files)
        for depth in range(1, len(parts))
    }
    items = [
        cpio.Item(path, cpio.Kind.DIRECTORY)
        for path in sorted(directories)
        if path not in image.files
    ]
    items += [_item(image, path, files[path]) for path in sorted(files)]
    return cpio.write(items)


def _item(image: Image, path: str, data: bytes) -> cpio.Item:
    """Give a file to write, with the permissions of the one that it replaces."""
    old = image.files.get(path)
    return cpio.Item(path, data=data, permissions=None if old is None else old.mode)
