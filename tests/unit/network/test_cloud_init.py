"""cloud-init's network configuration: what was written for the source's cards goes."""

from __future__ import annotations

import pytest

from tests.unit.network.guests import NETWORKD, converted

DROP_IN = "/etc/cloud/cloud.cfg.d/90-installer-network.cfg"
BLOCK = "network:\n  version: 2\n  ethernets:\n    ens33:\n      addresses: [10.0.0.5/24]\n"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        f"# by the installer\n---\n{BLOCK}",
        '"network": {version: 1, config: [{type: physical, name: ens33}]}\n',
        "network:\n  version: 1\n  config:\n  - type: physical\n    name: ens33\n\n\n",
        "network:\n- a\n# comment\n  b",
        f"{BLOCK}".replace("\n", "\r\n"),
    ],
)
def test_a_file_with_nothing_else_goes(text: str) -> None:
    assert not converted({**NETWORKD, DROP_IN: text}).has(DROP_IN)


def test_the_rest_of_a_file_stays_as_it_is() -> None:
    text = f"#cloud-config\nusers: [x]\n{BLOCK}\n# then\nruncmd:\n  - echo network:\nnetworks: 1\n"
    done = converted({**NETWORKD, "/etc/cloud/cloud.cfg": text})
    assert done.text("/etc/cloud/cloud.cfg") == (
        "#cloud-config\nusers: [x]\n\n# then\nruncmd:\n  - echo network:\nnetworks: 1\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "network: {config: disabled}\n",
        "network:\n  config: disabled\n",
        "network: {'config': 'disabled'}\n",
        "datasource_list: [NoCloud]\n",
        "# network:\n",
        "  network: x\n",
        "",
        "\udcff".encode("utf-8", "surrogateescape"),
    ],
)
def test_what_writes_no_cards_stays(text: str | bytes) -> None:
    done = converted({**NETWORKD, DROP_IN: text})
    assert done.guest.read(DROP_IN) == (text.encode() if isinstance(text, str) else text)


def test_local_seeds_know_no_cards() -> None:
    seed = "/var/lib/cloud/seed/nocloud/network-config"
    done = converted({**NETWORKD, seed: BLOCK, "/var/lib/cloud/seed/nocloud/user-data": "x"})
    assert not done.has(seed)
    assert done.has("/var/lib/cloud/seed/nocloud/user-data")
