"""`converter doctor`: it works where the engine does not."""

from __future__ import annotations

from converter.cli import output
from converter.doctor import as_json as checks_as_json
from converter.doctor import examine
from converter.errors import HostError


def doctor(*, as_json: bool) -> int:
    """Print what this machine has and lacks; a lack is exit 5."""
    checks = examine()
    if as_json:
        output.show_json(checks_as_json(checks))
    else:
        for item in checks:
            output.show(f"{'ok     ' if item.ok else 'MISSING'} {item.name}: {item.detail}")
            if not item.ok and item.hint:
                output.show(f"        {item.hint}")
    return 0 if all(item.ok for item in checks) else HostError.exit_code
