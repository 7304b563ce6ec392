from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, grubscript
from converter.formats.grub_menu import GrubMenu, MenuEntry, all_entries, select
from tests.unit.grub_samples import CONFIG, FEDORA, SUSE, FakeFiles, debian, environment, menu, path

NEWEST = "/boot/vmlinuz-6.1.0-13-amd64"
OLDER = "/boot/vmlinuz-5.10.0-8-amd64"
PLAIN = """\
menuentry 'A' --id a { linux /a }
menuentry "B > C" { linux /b }
submenu 'S' --id s {
    menuentry 'S1' --id s1 { linux /s1 }
    submenu 'T' { menuentry 'T1' --id t1 { linux /t1 }
        menuentry 'T2' { linux /t2 } }
}
menuentry '2 kernels' { linux /d }
"""


def started(text: str, env: str | None = None) -> str:
    entry = select(menu(text, env)).entry
    return "" if entry is None else path(entry.linux)


def only(text: str) -> MenuEntry:
    (entry,) = menu(text).entries
    return entry


# --- the default ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "kernel"),
    [
        ("0", "/a"),
        ("1", "/b"),
        ("3", "/d"),
        ("A", "/a"),
        ("a", "/a"),
        ("B >> C", "/b"),
        # A submenu starts its first entry.
        ("2", "/s1"),
        ("s", "/s1"),
        ("2>0", "/s1"),
        ("2>1", "/t1"),
        ("S>T>1", "/t2"),
        ("s>T>T2", "/t2"),
        ("s>1>t1", "/t1"),
        ("2>T>t1", "/t1"),
        # A name that begins with a number is a name where there is such an entry.
        ("2 kernels", "/d"),
        ("", "/a"),
        ("3 ", "/d"),
    ],
)
def test_the_default_by_index_title_id_and_path(default: str, kernel: str) -> None:
    found = select(menu(f"{PLAIN}set default='{default}'\n"))
    assert path(found.entry.linux if found.entry else "") == kernel
    assert not found.is_fallback


@pytest.mark.parametrize(
    ("default", "kernel"),
    [
        ("4", "/a"),
        ("99999999999999999999", "/a"),
        ("nothing", "/a"),
        ("B > C", "/a"),
        ("s>nothing", "/s1"),
        ("2>9", "/s1"),
        ("-1", "/a"),
        ("s1", "/a"),
        ("a ", "/a"),
    ],
)
def test_an_entry_that_is_not_there_gives_the_first(default: str, kernel: str) -> None:
    found = select(menu(f"{PLAIN}set default='{default}'\n"))
    assert path(found.entry.linux if found.entry else "") == kernel
    assert found.is_fallback
    assert found.wanted == default


def test_an_empty_menu_has_no_default() -> None:
    assert select(menu("set default=0\n")).entry is None


@pytest.mark.parametrize(
    ("default", "env", "kernel"),
    [
        ("0", None, NEWEST),
        ("1>2", None, OLDER),
        ("gnulinux-advanced-8d3b>gnulinux-5.10.0-8-amd64-advanced-8d3b", None, OLDER),
        (
            "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 5.10.0-8-amd64",
            None,
            OLDER,
        ),
        ("${saved_entry}", None, NEWEST),
        ("${saved_entry}", environment(), NEWEST),
        ("${saved_entry}", environment(saved_entry="1>2"), OLDER),
        ("0", environment(saved_entry="1>2"), NEWEST),
        ("${saved_entry}", environment(saved_entry="0", next_entry="1>2"), OLDER),
        # grub-reboot before 2.00.
        ("${saved_entry}", environment(saved_entry="1>2", prev_saved_entry="0"), OLDER),
        # Torn or foreign files are no environment.
        ("${saved_entry}", "saved_entry=1>2\n", NEWEST),
        ("${saved_entry}", "# GRUB Environment Block\nsaved_entry=1>2\n", OLDER),
        ("${saved_entry}", "", NEWEST),
    ],
)
def test_debians_default(default: str, env: str | None, kernel: str) -> None:
    assert started(debian(default), env) == kernel


def test_debians_entries() -> None:
    found = menu(debian())
    assert [path(entry.linux) for entry in all_entries(found)] == [NEWEST, NEWEST, NEWEST, OLDER]
    first = found.entries[0]
    assert first.title == "Debian GNU/Linux"
    assert first.identifier == "gnulinux-simple-8d3b"
    assert first.linux == f"(hd0,msdos1){NEWEST}"
    assert first.initrds == ("(hd0,msdos1)/boot/initrd.img-6.1.0-13-amd64",)
    assert first.arguments == ("root=/dev/sda1", "ro", "quiet", "splash", "vt.handoff=7")
    assert found.variables["timeout"] == "5"
    assert found.scripts == (CONFIG,)
    assert found.environments == ()


def test_recordfail_sets_the_time() -> None:
    assert menu(debian(), environment(recordfail="1")).variables["timeout"] == "30"


def test_custom_entries_are_read() -> None:
    custom = "(hd0,msdos1)/boot/grub/custom.cfg"
    found = menu(debian(), None, **{custom: "menuentry 'mine' { linux /mine }\n"})
    assert found.entries[-1].title == "mine"
    assert found.scripts == (CONFIG, custom)


def test_a_broken_included_file_is_passed_over() -> None:
    custom = "(hd0,msdos1)/boot/grub/custom.cfg"
    found = menu(debian(), None, **{custom: "menuentry 'mine' {\n"})
    assert len(found.entries) == 2
    assert found.scripts == (CONFIG,)


def test_suse_names_its_commands_by_variables() -> None:
    files = FakeFiles({CONFIG: SUSE})
    for platform, cpu in (("efi", "x86_64"), ("pc", "i386"), ("", "")):
        variables = {"grub_platform": platform, "grub_cpu": cpu}
        (entry,) = grubscript.evaluate(CONFIG, files=files, variables=variables).entries
        assert path(entry.linux) == "/boot/vmlinuz-5.14.21-150500.53-default"
        assert path(entry.initrds[0]) == "/boot/initrd-5.14.21-150500.53-default"
        assert "resume=/dev/sda1" in entry.arguments


# --- BLS ------------------------------------------------------------------------------------------

MACHINE = "4a3f1c2b5d6e7f8091a2b3c4d5e6f708"
BOOT = "hd0,msdos1"


def bls_files(
    env: str | None = None, directory: str = "/loader/entries", **options: str
) -> FakeFiles:
    def entry(version: str, line: str) -> str:
        return (
            f"title Red Hat Enterprise Linux ({version}) 9.2 (Plow)\nversion {version}\n"
            f"linux /vmlinuz-{version}\ninitrd /initramfs-{version}.img $tuned_initrd\n"
            f"{line}\ngrub_users $grub_users\ngrub_arg --unrestricted\ngrub_class rhel\n"
        )

    files = FakeFiles({f"({BOOT})/grub2/grub.cfg": FEDORA})
    line = options.get("line", "options root=/dev/sda2 ro $tuned_params")
    for version in ("5.14.0-70.el9.x86_64", "5.14.0-284.11.1.el9_2.x86_64", "0-rescue"):
        name = f"({BOOT}){directory}/{MACHINE}-{version}.conf"
        files.texts[name] = entry(version, line)
    if env is not None:
        files.texts[f"({BOOT})/grub2/grubenv"] = env
    return files


def bls_menu(files: FakeFiles) -> GrubMenu:
    return grubscript.evaluate(f"({BOOT})/grub2/grub.cfg", files=files, variables={})


def test_bls_entries_come_newest_first() -> None:
    found = bls_menu(bls_files())
    assert found.uses_bls
    assert [entry.identifier for entry in found.entries] == [
        f"{MACHINE}-5.14.0-284.11.1.el9_2.x86_64",
        f"{MACHINE}-5.14.0-70.el9.x86_64",
        f"{MACHINE}-0-rescue",
    ]
    first = found.entries[0]
    assert first.title == "Red Hat Enterprise Linux (5.14.0-284.11.1.el9_2.x86_64) 9.2 (Plow)"
    assert first.linux == f"({BOOT})/vmlinuz-5.14.0-284.11.1.el9_2.x86_64"
    assert first.initrds == (f"({BOOT})/initramfs-5.14.0-284.11.1.el9_2.x86_64.img",)
    assert first.arguments == ("root=/dev/sda2", "ro")
    assert first.source == f"({BOOT})/loader/entries/{first.identifier}.conf"
    assert not first.needs_password


@pytest.mark.parametrize(
    ("saved", "version"),
    [
        (f"{MACHINE}-5.14.0-70.el9.x86_64", "5.14.0-70"),
        ("1", "5.14.0-70"),
        ("Red Hat Enterprise Linux (5.14.0-70.el9.x86_64) 9.2 (Plow)", "5.14.0-70"),
        ("0", "5.14.0-284"),
        ("", "5.14.0-284"),
    ],
)
def test_the_saved_bls_entry(saved: str, version: str) -> None:
    found = select(bls_menu(bls_files(environment(saved_entry=saved))))
    assert found.entry is not None
    assert found.entry.linux.startswith(f"({BOOT})/vmlinuz-{version}")
    assert not found.is_fallback


@pytest.mark.parametrize("saved", [f"{MACHINE}-5.14.0-70.el9.x86_64.conf", "gone", "7"])
def test_a_saved_bls_entry_that_is_gone(saved: str) -> None:
    found = select(bls_menu(bls_files(environment(saved_entry=saved))))
    assert found.is_fallback
    assert found.wanted == saved


@pytest.mark.parametrize("line", ["options $kernelopts $tuned_params", "options\t$kernelopts"])
def test_kernelopts_come_from_the_environment_or_the_configuration(line: str) -> None:
    first = bls_menu(bls_files(line=line)).entries[0]
    assert first.arguments == ("root=/dev/sda2", "ro", "rhgb", "quiet")
    env = environment(kernelopts="root=/dev/mapper/vg-root ro ", tuned_params="skew_tick=1")
    changed = bls_menu(bls_files(env, line=line)).entries[0]
    assert changed.arguments[:2] == ("root=/dev/mapper/vg-root", "ro")
    assert ("skew_tick=1" in changed.arguments) == ("tuned" in line)


def test_tuned_has_an_initrd_of_its_own() -> None:
    first = bls_menu(bls_files(environment(tuned_initrd="/tuned-initrd.img"))).entries[0]
    assert first.initrds[1:] == (f"({BOOT})/tuned-initrd.img",)


def test_entries_in_boot_of_the_root_filesystem() -> None:
    assert len(bls_menu(bls_files(directory="/boot/loader/entries")).entries) == 3
    env = environment(blsdir="/@/boot/loader/entries")
    assert len(bls_menu(bls_files(env, directory="/@/boot/loader/entries")).entries) == 3


def test_boot_counter_of_ostree() -> None:
    env = environment(boot_counter="0", boot_success="0", saved_entry="0")
    found = select(bls_menu(bls_files(env)))
    assert found.entry is not None
    assert found.entry.identifier.endswith("5.14.0-70.el9.x86_64")


@pytest.mark.parametrize("value", ["", "--5", "5-", "-", "\u0665", "\u00b2", "5" * 5000])
def test_what_is_no_number_is_not_counted(value: str) -> None:
    counted = "if increment x; then set default=1; fi\n"
    assert started(f"set x='{value}'\n{counted}{PLAIN}") == "/a"
    assert started(f"load_env\n{counted}{PLAIN}", environment(x=value)) == "/a"
    assert started(f"load_env\n{counted}{PLAIN}", environment(x="5")) == "/b"


@pytest.mark.parametrize("root", ["(hd0,1)", "'(hd0,1)'", "hd0,1"])
def test_the_root_may_be_in_parentheses(root: str) -> None:
    entry = only(f"menuentry x {{ set root={root}\n linux /vmlinuz root=/dev/sda1 ro\n }}\n")
    assert entry.linux == "(hd0,1)/vmlinuz"


def test_numbers_are_counted() -> None:
    text = f"set default=-1\nincrement default\nincrement default\n{PLAIN}"
    assert started(text) == "/b"


# --- configurations that lead to others -----------------------------------------------------------

WRAPPERS = {
    "fedora": (
        "search --no-floppy --root-dev-only --fs-uuid --set=dev abcd\n"
        "set prefix=($dev)/boot/grub\n\nexport $prefix\nconfigfile $prefix/grub.cfg\n"
    ),
    "debian": (
        "search.fs_uuid abcd root hd0,gpt2 \nset prefix=($root)'/boot/grub'\n"
        "configfile $prefix/grub.cfg\n"
    ),
    "suse": (
        'set btrfs_relative_path="yes"\nsearch --fs-uuid --set=root abcd\n'
        'set prefix=(${root})/boot/grub\nsource "${prefix}/grub.cfg"\n'
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_on_the_esp_leads_to_the_real_one(name: str) -> None:
    wrapper = "(hd0,gpt1)/EFI/vendor/grub.cfg"
    real = "(hd0,gpt2)/boot/grub/grub.cfg"
    files = FakeFiles(
        {
            wrapper: WRAPPERS[name],
            real: debian("${saved_entry}"),
            "(hd0,gpt2)/boot/grub/grubenv": environment(saved_entry="1>2"),
        },
        {"uuid:abcd": "hd0,gpt2"},
    )
    found = grubscript.evaluate(wrapper, files=files, variables={})
    assert found.scripts == (wrapper, real)
    assert found.config == (wrapper if name == "suse" else real)
    assert found.environments == ("(hd0,gpt2)/boot/grub/grubenv",)
    selected = select(found).entry
    assert selected is not None
    assert selected.linux == f"(hd0,msdos1){OLDER}"


def test_a_wrapper_that_leads_nowhere_has_no_menu() -> None:
    found = menu(WRAPPERS["fedora"])
    assert found.entries == ()
    assert found.config == CONFIG


def test_an_entry_may_show_another_menu() -> None:
    entry = only("menuentry x { set root=hd0,1\n configfile /grub/other.cfg }\n")
    assert entry.config == "(hd0,1)/grub/other.cfg"
    assert entry.linux == ""


# --- the language ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("menuentry 'a { b }' { linux /x }", "a { b }"),
        ('menuentry "a \\"b\\" $v" { linux /x }', 'a "b" 1'),
        ("menuentry 'it'\\''s' {\nlinux /x\n}", "it's"),
        ("menuentry a\\ b{ linux /x; }", "a b"),
        ("menuentry --class os 'x' --id=y {linux /x}", "x"),
        ("menuentry \\\n  'x' \\\n { linux /x\n}", "x"),
        ("menuentry 'Débian \udcff' { linux /x }", "Débian \udcff"),
        ("menuentry 'a\nb' { linux /x }", "a\nb"),
        ('menuentry $"x" { linux /x }', "x"),
        ('menuentry "${v}a" { linux /x }\r\n', "1a"),
        ("function f { menuentry \"$1-$2-$#\" { linux /x } }\nf 'a b' c", "a b-c-2"),
        ("for i in x; do menuentry $i { linux /x }; done", "x"),
        ("menuentry x # { no block\nmenuentry y { linux /y }", "x"),
        ("menuentry 'a\u00a0b\x0bc' { linux /x }", "a\u00a0b\x0bc"),
        ("menuentry a\u00a0b { linux /x }", "a\u00a0b"),
        ("menuentry 'if' { linux /x if then fi }", "if"),
    ],
)  # fmt: skip
def test_titles(text: str, title: str) -> None:
    assert menu(f"set v=1\n{text}").entries[0].title == title


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("true", True),
        ("false", False),
        ("! false", True),
        ("[ a = a ]", True),
        ("[ a != a ]", False),
        ("test a == b", False),
        ('[ "$unset" ]', False),
        ("[ x$unset = x ]", True),
        ('[ -z "$unset" ]', True),
        ('[ -n "$set" ]', True),
        ('[ "$set" -a "$unset" = "" ]', True),
        ('[ "$unset" -o "$set" = "1" ]', True),
        ('[ "$unset" -a "$set" -o a = a ]', True),
        ("[ ! a = a ]", False),
        ("[ ( a = b -o a = a ) -a b = b ]", True),
        ("[ 10 -gt 9 ]", True),
        ("[ 0x10 -eq 16 ]", True),
        ('[ "" -lt 1 ]', True),
        ("[ 2.06 '<' 2.12 ]", True),
        ("[ -e /file ]", True),
        ("[ -f (hd0,msdos1)/file ]", True),
        ("[ -s /empty ]", False),
        ("[ -e /empty ]", True),
        ("[ -d /directory ]", True),
        ("[ -f /directory ]", False),
        ("[ -e /nothing ]", False),
        ("[ -e (hd1,1)/file ]", False),
        ("no_such_command", True),
        ("FOO=bar", True),
        ("search --fs-uuid --set=root gone", False),
        ("source /nothing", False),
        ("true; false", False),
        ("f", False),
        ("g", True),
    ],
)
def test_conditions(condition: str, *, value: bool) -> None:
    files = FakeFiles(
        {
            "(hd0,msdos1)/file": "x",
            "(hd0,msdos1)/empty": "",
            "(hd0,msdos1)/directory/x": "",
            CONFIG: "set set=1\nfunction f { false }\nfunction g { return 0\n false }\n"
            f"if {condition}; then\n  x=yes\nelif true; then\n  x=no\nelse\n  x=never\nfi\n",
        }
    )
    found = grubscript.evaluate(CONFIG, files=files, variables={})
    assert found.variables["x"] == ("yes" if value else "no")


def test_variables() -> None:
    found = menu(
        'set a=1\nb=2\nset c="$a $b"\nset d=\'$a\'\nset e=$c\nset f="\\$a\\n\\\\"\nset g=x\\\ny\n'
        'unset a\nset h="[${a}]"\nset i=x j=y\n'
    ).variables
    assert (found["c"], found["d"], found["e"], found["f"]) == ("1 2", "$a", "1", "$a\\n\\")
    assert (found["g"], found["h"], found["i"]) == ("xy", "[]", "x")
    assert "j" not in found


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("linux /k root=/dev/sda1 \\\n\tquiet", ("root=/dev/sda1", "quiet")),
        ("linux16 /k 'a b' \"c d\"", ("a b", "c d")),
        ("linuxefi /k $v$v x", ("11", "x")),
        ("linux /k $empty x", ("x",)),
        ("linux /k a#b # c", ("a#b",)),
        ("linux /k mitigations=auto;nosmt", ("mitigations=auto",)),
    ],
)
def test_arguments(line: str, arguments: tuple[str, ...]) -> None:
    entry = menu(f"set v=1\nmenuentry x {{\n{line}\n}}\n").entries[0]
    assert path(entry.linux) == "/k"
    assert entry.arguments == arguments


def test_passwords() -> None:
    text = (
        "set superusers=root\nmenuentry a { linux /a }\nmenuentry b --unrestricted { linux /b }\n"
    )
    assert [entry.needs_password for entry in menu(text).entries] == [True, False]
    assert not only("menuentry a { linux /a }").needs_password


def test_xen() -> None:
    entry = only(
        "menuentry 'Debian, with Xen hypervisor' {\n multiboot2 /boot/xen-4.17.gz placeholder\n"
        " module2 /boot/vmlinuz-6.1 placeholder ro\n module2 --nounzip /boot/initrd\n}\n"
    )
    assert path(entry.hypervisor) == "/boot/xen-4.17.gz"
    assert entry.linux == ""


@pytest.mark.parametrize(
    "text",
    [
        "menuentry 'x {\n",
        "menuentry x {\n",
        "if true; then\n",
        "fi\n",
        "}\n",
        "{ echo; }\n",
        "function f\n",
        "for x y do\n",
        "while true; do",
        "if " * 100,
        "menuentry x { " * 100,
        'set a="' + "x" * 100,
    ],
)
def test_what_is_no_script_is_told(text: str) -> None:
    with pytest.raises(FormatError):
        menu(text)


@pytest.mark.parametrize(
    "text",
    [
        "function f { f }\nf\n",
        "function f { for i in 1 2 3 4 5 6 7 8 9; do f; done }\nf\n",
        "set a=xxxxxxxxxxxxxxxx\n" + "set a=$a$a\n" * 40,
        f"source {CONFIG}\n",
        f"configfile {CONFIG}\nsource {CONFIG}\n",
        "function f { submenu x { f } }\nf\n",
    ],
)
def test_what_does_not_end_is_told(text: str) -> None:
    with pytest.raises(FormatError):
        menu(text)


def test_a_missing_file_is_told() -> None:
    with pytest.raises(FormatError):
        grubscript.evaluate(CONFIG, files=FakeFiles(), variables={})


def test_while_is_not_carried_out() -> None:
    assert menu("while true; do\n x=1\ndone\nuntil false; do echo; done\n").entries == ()


WORDS = (
    ("if ", "fi\n", "then ", "; ", "\n", "{ ", "} ", "menuentry ", "submenu ", "x ", "'", '"'),
    ("$a ", "set a=", "[ ", "] ", "-a ", "! ", "\\", "#", "linux /k ", "function f ", "f\n"),
    ("for ", "in ", "do ", "done\n", "source ", CONFIG, "blscfg\n", "default=", "( ", ") "),
)
GRUBBISH = st.lists(st.sampled_from([word for row in WORDS for word in row]), max_size=25)


@given(GRUBBISH.map("".join))
def test_anything_is_read_or_told(text: str) -> None:
    try:
        found = menu(text, environment(default=text.replace("\n", " ")))
    except FormatError:
        return
    select(found)
    list(all_entries(found))


@given(st.text(max_size=40).filter(lambda title: not title.startswith("--")))
def test_any_title_is_found_again(title: str) -> None:
    quoted = "'" + title.replace("'", "'\\''") + "'"
    text = f"menuentry first {{ linux /f }}\nmenuentry {quoted} {{ linux /k }}\n"
    found = menu(f"{text}set default={quoted.replace('>', '>>')}\n")
    assert found.entries[1].title == title
    if title and title != "first" and not title.strip().isdecimal():
        selected = select(found)
        assert selected.entry is not None
        assert not selected.is_fallback
        assert path(selected.entry.linux) == "/k"


@pytest.mark.parametrize("piece", ["\\a", "$", "'a'", "$a"])
def test_a_word_of_many_parts_is_read_in_time(piece: str) -> None:
    begun = time.process_time()
    menu("set a=b\necho " + piece * 20_000 + "\n")
    assert time.process_time() - begun < 2
