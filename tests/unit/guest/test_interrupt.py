"""Signals that come while the main thread cannot handle them."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from converter.guest.interrupt import interruptible, kill_children

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def handled() -> Iterator[None]:
    before = {
        number: signal.signal(number, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGUSR1)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handled")
def test_another_thread_hears_of_the_signal() -> None:
    heard = threading.Event()
    with interruptible(heard.set):
        signal.raise_signal(signal.SIGTERM)
        assert heard.wait(10)


@pytest.mark.usefixtures("handled")
def test_signals_that_do_not_end_a_run_and_those_that_come_later_do_nothing() -> None:
    heard: list[int] = []
    with interruptible(lambda: heard.append(1)):
        signal.raise_signal(signal.SIGUSR1)
    # The block waits for the other thread to have read everything.
    signal.raise_signal(signal.SIGTERM)
    assert heard == []


def test_a_thread_without_children_has_none_to_kill() -> None:
    kill_children(threading.get_native_id())
    kill_children(2**22)
