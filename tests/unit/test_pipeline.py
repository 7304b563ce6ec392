from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from converter import pipeline
from converter.errors import ConversionError, GuestRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable


def _dead() -> None:
    raise ConversionError("appliance-died", "it ended")


@pytest.mark.parametrize(
    ("must_be_sound", "code"), [(lambda: None, "verification-failed"), (_dead, "appliance-died")]
)
def test_of_an_appliance_that_has_ended_the_guest_is_not_spoilt(
    monkeypatch: pytest.MonkeyPatch, must_be_sound: Callable[[], None], code: str
) -> None:
    def refuse(_machine: object) -> None:
        raise GuestRefusedError("guest-filesystem-unmountable", "You can also run guestfs-test")

    monkeypatch.setattr(pipeline, "inspect_machine", refuse)
    machine: Any = SimpleNamespace(must_be_sound=must_be_sound)
    with pytest.raises(ConversionError) as caught:
        pipeline._inspect_again(machine)
    assert caught.value.code == code
