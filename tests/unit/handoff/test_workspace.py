from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from converter.errors import ConversionError, HostError, UsageError
from converter.handoff import locked, publication
from converter.handoff.workspace import Workspace, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BAD_TOO = ["\udcff", "a\u202eb", "x" * 201, "ü" * 101]
FINALS = ["web.raw", "web-1.raw", "web.report.html", "web.manifest.json"]


class KilledError(BaseException):
    """The end of a process without any clearing away."""


def convert(
    output: Path,
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> None:
    """Run what a conversion does with its workspace, and something before and after publishing."""
    with Workspace(output, "web") as space:
        fill(space)
        before()
        space.publish(FINALS)
        after()


def fill(space: Workspace) -> None:
    for final in FINALS:
        space.staged(final).write_text(f"content of {final}")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def abandon(space: Workspace) -> None:
    """Let the lock go as the end of the process does; everything else stays."""
    os.close(space._lock)
    space._publishing.close()


def publish_and_be_killed(
    monkeypatch: pytest.MonkeyPatch,
    output: Path,
    at: tuple[Any, str, int],
    *,
    links: bool = True,
) -> Workspace:
    """Publish up to call `at` (object, function, number), and end there as a killed process."""
    space = Workspace(output, "web").__enter__()
    fill(space)
    with monkeypatch.context() as patch:
        if not links:
            without_links(patch)
        kill_at(patch, *at)
        with contextlib.suppress(KilledError):
            space.publish(FINALS)
    abandon(space)
    return space


def kill_at(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, call: int) -> None:
    """Have call number `call` of a function end the run before it does anything."""
    real, calls = getattr(target, name), iter(range(1000))

    def limited(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == call:
            raise KilledError
        return real(*args, **kwargs)

    monkeypatch.setattr(target, name, limited)


def without_links(monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> None:
    def link(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)


def test_publishes_everything_and_leaves_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    with Workspace(output, "web") as space:
        fill(space)
        assert names(output) == [".web.partial"]
        space.publish(FINALS)
    assert names(output) == sorted(FINALS)
    assert (output / "web-1.raw").read_text() == "content of web-1.raw"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException], moment: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(error):
        convert(tmp_path, **{moment: fail})
    assert names(tmp_path) == []


class TestSignals:
    """Once the first file has its name, the result is there."""

    @pytest.fixture(autouse=True)
    def handler(self) -> Iterator[None]:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield
        signal.signal(signal.SIGTERM, before)

    @pytest.mark.parametrize("number", range(len(FINALS)))
    def test_while_it_is_published(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        place = publication._place
        placed: list[Path] = []

        def interrupted(staged: Path, final: Path) -> None:
            if len(placed) == number:
                signal.raise_signal(signal.SIGTERM)
            place(staged, final)
            placed.append(final)

        monkeypatch.setattr(publication, "_place", interrupted)
        convert(tmp_path)
        assert names(tmp_path) == sorted(FINALS)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler

    def test_while_it_is_left(self, tmp_path: Path) -> None:
        convert(tmp_path, after=lambda: signal.raise_signal(signal.SIGTERM))
        assert names(tmp_path) == sorted(FINALS)

    def test_before(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            convert(tmp_path, before=lambda: signal.raise_signal(signal.SIGTERM))
        assert names(tmp_path) == []

    def test_that_it_is_done_is_told_before_any_can_come(self, tmp_path: Path) -> None:
        told: list[Any] = []

        def published() -> None:
            told.append(names(tmp_path))
            signal.raise_signal(signal.SIGTERM)
            told.append("nothing came")

        def run() -> None:
            with Workspace(tmp_path, "web", published=published) as space:
                fill(space)
                space.publish(FINALS)

        # The one that came then is for whoever is told to deal with.
        with pytest.raises(KeyboardInterrupt):
            run()
        assert told == [sorted(FINALS), "nothing came"]
        assert names(tmp_path) == sorted(FINALS)

    def test_of_what_failed_nothing_is_told(self, tmp_path: Path) -> None:
        told: list[bool] = []

        def run() -> None:
            with Workspace(tmp_path, "web", published=lambda: told.append(True)) as space:
                fill(space)
                space.publish(FINALS)
                raise ValueError("late")

        with pytest.raises(ValueError, match="late"):
            run()
        assert not told
        assert names(tmp_path) == []


class TestAKilledRun:
    """What it left, at every point, is taken back or kept by the next run."""

    @pytest.mark.parametrize("links", [True, False])
    @pytest.mark.parametrize("point", range(len(FINALS)))
    def test_before_the_last_file_nothing_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: int, *, links: bool
    ) -> None:
        publish_and_be_killed(monkeypatch, tmp_path, (publication, "_place", point), links=links)
        assert len([name for name in names(tmp_path) if name in FINALS]) == point
        with Workspace(tmp_path, "web"):
            assert names(tmp_path) == [".web.partial"]
        assert names(tmp_path) == []

    def test_between_reserving_a_name_and_the_rename(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point = (type(tmp_path), "replace", 1)
        publish_and_be_killed(monkeypatch, tmp_path, point, links=False)
        assert (tmp_path / "web-1.raw").stat().st_size == 0
        with Workspace(tmp_path, "web"):
            assert names(tmp_path) == [".web.partial"]

    @pytest.mark.parametrize("links", [True, False])
    def test_after_the_last_file_everything_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
    ) -> None:
        point = (publication, "_place", len(FINALS))
        publish_and_be_killed(monkeypatch, tmp_path, point, links=links)
        with pytest.raises(UsageError) as caught, Workspace(tmp_path, "web"):
            pass
        assert caught.value.code == "output-exists"
        assert names(tmp_path) == sorted(FINALS)

    def test_files_of_others_are_not_taken_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish_and_be_killed(monkeypatch, tmp_path, (publication, "_place", 2))
        (tmp_path / "web-1.raw").unlink()
        (tmp_path / "web-1.raw").write_text("mine")
        (tmp_path / "web.report.html").touch()
        with pytest.raises(UsageError), Workspace(tmp_path, "web"):
            pass
        assert names(tmp_path) == ["web-1.raw", "web.report.html"]

    def test_when_the_journal_was_cut_short(self, tmp_path: Path) -> None:
        space = Workspace(tmp_path, "web").__enter__()
        fill(space)
        (space.directory / ".journal").write_bytes(b'{"finals": {"web.raw"')
        abandon(space)
        with Workspace(tmp_path, "web"):
            assert names(space.directory) == [locked.LOCK, "work"]

    def test_an_inode_that_became_another_file_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once taken back, the journal is gone before the inodes of the staged files are free."""
        space = publish_and_be_killed(monkeypatch, tmp_path, (publication, "_place", 2))
        kill_at(monkeypatch, locked, "clear", 0)
        with pytest.raises(KilledError):
            Workspace(tmp_path, "web").__enter__()
        assert not (space.directory / ".journal").exists()


class TestTakenNames:
    @pytest.mark.parametrize("final", ["web.raw", "web.manifest.json", "web.report.html"])
    def test_are_refused_before_any_work(self, tmp_path: Path, final: str) -> None:
        (tmp_path / final).symlink_to("nowhere")
        with pytest.raises(UsageError) as caught, Workspace(tmp_path, "web"):
            pass
        assert caught.value.code == "output-exists"
        assert names(tmp_path) == [final]

    def test_by_the_source_are_never_to_be_removed(self, tmp_path: Path) -> None:
        (tmp_path / "web.raw").touch()
        (tmp_path / "again").hardlink_to(tmp_path / "web.raw")
        sources = [tmp_path / "again"]
        with pytest.raises(UsageError) as caught, Workspace(tmp_path, "web", sources=sources):
            pass
        assert caught.value.code == "output-exists"
        assert "the source itself" in caught.value.message
        assert "remove" not in caught.value.hint

    def test_of_further_disks_are_refused_when_they_are_known(self, tmp_path: Path) -> None:
        (tmp_path / "web-1.raw").write_text("mine")
        with Workspace(tmp_path, "web") as space:
            space.staged("web.raw")
            with pytest.raises(UsageError, match="exists already"):
                space.staged("web-1.raw")
        assert (tmp_path / "web-1.raw").read_text() == "mine"

    @pytest.mark.parametrize("links", [True, False])
    def test_are_not_overwritten_when_taken_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
    ) -> None:
        if not links:
            without_links(monkeypatch)
        with pytest.raises(ConversionError) as caught:
            convert(tmp_path, before=(tmp_path / "web.report.html").touch)
        assert (caught.value.code, caught.value.exit_code) == ("publish-failed", 6)
        assert names(tmp_path) == ["web.report.html"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_publishes_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without_links(monkeypatch, number)
    with Workspace(tmp_path, "web") as space:
        fill(space)
        space.publish(FINALS)
    assert names(tmp_path) == sorted(FINALS)
    assert (tmp_path / "web.raw").read_text() == "content of web.raw"


def test_directories_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VirtualBox' shared folders have no fsync(2) for them."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    convert(tmp_path, before=lambda: monkeypatch.setattr(os, "fsync", fsync))
    assert names(tmp_path) == sorted(FINALS)


def test_directories_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def open_(path: Any, *args: Any, **kwargs: Any) -> int:
        if path == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *args, **kwargs)

    convert(tmp_path, before=lambda: monkeypatch.setattr(os, "open", open_))
    assert names(tmp_path) == sorted(FINALS)


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (errno.ENOSPC, "disk-full", HostError),
        (errno.EDQUOT, "disk-full", HostError),
        (errno.EIO, "publish-failed", ConversionError),
    ],
)
@pytest.mark.parametrize("call", ["write_bytes", "link", "fsync"])
def test_a_failing_disk_publishes_nothing(  # noqa: PLR0917
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
    kind: type[ConversionError],
    call: str,
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    owner = type(tmp_path) if call == "write_bytes" else os
    with pytest.raises(kind) as caught:
        convert(tmp_path, before=lambda: monkeypatch.setattr(owner, call, fail))
    assert caught.value.code == code
    assert os.strerror(number) in caught.value.message
    assert names(tmp_path) == []


class TestTheDirectory:
    def test_is_held_against_other_runs(self, tmp_path: Path) -> None:
        with Workspace(tmp_path, "web") as space:
            fill(space)
            with pytest.raises(UsageError) as caught, Workspace(tmp_path, "web"):
                pass
            assert caught.value.code == "output-busy"
            space.publish(FINALS)
            with Workspace(tmp_path, "web-2"):
                pass
        assert names(tmp_path) == sorted(FINALS)

    def test_is_never_a_link_to_another(self, tmp_path: Path) -> None:
        treasure = tmp_path / "treasure"
        treasure.mkdir()
        (treasure / "gold").touch()
        (tmp_path / ".web.partial").symlink_to(treasure)
        with pytest.raises(UsageError, match="in the way"), Workspace(tmp_path, "web"):
            pass
        assert names(treasure) == ["gold"]

    def test_is_never_one_that_was_not_made_here(self, tmp_path: Path) -> None:
        precious = tmp_path / ".web.partial" / "precious.raw"
        precious.parent.mkdir()
        precious.touch()
        with pytest.raises(UsageError, match="in the way") as caught, Workspace(tmp_path, "web"):
            pass
        assert "move away" in caught.value.hint
        assert precious.exists()

    def test_is_not_cleared_of_what_is_to_be_converted(self, tmp_path: Path) -> None:
        space = Workspace(tmp_path, "web").__enter__()
        fill(space)
        abandon(space)
        saved = space.directory / "web.raw"
        with pytest.raises(UsageError) as caught, Workspace(tmp_path, "web", sources=[saved]):
            pass
        assert caught.value.code == "source-in-staging"
        assert saved.exists()

    @pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
    def test_has_its_work_elsewhere_where_there_are_no_links(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        def symlink_to(_path: Path, _target: str) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(type(tmp_path), "symlink_to", symlink_to)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        (tmp_path / "out").mkdir()
        for failure in (None, RuntimeError()):
            with contextlib.suppress(RuntimeError), Workspace(tmp_path / "out", "web") as space:
                assert not space.work.is_relative_to(space.output)
                (space.work / "file").touch()
                if failure:
                    raise failure
            assert not space.work.exists()
            assert names(tmp_path) == ["out"]

    def test_leaves_no_directory_that_was_made_for_it(self, tmp_path: Path) -> None:
        output = tmp_path / "a" / "b"
        with pytest.raises(RuntimeError), Workspace(output, "web"):
            raise RuntimeError
        assert names(tmp_path) == []
        with contextlib.suppress(RuntimeError), Workspace(output, "web"):
            (tmp_path / "a" / "mine").touch()
            raise RuntimeError
        assert names(tmp_path / "a") == ["mine"]
        with Workspace(output, "web"):
            pass
        assert names(output) == []

    def test_is_never_somebody_elses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / ".web.partial").mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(UsageError, match="in the way"), Workspace(tmp_path, "web"):
            pass

    def test_is_not_made_by_another_run_while_it_is_removed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = tmp_path / "held"
        lock = locked.hold(directory)
        assert lock is not None
        (directory / "file").touch()
        seen: list[int | None] = []
        real = os.unlink

        def unlink(*args: Any, **kwargs: Any) -> None:
            seen.append(locked.hold(directory))
            real(*args, **kwargs)

        monkeypatch.setattr(os, "unlink", unlink)
        locked.clear(directory)
        monkeypatch.undo()
        assert seen == [None]
        locked.remove(directory, lock)
        assert not directory.exists()

    @pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: path.symlink_to("x")])
    def test_needs_an_output_that_is_one(
        self, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        make(tmp_path / "out")
        with pytest.raises(UsageError) as caught, Workspace(tmp_path / "out", "web"):
            pass
        assert caught.value.code == "output-unusable"

    def test_needs_an_output_that_can_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def mkdir(path: Path, **_: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(type(tmp_path), "mkdir", mkdir)
        with pytest.raises(UsageError, match="Permission denied"), Workspace(tmp_path, "web"):
            pass


@pytest.mark.parametrize("name", ["web", "my vm (1)", "bücher", "a.b", "x" * 200, "lock", "work"])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".web", "a/b", "../web", "/web", "-web", "a\nb", "a\x1b[2J", "a\0", *BAD_TOO],
)
def test_bad_names_are_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught, Workspace(tmp_path / "out", name):
        pass
    assert caught.value.code == "name-invalid"
    assert names(tmp_path) == []


class TestADiskThatFails:
    @pytest.mark.parametrize(
        ("number", "kind", "code"),
        [
            (errno.ENOSPC, HostError, "disk-full"),
            (errno.EIO, ConversionError, "output-failed"),
            (errno.EROFS, ConversionError, "output-failed"),
        ],
    )
    def test_is_no_defect(
        self, tmp_path: Path, number: int, kind: type[ConversionError], code: str
    ) -> None:
        def fail() -> None:
            raise OSError(number, "why", str(tmp_path / "x"))

        with pytest.raises(ConversionError, match="x: why") as raised:
            convert(tmp_path, before=fail)
        assert type(raised.value) is kind
        assert raised.value.code == code
        assert names(tmp_path) == []

    def test_other_failures_stay_what_they_are(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            convert(tmp_path, before=(tmp_path / "missing").read_bytes)


class TestAnOutputDirectoryThatIsTakenAway:
    def test_is_told(self, tmp_path: Path) -> None:
        output = tmp_path / "out"
        with pytest.raises(ConversionError, match="was removed, or moved") as raised:
            convert(output, before=lambda: shutil.rmtree(output))
        assert (raised.value.code, raised.value.exit_code) == ("output-lost", 6)
        assert names(tmp_path) == []

    def test_what_another_run_made_in_its_place_stays(self, tmp_path: Path) -> None:
        output = tmp_path / "out"

        def replace() -> None:
            output.rename(tmp_path / "away")
            Workspace(output, "web").__enter__().staged("web.raw").write_text("another's")

        with pytest.raises(ConversionError, match="was removed, or moved"):
            convert(output, before=replace)
        assert (output / ".web.partial" / "web.raw").read_text() == "another's"
