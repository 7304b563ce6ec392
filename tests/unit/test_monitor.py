from __future__ import annotations

import time

import pytest

from converter.monitor import Stopwatch


def test_seconds_add_up_by_phase_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 10.0, 12.5, 20.0, 20.25])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    watch = Stopwatch()
    with watch.timing("copy"):
        pass
    with pytest.raises(ValueError, match="x"), watch.timing("edit"):
        raise ValueError("x")
    with watch.timing("copy"):
        pass
    assert watch.seconds == {"copy": 1.25, "edit": 2.5}
    assert list(watch.seconds) == ["copy", "edit"]
