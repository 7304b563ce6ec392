from __future__ import annotations

import pytest

from converter.guest.memory import MemoryGuest
from tests.contract import GuestContract, make_tree


class TestMemoryGuest(GuestContract):
    @pytest.fixture
    def guest(self) -> MemoryGuest:
        guest = MemoryGuest()
        make_tree(guest)
        return guest
