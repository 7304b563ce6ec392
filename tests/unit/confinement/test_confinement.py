from __future__ import annotations

from pathlib import Path

from converter.confinement import Confinement, linked


def test_what_the_launcher_is_told() -> None:
    confinement = Confinement(
        read=(Path("/a"), Path("/b")),
        written=(Path("/c"),),
        scratch=Path("/d"),
        limits={"as": 1, "fsize": 2},
    )
    assert confinement.options("/bin/tool") == [
        *("--read", "/a", "--read", "/b", "--write", "/c", "--scratch", "/d"),
        *("--limit", "as=1", "--limit", "fsize=2"),
        *("--", "/bin/tool"),
    ]


def test_memory_has_a_limit_by_itself() -> None:
    assert Confinement().options("/t") == ["--limit", f"data={2 << 30}", "--", "/t"]


def test_links_lead_to_files_that_are_read(tmp_path: Path) -> None:
    work, source = tmp_path / "work", tmp_path / "source"
    work.mkdir()
    (work / "plain").touch()
    (work / "first").symlink_to("../between")
    (tmp_path / "between").symlink_to(source)
    assert linked(work) == (work, source)
