"""Hives whose last changes are in their logs, in both formats; the logs are laid out by hand."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, registry_new
from converter.formats.registry import Hive, binary, dword, is_dirty, recover
from converter.formats.registry_log import marvin32
from tests.unit.registry_samples import checksum

FIRST = 100
"""The sequence number of the hive before the changes that the logs hold."""


def sealed(
    data: bytes, primary: int, secondary: int, *, kind: int | None = None, time: int | None = None
) -> bytes:
    """The base block and all behind it, with these fields."""
    out = bytearray(data)
    struct.pack_into("<II", out, 4, primary, secondary)
    if kind is not None:
        struct.pack_into("<I", out, 28, kind)
    if time is not None:
        struct.pack_into("<Q", out, 12, time)
    struct.pack_into("<I", out, 508, checksum(bytes(out)))
    return bytes(out)


def states() -> list[bytes]:
    """A hive as it was, and after each of four changes; the second makes it longer."""
    hive = Hive(registry_new.empty())
    hive.set_value("A", "v", dword(0))
    found = [hive.tobytes()]
    for number in range(1, 5):
        if number == 2:
            hive.set_value("Large", "v", binary(bytes(9000)))
        hive.set_value("A", "v", dword(number))
        found.append(hive.tobytes())
    return found


STATES = states()
DIRTY = sealed(STATES[0], FIRST + 1, FIRST)


def number(data: bytes) -> int:
    hive = Hive(data)
    hive.check()
    value = hive.value("A", "v")
    assert value is not None
    return value.number


def differing(before: bytes, after: bytes, size: int) -> list[int]:
    """The pages of the bins that are not the same in both."""
    return [
        at - 4096
        for at in range(4096, len(after), size)
        if before[at : at + size] != after[at : at + size]
    ]


# --- logs of entries ------------------------------------------------------------------------------


def entry(sequence: int, before: bytes, after: bytes, *, flags: int = 0) -> bytes:
    pages = differing(before, after, 4096)
    body = b"".join(struct.pack("<II", at, 4096) for at in pages)
    body += b"".join(after[4096 + at : 8192 + at] for at in pages)
    return packed(sequence, body, len(after) - 4096, len(pages), flags=flags)


def packed(sequence: int, body: bytes, length: int, count: int, *, flags: int = 0) -> bytes:
    size = (40 + len(body) + 511) // 512 * 512
    body = body.ljust(size - 40, b"\0")
    head = struct.pack("<4sIIIIIQ", b"HvLE", size, flags, sequence, length, count, marvin32(body))
    return head + struct.pack("<Q", marvin32(head)) + body


ENTRIES = [entry(FIRST + at, *pair) for at, pair in enumerate(pairwise(STATES))]


def log(first: int, *entries: bytes, kind: int = 6) -> bytes:
    """A log whose first entry has the number `first`."""
    return sealed(STATES[0][:512], first, first, kind=kind) + b"".join(entries)


WHOLE = log(FIRST, *ENTRIES)


@pytest.mark.parametrize(
    ("seed", "data", "expected"),
    [
        (0x004FB61A001BDBCC, "", 0x30ED35C100CD3C7D),
        (0x004FB61A001BDBCC, "8642dc59", 0x7008F2E87E9CF556),
        (0x804FB61A001BDBCC, "8642dc59", 0x36289D9654FB49F6),
    ],
)
def test_marvin32(seed: int, data: str, expected: int) -> None:
    assert marvin32(bytes.fromhex(data), seed) == expected


def test_all_entries_of_a_log() -> None:
    recovered = recover(DIRTY, [WHOLE])
    assert not is_dirty(recovered)
    assert recovered[4096:] == STATES[4][4096:]
    # Behind the number of the last entry, so that nothing in the log continues it.
    assert struct.unpack_from("<II", recovered, 4) == (FIRST + 4, FIRST + 4)
    assert recover(recovered, [WHOLE]) == recovered


def test_entries_are_found_through_two_logs() -> None:
    first, second = log(FIRST, *ENTRIES[:2]), log(FIRST + 2, *ENTRIES[2:])
    for logs in ([first, second], [second, first], [b"", second, bytes(512), first]):
        assert number(recover(DIRTY, logs)) == 4


def test_entries_that_were_applied_before_are_passed() -> None:
    dirty = sealed(STATES[2], FIRST + 5, FIRST + 2)
    assert number(recover(dirty, [WHOLE])) == 4
    assert number(recover(dirty, [log(FIRST - 2, entry(FIRST - 2, *STATES[:2])), WHOLE])) == 4


def test_older_entries_behind_the_newest_are_not_applied() -> None:
    assert number(recover(DIRTY, [log(FIRST, *ENTRIES[:2], ENTRIES[3], ENTRIES[2])])) == 2


def test_sequence_numbers_begin_again() -> None:
    entries = [
        entry((0xFFFFFFFF + at) & 0xFFFFFFFF, *pair) for at, pair in enumerate(pairwise(STATES))
    ]
    first, second = log(0xFFFFFFFF, entries[0]), log(0, *entries[1:])
    dirty = sealed(STATES[0], 0, 0xFFFFFFFF)
    assert number(recover(dirty, [second, first])) == 4


@pytest.mark.parametrize("at", range(4))
def test_a_damaged_entry_ends_the_log(at: int) -> None:
    for place in (0, 5, 20, 41, 600):
        start = 512 + sum(map(len, ENTRIES[:at])) + place
        broken = WHOLE[:start] + bytes([WHOLE[start] ^ 1]) + WHOLE[start + 1 :]
        if at:
            assert number(recover(DIRTY, [broken])) == at
        else:
            with pytest.raises(FormatError, match="none of its logs continues it"):
                recover(DIRTY, [broken])


@given(st.integers(0, len(WHOLE)))
def test_logs_that_are_cut_off(length: int) -> None:
    try:
        recovered = recover(DIRTY, [WHOLE[:length]])
    except FormatError:
        assert length < 512 + len(ENTRIES[0])
        return
    ends = [512 + sum(map(len, ENTRIES[:at])) for at in range(5)]
    assert number(recovered) == max(at for at, end in enumerate(ends) if end <= length)


def test_a_base_block_that_was_not_written_to_the_end() -> None:
    torn = DIRTY[:300] + b"torn" + DIRTY[304:]
    recovered = recover(torn, [WHOLE])
    assert number(recovered) == 4
    assert struct.unpack_from("<I", recovered, 28) == (0,)
    # As Windows does, the newer log of two is used.
    older = log(FIRST - 2, entry(FIRST - 2, *STATES[:2]))
    assert number(recover(torn, [older, WHOLE])) == 4


def test_pending_transactions() -> None:
    locked = entry(FIRST, *STATES[:2], flags=1)
    assert recover(DIRTY, [log(FIRST, locked)])[144] == 1
    flagged = bytearray(DIRTY)
    flagged[144] = 3
    dirty = sealed(bytes(flagged), FIRST + 1, FIRST)
    assert recover(dirty, [WHOLE])[144] == 2


@pytest.mark.parametrize(
    ("body", "length", "count", "match"),
    [
        (b"", 4096, 1000, "cannot have 1000 pages"),
        (struct.pack("<II", 0, 4096), 4096, 1, "4096 bytes is not whole"),
        (struct.pack("<II", 4096, 8) + bytes(8), 4096, 1, "behind its end"),
        (struct.pack("<II", 0, 8) + bytes(8), 1 << 30, 1, "does not have them"),
        (struct.pack("<II", 0, 4096) + bytes(4096), 4096, 1, "no bin begins at 0x0"),
    ],
)
def test_entries_that_lie(body: bytes, length: int, count: int, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        recover(DIRTY, [log(FIRST, packed(FIRST, body, length, count))])


# --- logs with a vector ---------------------------------------------------------------------------


TIME = 0x01D0000000000000


def vector_log(*, time: int = TIME, state: int = 4, kind: int = 1) -> bytes:
    after = STATES[state]
    pages = differing(STATES[0], after, 512)
    vector = bytearray((len(after) - 4096) // 4096)
    for at in pages:
        vector[at // 4096] |= 1 << at // 512 % 8
    head = sealed(after[:512], FIRST + 1, FIRST + 1, kind=kind, time=time)
    dirt = b"DIRT" + vector
    dirt = dirt.ljust((len(dirt) + 511) // 512 * 512, b"\xee")
    return head + dirt + b"".join(after[4096 + at : 4608 + at] for at in pages)


OLD = sealed(STATES[0], FIRST + 1, FIRST, time=TIME)


@pytest.mark.parametrize("kind", [1, 2])
def test_a_vector_of_pages(kind: int) -> None:
    recovered = recover(OLD, [b"", vector_log(time=TIME - 1, state=1), vector_log(kind=kind)])
    assert recovered[4096:] == STATES[4][4096:]
    assert number(recovered) == 4
    assert struct.unpack_from("<II", recovered, 4) == (FIRST + 2, FIRST + 2)


def test_a_vector_of_another_time() -> None:
    with pytest.raises(FormatError, match="none of its logs continues it"):
        recover(OLD, [vector_log(time=TIME + 1)])


def test_a_base_block_from_a_log_with_a_vector() -> None:
    torn = bytearray(OLD)
    torn[508] ^= 1
    # The first bin has the time, too.
    torn[4096 + 20 : 4096 + 28] = struct.pack("<Q", TIME)
    recovered = recover(bytes(torn), [vector_log()])
    assert number(recovered) == 4
    assert recovered[12:20] == struct.pack("<Q", TIME)


@pytest.mark.parametrize("length", [512, 514, 517, 1024, 1500])
def test_vectors_that_are_cut_off(length: int) -> None:
    with pytest.raises(FormatError, match="its log"):
        recover(OLD, [vector_log()[:length]])


# --- what is refused ------------------------------------------------------------------------------


def test_a_dirty_hive_without_logs() -> None:
    for logs in ([], [b""], [bytes(4096)], [b"regf"], [sealed(WHOLE[:512], 5, 4) + WHOLE[512:]]):
        with pytest.raises(FormatError, match="none of its logs continues it"):
            recover(DIRTY, logs)


def test_logs_do_not_matter_to_a_clean_hive() -> None:
    assert recover(STATES[0], [WHOLE, b"anything"]) == STATES[0]


def test_what_is_no_hive_and_what_is_no_log() -> None:
    with pytest.raises(FormatError, match="does not begin with a base block"):
        recover(b"", [WHOLE])
    with pytest.raises(FormatError, match="a log of 67108865 bytes is none"):
        recover(DIRTY, [bytes((64 << 20) + 1)])


flips = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=4)


@given(flips, st.sampled_from([(DIRTY, WHOLE), (OLD, vector_log())]), st.booleans())
def test_damage_is_found_or_harmless(
    changes: list[tuple[int, int]], pair: tuple[bytes, bytes], in_hive: object
) -> None:
    hive, other = bytearray(pair[0]), bytearray(pair[1])
    target = hive if in_hive else other
    for place, byte in changes:
        # Half of them are at the beginning, where the headers are.
        target[place % (len(target) if place % 2 else 1200)] = byte
    try:
        Hive(recover(bytes(hive), [bytes(other)]))
    except FormatError:
        return
