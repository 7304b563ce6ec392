r"""INF files of Windows: what a driver package drives, on which Windows, and by which service.

learn.microsoft.com, "INF File Sections and Directives": sections of `key = value, value` lines,
names without regard to case, sections of one name joined; `;` comments, `"` quotes (doubled inside
of quotes), `\` at a line's end goes on; `%name%` stands for a line of [Strings]. UTF-16 with a
byte-order mark, or text of some code page, of which only ASCII matters here.

A model line counts for a Windows when its section's decoration does ("INF Manufacturer Section",
TargetOSVersion): NT[architecture][.major[.minor[.type[.suite[.build]]]]]; of several of one maker
the newest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIMIT: Final = 4 << 20
_LINES: Final = 100_000
# Strings can stand for much more than there is: what a line, a string and all of it may have.
_LINE: Final = 64 << 10
_SUBSTITUTED: Final = 4096
_TOTAL: Final = 4 * LIMIT
_STRING: Final = re.compile(r"%([^%\s][^%]*)%")
_DECORATION: Final = re.compile(
    r"NT(?P<architecture>x86|amd64|arm64|arm|ia64)?(?P<rest>(?:\.[^.]*)*)", re.I
)
_DRIVER_VER: Final = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,3}")
ARCHITECTURES: Final = {"amd64": "x86_64", "x86": "i686", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a section: `key` is "" where there is no `=`; strings are put in."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class TargetOS:
    """The Windows that a models section is for; 0 where it does not say."""

    major: int = 0
    minor: int = 0
    build: int = 0
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    """A device by its identifiers, what installs it, and the Windows that it is for."""

    target: TargetOS
    install: str
    hardware_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A service that a device is driven by; numbers as in the registry, None where not given."""

    name: str
    binary: str
    start: int | None
    kind: int | None
    error_control: int | None


class Inf:
    """A parsed INF file."""

    def __init__(self, sections: Mapping[str, tuple[Line, ...]]) -> None:
        """Take sections by their lower-case names."""
        self.sections = sections

    def lines(self, section: str) -> tuple[Line, ...]:
        """Give the lines of a section, none when it is not there."""
        return self.sections.get(section.lower(), ())

    def value(self, section: str, key: str) -> str:
        """Give the first value of `key`, "" when it is not there."""
        found = (line for line in self.lines(section) if line.key.lower() == key.lower())
        return next((line.values[0] for line in found if line.values), "")

    @property
    def version(self) -> str:
        """The driver's version (DriverVer's second value), "" without one."""
        for line in self.lines("Version"):
            if line.key.lower() == "driverver" and len(line.values) > 1:
                found = _DRIVER_VER.fullmatch(line.values[1])
                return found[0] if found else ""
        return ""

    def files(self, architecture: str) -> tuple[str, ...]:
        """Give what the INF copies on an architecture, and the catalogs that vouch for it.

        The files are relative to the INF, with backslashes.
        """
        found: dict[str, str] = {}
        for name in self._decorated("SourceDisksFiles", architecture):
            for line in filter(lambda line: line.key, self.lines(name)):
                disk, folder = (*line.values, "", "")[:2]
                parts = (self._disk(disk, architecture), folder, line.key)
                path = "\\".join(part.strip("\\") for part in parts if part.strip("\\"))
                found.setdefault(line.key.lower(), path)
        # What is not listed is next to the INF, or Windows has it.
        if not self.value("Version", "LayoutFile"):
            for name in self._copied(architecture):
                found.setdefault(name.lower(), name)
        for catalog in self._catalogs(architecture):
            found.setdefault(catalog.lower(), catalog)
        return tuple(dict.fromkeys(found.values()))

    def _decorated(self, section: str, architecture: str) -> tuple[str, ...]:
        """Give what a section can be called on an architecture, what comes first counts."""
        names = [name for name, ours in ARCHITECTURES.items() if ours == architecture]
        return (*(f"{section}.{name}" for name in names), section)

    def _disk(self, disk: str, architecture: str) -> str:
        """Give the folder of a source disk (the fourth value of its line)."""
        for name in self._decorated("SourceDisksNames", architecture):
            for line in self.lines(name):
                if line.key == disk and len(line.values) > 3:
                    return line.values[3]
        return ""

    def _copied(self, architecture: str) -> Iterator[str]:
        """Give the files that are copied, by the names that they have in the package."""
        sections = dict.fromkeys(
            value
            for name, lines in self.sections.items()
            if _is_for(name, architecture)
            for line in lines
            if line.key.lower() == "copyfiles"
            for value in line.values
            if value
        )
        for name in sections:
            if name.startswith("@"):
                yield name[1:]
                continue
            for line in self.lines(name):
                target, source = (*line.values, "", "")[:2]
                if source or target:
                    yield source or target

    def _catalogs(self, architecture: str) -> Iterator[str]:
        for line in self.lines("Version"):
            key, _, decoration = line.key.lower().partition(".")
            if key == "catalogfile" and line.values and _is_for(f".{decoration}", architecture):
                yield line.values[0]

    def devices(self, architecture: str, version: tuple[int, int, int]) -> tuple[Model, ...]:
        """Give the devices on a Windows: its `version` is major, minor and build."""
        sections = dict.fromkeys(
            found
            for maker in self.lines("Manufacturer")
            if (found := self._models_section(maker, architecture, version)) is not None
        )
        return tuple(model for found in sections for model in self._models(*found))

    def _models_section(
        self, maker: Line, architecture: str, version: tuple[int, int, int]
    ) -> tuple[TargetOS, str] | None:
        """Give the one section of a maker that this Windows would take."""
        section, *decorations = maker.values or (maker.key,)
        fitting: list[tuple[TargetOS, str]] = []
        for decoration in ("", *decorations):
            target = _target(decoration)
            # Without an architecture it is for x86, and for no other.
            if target is None or (target.architecture or "i686") != architecture:
                continue
            if (target.major, target.minor, target.build) <= version:
                name = f"{section}.{decoration}" if decoration else section
                fitting.append((target, name))
        return max(fitting, default=None)

    def _models(self, target: TargetOS, section: str) -> Iterator[Model]:
        for line in self.lines(section):
            if len(line.values) > 1:
                ids = tuple(value.upper() for value in line.values[1:] if value)
                yield Model(target, line.values[0], ids)

    def services(self, model: Model) -> tuple[Service, ...]:
        """Give the services of a device: those of the most decorated section that there is."""
        for suffix in self._suffixes(model):
            lines = self.lines(f"{model.install}{suffix}.Services")
            if lines:
                return tuple(
                    self._service(line.values[0], line.values[2])
                    for line in lines
                    if line.key.lower() == "addservice" and len(line.values) > 2
                )
        return ()

    @staticmethod
    def _suffixes(model: Model) -> tuple[str, ...]:
        names = [name for name, ours in ARCHITECTURES.items() if ours == model.target.architecture]
        return (*(f".NT{name}" for name in names), ".NT", "")

    def _service(self, name: str, section: str) -> Service:
        return Service(
            name,
            self.value(section, "ServiceBinary"),
            _number(self.value(section, "StartType")),
            _number(self.value(section, "ServiceType")),
            _number(self.value(section, "ErrorControl")),
        )


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _is_for(section: str, architecture: str) -> bool:
    """Tell whether a section's decoration leaves it to an architecture."""
    for part in section.lower().split(".")[1:]:
        name = part.removeprefix("nt")
        if part.startswith("nt") and name in (*ARCHITECTURES, "arm", "ia64"):
            return ARCHITECTURES.get(name) == architecture
    return True


def _target(decoration: str) -> TargetOS | None:
    """Read a decoration; None for one of a processor that no EC2 guest has."""
    if not decoration:
        return TargetOS()
    found = _DECORATION.fullmatch(decoration)
    if found is None:
        return None
    name = (found["architecture"] or "").lower()
    if name and name not in ARCHITECTURES:
        return None
    # .major.minor.type.suite.build, each of which may be empty.
    parts = [_number(part) or 0 for part in found["rest"].split(".")[1:]]
    major, minor, _, _, build = (*parts, 0, 0, 0, 0, 0)[:5]
    return TargetOS(major, minor, build, ARCHITECTURES.get(name, ""))


def decode(data: bytes) -> str:
    """Give the text of an INF file. Raises `FormatError`."""
    if len(data) > LIMIT:
        raise FormatError(f"has {len(data)} bytes, more than an INF file")
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16")
        return data.decode("utf-8-sig", "surrogateescape")
    except UnicodeDecodeError as error:
        raise FormatError(f"is no text: {error}") from error


def parse(text: str) -> Inf:
    """Parse an INF file. Raises `FormatError` for a text that is none."""
    raw: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(_joined(text)):
        if number > _LINES:
            raise FormatError(f"has more than {_LINES} lines")
        if line.startswith("["):
            name, bracket, _ = line[1:].partition("]")
            if not bracket:
                raise FormatError(f"a section has no end: {line[:80]!r}")
            current = raw.setdefault(name.strip().lower(), [])
        elif current is not None:
            current.append(line)
    if "version" not in raw:
        raise FormatError("has no section [Version]")
    return Inf(_substituted(raw, _strings(raw)))


def _substituted(
    raw: Mapping[str, list[str]], strings: Mapping[str, str]
) -> dict[str, tuple[Line, ...]]:
    """Give the lines with what they mean, as long as that has bounds."""
    sections = {}
    total = 0
    for name, texts in raw.items():
        known = strings if name.split(".")[0] != "strings" else {}
        lines = []
        for text in texts:
            line = _line(text, known)
            total += len(line.key) + sum(map(len, line.values))
            if total > _TOTAL:
                raise FormatError(f"its strings stand for more than {_TOTAL} characters")
            lines.append(line)
        sections[name] = tuple(lines)
    return sections


def _joined(text: str) -> Iterator[str]:
    """Give the lines that say something, without comments, with those that go on joined."""
    kept = ""
    for line in text.splitlines():
        plain = _without_comment(line).strip()
        if len(kept) + len(plain) > _LINE:
            raise FormatError(f"has a line of more than {_LINE} characters")
        if plain.endswith("\\") and not plain.startswith("["):
            kept += plain[:-1].rstrip() + " "
            continue
        whole = (kept + plain).strip()
        kept = ""
        if whole:
            yield whole
    if kept.strip():
        yield kept.strip()


def _without_comment(line: str) -> str:
    """Cut a comment off: a `;` outside of quotes."""
    if ";" not in line:
        return line
    pieces = line.split('"')
    for number in range(0, len(pieces), 2):
        before, found, _ = pieces[number].partition(";")
        if found:
            return '"'.join([*pieces[:number], before])
    return line


def _strings(raw: Mapping[str, list[str]]) -> dict[str, str]:
    """Give what `%name%` stands for: the English of several languages."""
    found: dict[str, str] = {}
    for section in ("strings.0009", "strings.0409", "strings"):
        for text in raw.get(section, ()):
            line = _line(text, {})
            if line.key and line.values:
                found[line.key.lower()] = line.values[0][:_SUBSTITUTED]
    return found


def _line(text: str, strings: Mapping[str, str]) -> Line:
    key, values = "", text
    place = _outside(text, "=")
    if place >= 0:
        key, values = text[:place].strip(), text[place + 1 :]
    parts = tuple(_value(part, strings) for part in _split(values))
    return Line(_value(key, strings), parts if parts != ("",) else ())


def _outside(text: str, character: str) -> int:
    """Give where `character` is first outside of quotes, -1 if nowhere."""
    place = 0
    for number, piece in enumerate(text.split('"')):
        if number % 2 == 0:
            found = piece.find(character)
            if found >= 0:
                return place + found
        place += len(piece) + 1
    return -1


def _split(text: str) -> Iterator[str]:
    """Give what is between commas outside of quotes."""
    current: list[str] = []
    for number, piece in enumerate(text.split('"')):
        if number:
            current.append('"')
        if number % 2:
            current.append(piece)
            continue
        first, *others = piece.split(",")
        current.append(first)
        for other in others:
            yield "".join(current)
            current = [other]
    yield "".join(current)


def _value(text: str, strings: Mapping[str, str]) -> str:
    plain = text.strip()
    if len(plain) >= 2 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1].replace('""', '"')
    return _STRING.sub(lambda found: strings.get(found[1].lower(), found[0]), plain)
