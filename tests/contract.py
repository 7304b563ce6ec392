"""What every `Guest` must do, whatever it is made of: run against each implementation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.protocol import Code
from converter.model import FileKind

if TYPE_CHECKING:
    from converter.guest.protocol import Guest


def make_tree(guest: Guest) -> None:
    """Put the tree that the contract speaks of into an empty guest."""
    guest.mkdir("/etc/deep/er", mode=0o750)
    guest.write("/etc/plain", b"plain\n", mode=0o640, uid=7, gid=8)
    guest.write("/etc/large", bytes(range(256)) * 20000, mode=0o644, uid=0, gid=0)
    guest.write("/etc/empty", b"", mode=0o600, uid=0, gid=0)
    guest.symlink("plain", "/etc/relative")
    guest.symlink("/etc/deep", "/etc/absolute")
    guest.symlink("../../../../etc/plain", "/etc/deep/up")
    guest.symlink("loop-b", "/etc/loop-a")
    guest.symlink("loop-a", "/etc/loop-b")
    guest.symlink("nowhere", "/etc/dangling")


class GuestContract:
    """Tests for a fixture `guest` on which `make_tree` was done."""

    def test_lstat_describes_the_name_itself(self, guest: Guest) -> None:
        plain = guest.lstat("/etc/plain")
        assert plain is not None
        assert (plain.kind, plain.mode, plain.uid, plain.gid, plain.size) == (
            FileKind.FILE,
            0o640,
            7,
            8,
            6,
        )
        link = guest.lstat("/etc/relative")
        assert link is not None
        assert link.kind is FileKind.SYMLINK
        directory = guest.lstat("/etc/deep/er")
        assert directory is not None
        assert (directory.kind, directory.mode) == (FileKind.DIRECTORY, 0o750)

    @pytest.mark.parametrize("path", ["/nothing", "/etc/nothing", "/etc/plain/below"])
    def test_lstat_of_nothing_is_none(self, guest: Guest, path: str) -> None:
        assert guest.lstat(path) is None

    def test_lstat_of_what_was_listed(self, guest: Guest) -> None:
        guest.write("/etc/two\nlines", b"2", mode=0o600, uid=0, gid=0)
        names = ("plain", "relative", "absolute", "dangling", "deep", "two\nlines", "nothing")
        before = [guest.lstat(f"/etc/{name}") for name in names]
        guest.write("/etc/other", b"", mode=0o600, uid=0, gid=0)
        assert set(names) - set(guest.list("/etc")) == {"nothing"}
        assert [guest.lstat(f"/etc/{name}") for name in names] == before
        guest.write("/etc/plain", b"more", mode=0o600, uid=0, gid=0)
        changed = guest.lstat("/etc/plain")
        assert changed is not None
        assert (changed.mode, changed.size) == (0o600, 4)

    def test_lstat_follows_links_on_the_way(self, guest: Guest) -> None:
        found = guest.lstat("/etc/absolute/er")
        assert found is not None
        assert found.kind is FileKind.DIRECTORY

    @pytest.mark.parametrize("path", ["/etc/plain", "/etc/relative", "/etc/absolute/up"])
    def test_read_follows_links(self, guest: Guest, path: str) -> None:
        assert guest.read(path) == b"plain\n"

    def test_read_of_large_and_empty_files(self, guest: Guest) -> None:
        assert guest.read("/etc/large", limit=8 << 20) == bytes(range(256)) * 20000
        assert guest.read("/etc/empty") == b""

    def test_read_refuses_more_than_the_limit(self, guest: Guest) -> None:
        with pytest.raises(GuestError) as caught:
            guest.read("/etc/large", limit=100)
        assert caught.value.code == Code.TOO_LARGE

    def test_read_of_a_directory(self, guest: Guest) -> None:
        with pytest.raises(GuestError) as caught:
            guest.read("/etc/deep")
        assert caught.value.code == Code.NOT_A_FILE

    @pytest.mark.parametrize("path", ["/etc/nothing", "/etc/dangling"])
    def test_read_of_nothing(self, guest: Guest, path: str) -> None:
        with pytest.raises(GuestError) as caught:
            guest.read(path)
        assert caught.value.code == Code.MISSING

    def test_head(self, guest: Guest) -> None:
        assert guest.head("/etc/large", length=4) == b"\0\1\2\3"
        assert guest.head("/etc/relative", length=100) == b"plain\n"

    def test_digest(self, guest: Guest) -> None:
        assert guest.digest("/etc/relative") == hashlib.sha256(b"plain\n").hexdigest()

    def test_readlink(self, guest: Guest) -> None:
        assert guest.readlink("/etc/relative") == "plain"
        with pytest.raises(GuestError):
            guest.readlink("/etc/plain")

    def test_list_is_sorted_and_follows_links(self, guest: Guest) -> None:
        assert guest.list("/etc/absolute") == ("er", "up")
        assert guest.list("/etc/deep/er") == ()
        with pytest.raises(GuestError):
            guest.list("/etc/plain")
        with pytest.raises(GuestError):
            guest.list("/nothing")

    def test_resolve(self, guest: Guest) -> None:
        assert paths.resolve(guest, "/etc/absolute/up") == "/etc/plain"
        assert paths.resolve(guest, "/etc/../../etc/./plain") == "/etc/plain"
        assert paths.resolve(guest, "/etc/relative", follow_last=False) == "/etc/relative"
        with pytest.raises(GuestError) as caught:
            paths.resolve(guest, "/etc/loop-a")
        assert caught.value.code == Code.LINK_LOOP
        with pytest.raises(GuestError) as caught:
            guest.read("/etc/loop-a")
        assert caught.value.code == Code.LINK_LOOP

    def test_write_replaces_content_owner_and_mode(self, guest: Guest) -> None:
        guest.write("/etc/plain", b"other", mode=0o600, uid=1, gid=2)
        found = guest.lstat("/etc/plain")
        assert found is not None
        assert (found.mode, found.uid, found.gid, found.size) == (0o600, 1, 2, 5)
        assert guest.read("/etc/plain") == b"other"

    def test_write_over_a_link_leaves_its_target_alone(self, guest: Guest) -> None:
        guest.write("/etc/relative", b"own", mode=0o644, uid=0, gid=0)
        assert guest.read("/etc/relative") == b"own"
        assert guest.read("/etc/plain") == b"plain\n"

    def test_write_into_nothing(self, guest: Guest) -> None:
        with pytest.raises(GuestError):
            guest.write("/nothing/file", b"", mode=0o644, uid=0, gid=0)

    def test_attributes_are_kept_when_a_file_is_replaced_or_copied(self, guest: Guest) -> None:
        label = ("security.selinux", b"system_u:object_r:etc_t:s0\0")
        guest.write("/etc/plain", b"1", mode=0o644, uid=0, gid=0)
        guest.set_attributes({"/etc/plain": [label]})
        guest.write("/etc/plain", b"2", mode=0o644, uid=0, gid=0)
        guest.copy({"/etc/copy": "/etc/plain"})
        assert label in guest.attributes("/etc/plain")
        assert label in guest.attributes("/etc/copy")

    @pytest.mark.parametrize("path", ["/etc/deep", "/etc/relative", "/etc/plain"])
    def test_attributes_are_set_on_the_name_itself(self, guest: Guest, path: str) -> None:
        label = ("security.selinux", b"system_u:object_r:boot_t:s0\0")
        guest.set_attributes({path: [label]})
        assert label in guest.attributes(path)
        assert label not in guest.attributes("/etc/empty")
        assert (label in guest.attributes("/etc/plain")) is (path == "/etc/plain")

    @pytest.mark.parametrize("value", [b"", b"\0\1\0\xff", b"text\0\0", "\u2713".encode()])
    def test_attributes_are_bytes(self, guest: Guest, value: bytes) -> None:
        guest.set_attributes({"/etc/plain": [("user.some", value)]})
        assert ("user.some", value) in guest.attributes("/etc/plain")

    def test_append(self, guest: Guest) -> None:
        guest.append("/etc/plain", b"more")
        assert guest.read("/etc/plain") == b"plain\nmore"
        guest.append("/etc/large", b"x" * (5 << 20))
        found = guest.lstat("/etc/large")
        assert found is not None
        assert found.size == 256 * 20000 + (5 << 20)

    def test_remove(self, guest: Guest) -> None:
        guest.remove("/etc/relative")
        assert guest.lstat("/etc/relative") is None
        assert guest.lstat("/etc/plain") is not None
        with pytest.raises(GuestError):
            guest.remove("/etc/relative")

    def test_symlink_replaces(self, guest: Guest) -> None:
        guest.symlink("/elsewhere", "/etc/relative")
        guest.symlink("/elsewhere", "/etc/plain")
        assert guest.readlink("/etc/relative") == "/elsewhere"
        assert guest.readlink("/etc/plain") == "/elsewhere"

    def test_what_is_seen_follows_what_is_done(self, guest: Guest) -> None:
        names = [f"/etc/{name}" for name in ("plain", "empty", "relative", "new", "made", "copy")]

        def kinds() -> list[FileKind | None]:
            return [None if (found := guest.lstat(name)) is None else found.kind for name in names]

        file, link, directory = FileKind.FILE, FileKind.SYMLINK, FileKind.DIRECTORY
        assert kinds() == [file, file, link, None, None, None]
        guest.remove("/etc/plain")
        assert kinds() == [None, file, link, None, None, None]
        guest.write("/etc/new", b"new", mode=0o644, uid=0, gid=0)
        assert kinds() == [None, file, link, file, None, None]
        guest.symlink("new", "/etc/empty")
        assert kinds() == [None, link, link, file, None, None]
        guest.mkdir("/etc/made")
        assert kinds() == [None, link, link, file, directory, None]
        guest.copy({"/etc/copy": "/etc/new"})
        assert kinds() == [None, link, link, file, directory, file]
        guest.append("/etc/new", b"er")
        found = guest.lstat("/etc/new")
        assert found is not None
        assert found.size == 5

    def test_what_was_read_follows_what_is_done(self, guest: Guest) -> None:
        for content in (b"one", b"two"):
            guest.write("/etc/new", content, mode=0o644, uid=0, gid=0)
            assert guest.read("/etc/new") == guest.head("/etc/new", length=3) == content
            assert guest.digest("/etc/new") == hashlib.sha256(content).hexdigest()
        for target in ("plain", "empty"):
            guest.symlink(target, "/etc/relative")
            assert guest.readlink("/etc/relative") == target
        assert guest.read("/etc/relative") == b""
        for name in ("a", "b"):
            assert guest.lstat(f"/etc/{name}") is None
            guest.write(f"/etc/{name}", b"", mode=0o644, uid=0, gid=0)
            assert name in guest.list("/etc")
            assert guest.lstat(f"/etc/{name}") is not None

    def test_nothing_is_where_no_directory_is(self, guest: Guest) -> None:
        guest.list("/etc")
        for path in ("/etc/none", "/etc/none/below", "/etc/plain/below", "/none/at/all"):
            assert guest.lstat(path) is None
            assert guest.lstat(path) is None

    def test_a_listed_directory_has_itself(self, guest: Guest) -> None:
        guest.list("/etc")
        for path in ("/etc/.", "/etc/..", "/etc/", "/etc/../etc/plain"):
            assert guest.lstat(path) is not None, path

    def test_copy_keeps_everything(self, guest: Guest) -> None:
        guest.copy({"/etc/.plain.orig": "/etc/plain"})
        assert guest.lstat("/etc/.plain.orig") == guest.lstat("/etc/plain")
        assert guest.read("/etc/.plain.orig") == b"plain\n"

    def test_copies_of_many(self, guest: Guest) -> None:
        made = {f"/etc/it's {number}": "/etc/plain" for number in range(300)}
        guest.copy(made)
        assert {guest.read(path) for path in made} == {b"plain\n"}
        guest.copy({})

    def test_copy_over_a_file(self, guest: Guest) -> None:
        guest.copy({"/etc/empty": "/etc/plain"})
        assert guest.read("/etc/empty") == b"plain\n"
        assert guest.read("/etc/plain") == b"plain\n"

    def test_new_names_are_in_the_guest_whatever_links_lead_there(self, guest: Guest) -> None:
        guest.mkdir("/srv/real")
        guest.symlink("/srv/real", "/srv/absolute")
        guest.write("/srv/absolute/file", b"x", mode=0o644, uid=0, gid=0)
        guest.copy({"/srv/absolute/copy": "/srv/absolute/file"})
        guest.symlink("file", "/srv/absolute/link")
        assert guest.read("/srv/real/copy") == b"x"
        assert guest.readlink("/srv/real/link") == "file"
