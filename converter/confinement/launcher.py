#!/usr/bin/python3 -IS
"""Gives up everything that a helper does not need, and becomes it.

    launcher.py [--parent PID] [--read PATH | --write PATH | --scratch DIR | --limit NAME=N]…
                -- TOOL [ARGUMENT]…

The tool can open what is named and the system's own programs and libraries, nothing else
(landlock(7)); it can start no process, reach no socket and change nobody's modes or attributes
(seccomp(2)); it has no capability but to read what root may read (capabilities(7)), and never gets
one (PR_SET_NO_NEW_PRIVS); it ends with the thread that started it (PR_SET_PDEATHSIG). What this
kernel has no mechanism for is left out; `landlock_version` tells.

libguestfs starts QEMU with a command line of its own: it is given a link to this file as its QEMU,
and the options above, each ended by a NUL, are in a file beside that: its name and `OPTIONS`.

A program of its own, not a function for Popen's preexec_fn: between fork(2) and execve(2) Python
is not safe when there are threads. It imports next to nothing, because it is started often.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys
from typing import Final

OPTIONS: Final = ".options"

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# The programs and libraries themselves, and what the C library and QEMU ask of a machine.
_SYSTEM: Final = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/localtime",
    "/dev/urandom", "/proc/filesystems", "/sys/devices/system",
)  # fmt: skip
_LOADERS: Final = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_CHANNEL: Final = "socket,path="

# prctl(2).
_PDEATHSIG, _GET_SECCOMP, _SECCOMP, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 21, 22, 24, 38
# capabilities(7): files that only root may read are sources like any other; nothing is written by
# it, as what is written is ours.
_CAP_VERSION: Final = 0x20080522
_CAP_DAC_READ_SEARCH: Final = 1 << 2
_CAPABILITIES: Final = 64

# landlock(7), linux/landlock.h. The number of rights is that of the kernel's version.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_FILE, _MAKE_FILE = 1 << 5, 1 << 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_NOW: Final = 16
_NETWORK, _SCOPES = 0b11, 0b11
_WITH_NETWORK, _WITH_SCOPES = 4, 6
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ: Final = _READ_FILE | _READ_DIR | _IOCTL
_WRITE: Final = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_FILE | _MAKE_FILE

# Linux' system calls by number, on x86-64 (asm/unistd_64.h). What none of the helpers needs, and
# Landlock does not see: other processes, sockets, modes and attributes of files that root owns,
# what the kernel's guard of file names does not cover, and doors that were often left open.
_DENIED: Final = (
    57, 58,  # fork vfork
    62, 200, 129, 297, 424, 434, 438,  # kill tkill rt_(tg)sigqueueinfo pidfd_*
    101, 310, 311, 312, 440,  # ptrace process_vm_* kcmp process_madvise
    41, 42, 43, 49, 50, 53, 288,  # socket connect accept bind listen socketpair accept4
    76, 85, 437,  # truncate creat openat2
    90, 91, 92, 93, 94, 260, 268, 452,  # *chmod* *chown*
    132, 235, 261, 280,  # utime*
    188, 189, 190, 197, 198, 199, 463, 466,  # *setxattr* *removexattr*
    155, 161, 165, 166, 428, 429, 430, 431, 432, 433, 442, 272, 308,  # mounts and namespaces
    303, 304,  # *_handle_at
    248, 249, 250,  # keys
    298, 321, 323, 425, 426, 427,  # perf_event_open bpf userfaultfd io_uring_*
    29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 240, 241,  # System V IPC, message queues
    135, 141, 142, 144, 203, 251, 256, 279, 314,  # personality, priorities, processors
)  # fmt: skip
# What came with Linux 6.15 and later: nobody needs it, and what it changes is not known here.
_NEWER: Final = 467
# What depends on an argument: of the process itself only; of its threads only; without O_TRUNC.
_TGKILL, _PRLIMIT, _CLONE, _OPEN, _OPENAT = 234, 302, 56, 2, 257
_IOCTL_CALL, _FCNTL, _PRCTL = 16, 72, 157
# ioctl(2), linux/fs.h, linux/fsverity.h, asm-generic/ioctls.h: what whoever owns a file may do that
# he can only read; to type on a terminal; to have signals sent to others.
_REQUESTS: Final = (
    0x40086602, 0x401C5820, 0x40087602,  # FS_IOC_SETFLAGS FS_IOC_FSSETXATTR FS_IOC_SETVERSION
    0x40806685, 0x800C6613,  # FS_IOC_ENABLE_VERITY FS_IOC_SET_ENCRYPTION_POLICY
    0x40086604, 0x6609,  # ext4's own: EXT4_IOC_SETVERSION EXT4_IOC_MIGRATE
    0x5412, 0x541C,  # TIOCSTI TIOCLINUX
    0x8901, 0x8902,  # FIOSETOWN SIOCSPGRP
)  # fmt: skip
# fcntl(2): F_SETOWN, F_SETSIG, F_SETOWN_EX, and F_SETLEASE, which keeps others waiting.
_COMMANDS: Final = (8, 10, 15, 1024)
_CLONE3, _CLONE_THREAD = 435, 0x10000
_ARCHITECTURE: Final = 0xC000003E
_X32: Final = 0x40000000
_LOAD, _EQUAL, _NOT_LESS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_DENY: Final = _FAIL | _EPERM
# An instruction: its code, how many to skip if it is true, and if it is not, and its value.
_Line = tuple[int, int, int, int]


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("true", ctypes.c_uint8),
        ("false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def landlock_version() -> int:
    """Give the version of Landlock's interface that this kernel has; 0 for none."""
    version: int = _LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    return max(0, version)


def has_seccomp() -> bool:
    """Tell whether this kernel has it, and the table of system calls is this machine's."""
    has_it: bool = _LIBC.prctl(_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return has_it and os.uname().machine == "x86_64"


def main(arguments: list[str]) -> None:
    """Do as the module says; comes back only by an error."""
    given = arguments if arguments[:1] == ["--parent"] else [*_kept(), *arguments]
    at = given.index("--")
    options = list(zip(given[:at:2], given[1:at:2], strict=True))
    tool, *rest = given[at + 1 :]
    _checked(_LIBC.prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0))
    rest = [_connected(argument) for argument in rest]
    for name, value in options:
        if name == "--parent" and os.getppid() != int(value):
            sys.exit("launcher: whoever started this is gone")
        if name == "--limit":
            which, _, number = value.partition("=")
            _limit(which, int(number))
        elif name == "--scratch":
            os.environ["TMPDIR"] = value
    _limit("core", 0)
    _drop_capabilities()
    _checked(_LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _confine_files(tool, options)
    if has_seccomp():
        _confine_calls()
    for ignored in (_SIGPIPE, _SIGXFSZ):  # by Python, as it starts
        _LIBC.signal(ignored, None)
    os.execv(tool, [tool, *rest])  # noqa: S606 - that is what it is for


def _kept() -> list[str]:
    with open(sys.argv[0] + OPTIONS, "rb") as file:  # noqa: PTH123 - pathlib takes 10 ms
        return [os.fsdecode(option) for option in file.read().split(b"\0")[:-1]]


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _connected(argument: str) -> str:
    """Connect the socket that an argument of QEMU's `-chardev` names; QEMU cannot any more."""
    if not argument.startswith(_CHANNEL):
        return argument
    import socket  # noqa: PLC0415 - most helpers have none

    path, _, name = argument.removeprefix(_CHANNEL).partition(",id=")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path.replace(",,", ","))
    connection.set_inheritable(True)
    return f"socket,fd={connection.detach()},id={name}"


def _limit(name: str, value: int) -> None:
    number = getattr(resource, f"RLIMIT_{name.upper()}")
    _, hard = resource.getrlimit(number)
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (least, least))


def _drop_capabilities() -> None:
    """Keep one that it has; a program that root starts has what is in the bounding set at most."""
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION, 0)
    # Twice (the low and the high 32 of them): effective, permitted, inheritable.
    sets = (ctypes.c_uint32 * 6)()
    _checked(_LIBC.capget(header, sets))
    for number in range(_CAPABILITIES):
        if 1 << number != _CAP_DAC_READ_SEARCH:
            _LIBC.prctl(_CAPBSET_DROP, number, 0, 0, 0)  # without CAP_SETPCAP: it cannot
    keep = sets[1] & _CAP_DAC_READ_SEARCH
    _checked(_LIBC.capset(header, (ctypes.c_uint32 * 6)(keep, keep, 0, 0, 0, 0)))


def _confine_files(tool: str, options: list[tuple[str, str]]) -> None:
    version = landlock_version()
    if not version:
        return
    handled = (1 << _RIGHTS.get(version, _RIGHTS_NOW)) - 1
    wanted = _Ruleset(
        handled,
        _NETWORK if version >= _WITH_NETWORK else 0,
        _SCOPES if version >= _WITH_SCOPES else 0,
    )
    size = 8 if version < _WITH_NETWORK else 16 if version < _WITH_SCOPES else 24
    rules = _checked(_LIBC.syscall(_CREATE, ctypes.byref(wanted), ctypes.c_size_t(size), 0))
    for path in _SYSTEM:
        _allow(rules, path, _READ & handled)
    for path in (tool, *_LOADERS):
        _allow(rules, path, (_READ | _EXECUTE) & handled)
    _allow(rules, "/dev/null", _WRITE & handled)
    for name, value in options:
        if name == "--read":
            _allow(rules, value, _READ & handled)
        elif name in ("--write", "--scratch"):
            _allow(rules, value, _WRITE & handled)
    _checked(_LIBC.syscall(_RESTRICT, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow `rights` on a file, or on all that is beneath a directory, if it can be seen at all."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    rule = _Beneath(rights, descriptor)
    _checked(_LIBC.syscall(_ADD, rules, 1, ctypes.byref(rule), 0))
    os.close(descriptor)


def _confine_calls() -> None:
    instructions = call_filter(os.getpid())
    program = (_Instruction * len(instructions))(*(_Instruction(*each) for each in instructions))
    _checked(_LIBC.prctl(_SECCOMP, 2, ctypes.byref(_Program(len(instructions), program)), 0, 0))


def call_filter(process: int) -> list[_Line]:
    """Give the filter of system calls (bpf(4)) for the process with this id."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURE),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_NOT_LESS, 0, 1, _X32),
        (_RETURN, 0, 0, _DENY),
        (_NOT_LESS, 0, 1, _NEWER),
        (_RETURN, 0, 0, _FAIL | _ENOSYS),
        # Without clone3, whose flags cannot be seen, the C library takes clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _FAIL | _ENOSYS),
        *_by_argument(_CLONE, 0, [(_ANY_BIT, _CLONE_THREAD)], true=_ALLOW),
        *_by_argument(_TGKILL, 0, [(_EQUAL, process)], true=_ALLOW),
        *_by_argument(_PRLIMIT, 0, [(_EQUAL, process), (_EQUAL, 0)], true=_ALLOW),
        # Who may read a file may empty it, for Landlock before Linux 6.2.
        *_by_argument(_OPEN, 1, [(_ANY_BIT, os.O_TRUNC)], true=_DENY),
        *_by_argument(_OPENAT, 2, [(_ANY_BIT, os.O_TRUNC)], true=_DENY),
        *_by_argument(_IOCTL_CALL, 1, [(_EQUAL, request) for request in _REQUESTS], true=_DENY),
        *_by_argument(_FCNTL, 1, [(_EQUAL, command) for command in _COMMANDS], true=_DENY),
        *_by_argument(_PRCTL, 0, [(_EQUAL, _PDEATHSIG)], true=_DENY),
        *((_EQUAL, len(_DENIED) - place, 0, call) for place, call in enumerate(_DENIED)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]


def _by_argument(call: int, place: int, tests: list[tuple[int, int]], *, true: int) -> list[_Line]:
    """Judge a call by one of its arguments: when one of `tests` is true, and otherwise not so."""
    lines: list[_Line] = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place)]
    for code, value in tests:
        lines += [(code, 0, 1, value), (_RETURN, 0, 0, true)]
    lines.append((_RETURN, 0, 0, _ALLOW if true == _DENY else _DENY))
    return [(_EQUAL, 0, len(lines), call), *lines]


if __name__ == "__main__":
    main(sys.argv[1:])
