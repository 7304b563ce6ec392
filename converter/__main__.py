"""`python -m converter` and the `converter` command."""

from __future__ import annotations

import os
import signal
from importlib import import_module
from typing import Final, NoReturn

INTERRUPTED: Final = 130


def main() -> NoReturn:
    """Run the command line; a signal that comes while it is being loaded ends it as any other."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Nothing was begun yet that would have to be cleared away.
            signal.signal(number, lambda _number, _frame: os._exit(INTERRUPTED))
    import_module("converter.cli").main()
    raise SystemExit


if __name__ == "__main__":
    main()
