"""reconcile/internal_bridges.py: whose fail mode and in-band control are ours to set without a PIF's operation."""

from __future__ import annotations

import pytest

from xsagent.model.records import Network, Pool, Ref
from xsagent.observed.ovsdb_ids import BridgeIds, SwitchIds
from xsagent.reconcile.internal_bridges import differing_bridges
from xsagent.topology.control import BridgeControl

SECURE = {"vswitch-controller-fail-mode": "secure"}
RIGHT = BridgeIds(fail_mode="standalone")


def net(*, pifs: tuple[Ref, ...] = (), **other_config: str) -> Network:
    """A network with bridge xapi3; `_` stands for `-` in a key."""
    config = {key.replace("_", "-"): value for key, value in other_config.items()}
    return Network(ref=Ref("n"), uuid="n3", bridge="xapi3", pifs=pifs, other_config=config)


@pytest.mark.parametrize(
    ("present", "network", "pool", "wanted"),
    [
        (RIGHT, net(), Pool(ref=Ref("p")), None),
        (BridgeIds(), net(), None, BridgeControl(fail_mode="standalone")),
        (RIGHT, net(), Pool(ref=Ref("p"), other_config=SECURE), BridgeControl(fail_mode="secure")),
        (RIGHT, net(pifs=(Ref("pif"),)), Pool(ref=Ref("p"), other_config=SECURE), None),
        (
            RIGHT,
            net(vswitch_disable_in_band="true"),
            None,
            BridgeControl(fail_mode="standalone", disable_in_band="true"),
        ),
        (RIGHT, net(vswitch_disable_in_band="maybe"), None, None),
        (
            BridgeIds(fail_mode="standalone", disable_in_band="true"),
            net(),
            None,
            BridgeControl(fail_mode="standalone"),
        ),
    ],
)
def test_what_differs(present: BridgeIds, network: Network, pool: Pool | None, wanted: BridgeControl | None) -> None:
    """Network before pool, standalone by default; a bridge that a PIF is on is another's matter."""
    found = differing_bridges(
        SwitchIds(bridges={"xapi3": present, "admin0": BridgeIds()}), {network.ref: network}, pool
    )

    assert found == ({} if wanted is None else {"xapi3": wanted})
