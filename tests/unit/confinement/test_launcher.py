"""The filter of system calls, run as the kernel would run it."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

import pytest

from converter.confinement import launcher

ALLOWED, KILLED, DENIED, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
X86_64, I386 = 0xC000003E, 0x40000003
FILTER = launcher.call_filter(4242)


def judged(call: int, *arguments: int, architecture: int = X86_64) -> int:
    """Run the filter (bpf(4)) on struct seccomp_data."""
    data = struct.pack("<IIQ6Q", call, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    loaded = place = 0
    while True:
        code, true, false, value = FILTER[place]
        place += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("<I", data, value)
            case 0x15:
                place += true if loaded == value else false
            case 0x35:
                place += true if loaded >= value else false
            case 0x45:
                place += true if loaded & value else false
            case 0x06:
                return value


@pytest.mark.parametrize("call", [0, 1, 9, 59, 231, 257, 444, 54, 465])
def test_what_is_not_named_is_allowed(call: int) -> None:
    assert judged(call) == ALLOWED


@pytest.mark.parametrize("call", launcher._DENIED)
def test_what_is_named_is_denied(call: int) -> None:
    assert judged(call) == DENIED


def test_nothing_is_named_twice() -> None:
    assert len(set(launcher._DENIED)) == len(launcher._DENIED)


@pytest.mark.parametrize(
    ("call", "arguments", "outcome"),
    [
        (56, [0x3D0F00], ALLOWED),  # clone: what pthread_create gives
        (56, [0x4111], DENIED),  # what posix_spawn gives
        (56, [0x1200011], DENIED),  # what fork gives
        (435, [], UNKNOWN),  # clone3
        (234, [4242], ALLOWED),  # tgkill
        (234, [1, 4242], DENIED),
        (302, [0, 1], ALLOWED),  # prlimit64
        (302, [4242], ALLOWED),
        (302, [1], DENIED),
        (2, [0x200, os.O_RDWR | os.O_CREAT], ALLOWED),  # open
        (2, [0, os.O_RDONLY | os.O_TRUNC], DENIED),
        (16, [0, termios.TCGETS], ALLOWED),  # ioctl
        (16, [0, 0x40086602], DENIED),  # FS_IOC_SETFLAGS
        (16, [0, termios.TIOCSTI], DENIED),
        (72, [0, fcntl.F_SETFL, os.O_ASYNC], ALLOWED),  # fcntl
        (72, [0, fcntl.F_OFD_SETLK], ALLOWED),
        (72, [0, fcntl.F_SETOWN, 1], DENIED),
        (72, [0, fcntl.F_SETSIG, 9], DENIED),
        (157, [15], ALLOWED),  # prctl: PR_SET_NAME
        (157, [1, 0], DENIED),  # PR_SET_PDEATHSIG
        (467, [], UNKNOWN),
        (1000, [], UNKNOWN),
        (257, [0x200, 0x200, os.O_RDONLY], ALLOWED),  # openat
        (257, [0, 0, os.O_RDWR | os.O_TRUNC], DENIED),
    ],
)
def test_some_depend_on_an_argument(call: int, arguments: list[int], outcome: int) -> None:
    assert judged(call, *arguments) == outcome


def test_other_tables_of_calls_are_no_way_round() -> None:
    assert judged(0x40000000 | 41) == DENIED
    assert judged(0, architecture=I386) == KILLED


def test_jumps_fit_their_field() -> None:
    assert max(max(true, false) for _, true, false, _ in FILTER) < 256
