"""fail_mode, in-band control, snooping and MAC table of a bridge."""

from __future__ import annotations

import pytest
from records_builder import NETLINK, Records, management, warnings

from xsagent.topology.values import KEEP, Bridge

_KEY = "vswitch-controller-fail-mode"


def _bridge(records: Records) -> Bridge:
    return records.up(records.nic(0, **management()), options=NETLINK).topology.bridges["xenbr0"]


@pytest.mark.parametrize(
    ("pif", "network", "pool", "wanted"),
    [
        (None, None, None, "standalone"),
        (None, None, "secure", "secure"),
        (None, "standalone", "secure", "standalone"),
        (None, "secure", None, "secure"),
        (None, "nonsense", "secure", "secure"),
        (None, None, "SECURE", "standalone"),
        ("secure", "standalone", "standalone", "secure"),
    ],
)
def test_the_first_valid_word_counts(pif: str | None, network: str | None, pool: str | None, wanted: str) -> None:
    """PIF, network, pool, standalone (recorded cases 19 and 19b)."""
    records = Records()
    nic = records.nic(0, **management(other_config={} if pif is None else {_KEY: pif}))
    records.change_network(nic, other_config={} if network is None else {_KEY: network})
    records.change_pool(other_config={} if pool is None else {_KEY: pool})
    desired = records.up(nic)
    assert desired.topology.bridges["xenbr0"].fail_mode == wanted
    assert bool(warnings(desired)) == bool({"nonsense", "SECURE"} & {network, pool})


@pytest.mark.parametrize(
    ("word", "key"), [(None, None), ("true", "true"), ("false", "false"), ("yes", None), ("", None)]
)
def test_f30_in_band_control_is_set_or_the_key_is_absent(word: str | None, key: str | None) -> None:
    """A word that is none must not leave the old value (recorded case 19l)."""
    records = Records()
    nic = records.nic(0)
    records.change_network(nic, other_config={} if word is None else {"vswitch-disable-in-band": word})
    desired = records.up(nic)
    assert desired.topology.bridges["xenbr0"].other_config["disable-in-band"] == key
    assert bool(warnings(desired)) == (word not in {None, "true", "false"})


def test_snooping_follows_the_pool_with_the_keys_of_networkd() -> None:
    """Off says nothing about the keys; without a pool record nothing is said at all."""
    records = Records()
    assert _bridge(records).mcast_snooping is False
    records.change_pool(igmp_snooping_enabled=True)
    bridge = _bridge(records)
    assert bridge.mcast_snooping is True
    assert bridge.other_config["enable-ipv6-mcast-snooping"] == "false"
    assert bridge.other_config["mcast-snooping-disable-flood-unregistered"] == "true"
    records.pool = None
    assert _bridge(records).mcast_snooping is KEEP


@pytest.mark.parametrize(("text", "size"), [("20000", "20000"), ("100", "10000"), ("lots", "10000"), ("9", "10000")])
def test_a_larger_mac_table_can_be_asked_for(text: str, size: str) -> None:
    """Never a smaller one than configured."""
    records = Records()
    nic = records.nic(0)
    records.change_network(nic, other_config={"mac-table-size": text})
    assert records.up(nic).topology.bridges["xenbr0"].other_config["mac-table-size"] == size
