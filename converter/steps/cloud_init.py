"""cloud-init asks EC2 for its data, not the cloud the machine came from (LNX-9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.inspection.cloud import DROP_INS, inspect_cloud_init
from converter.model import Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

# Of several lists the last counts, by the names of their files: after 99-anything.
PATH: Final = f"{DROP_INS}/zz_ec2_datasource.cfg"
# On one line: ds-identify, which decides whether cloud-init runs at all, reads no other lists.
_TEXT: Final = (
    "# EC2's metadata instead of that of the cloud the machine came from.\n"
    "datasource_list: [ Ec2, None ]\n"
)


def run(context: Context) -> None:
    """Plan a list with EC2 in it, where there is none or a seed of another cloud goes before."""
    found = inspect_cloud_init(context.guest)
    if found is None:
        return
    for seed in found.seeds:
        context.guest.note(
            Finding(
                Severity.WARNING,
                "cloud-init-seed",
                f"{seed} holds data that another cloud or an installer left for cloud-init; it is"
                " not used on EC2",
                "remove it in the converted machine once it is not needed any more",
            )
        )
    if not found.asks_ec2:
        reason = "a seed of another cloud goes before EC2"
        if found.sources is not None and "Ec2" not in found.sources:
            listed = ", ".join(found.sources) or "nothing"
            reason = f"{found.file} lets cloud-init ask {listed} only"
        context.guest.write(PATH, _TEXT.encode(), code="cloud-init-datasource", reason=reason)


def _applies(facts: Facts) -> bool:
    return "cloud-init" in facts.linux.agents


STEP: Final = Step("cloud-init", "ask EC2 for cloud-init's data", _applies, run)
