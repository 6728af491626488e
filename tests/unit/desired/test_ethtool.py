"""Keys ethtool-* of other_config."""

from __future__ import annotations

import pytest

from xsagent.desired.ethtool import bridge_features, link_settings, nic_features
from xsagent.desired.notes import Notes


def test_a_nic_has_lro_off_and_gro_as_its_properties_say() -> None:
    """other_config beats properties; without either gro is left alone."""
    assert nic_features({}, {}, "eth0", Notes()) == {"lro": False}
    assert nic_features({}, {"gro": "on"}, "eth0", Notes()) == {"lro": False, "gro": True}
    assert nic_features({"ethtool-gro": "off"}, {"gro": "on"}, "eth0", Notes()) == {"lro": False, "gro": False}
    assert nic_features({"ethtool-lro": "true"}, {"gro": "maybe"}, "eth0", Notes()) == {"lro": True}


def test_a_bridges_device_has_no_defaults() -> None:
    """Only what the network asks for."""
    assert bridge_features({}, "xenbr0", Notes()) == {}


@pytest.mark.parametrize(("text", "value"), [("on", True), ("true", True), ("off", False), ("false", False)])
def test_offloads_are_switched_in_four_spellings(text: str, *, value: bool) -> None:
    """Those of both peers."""
    names = ("rx", "tx", "sg", "tso", "ufo", "gso", "gro", "lro")
    config = {f"ethtool-{name}": text for name in names}
    assert bridge_features(config, "eth0", Notes()) == dict.fromkeys(names, value)


def test_link_settings_come_in_the_order_of_ethtool() -> None:
    """Recorded case 18e, and the extensions."""
    config = {
        "ethtool-autoneg": "off",
        "ethtool-duplex": "full",
        "ethtool-speed": "25000",
        "ethtool-advertise": "0x0F",
        "ethtool-ring-rx": "4096",
        "ethtool-channels": "8",
        "ethtool-wol": "gp",
        "ethtool-pause-rx": "true",
        "ethtool-coalesce-rx-usecs": "0",
    }
    assert list(link_settings(config, "eth0", Notes()).items()) == [
        ("speed", "25000"),
        ("duplex", "full"),
        ("autoneg", "off"),
        ("advertise", "0xf"),
        ("wol", "pg"),
        ("ring-rx", "4096"),
        ("channels", "8"),
        ("pause-rx", "on"),
        ("coalesce-rx-usecs", "0"),
    ]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("speed", "1000,100"),
        ("speed", "0"),
        ("speed", ""),
        ("duplex", "Full"),
        ("autoneg", "yes"),
        ("advertise", "0x"),
        ("advertise", "0x0"),
        ("advertise", "15"),
        ("ring-rx", "-1"),
        ("wol", "x"),
        ("wol", "gg"),
        ("tx", "On"),
    ],
)
def test_a_bad_value_is_warned_about_and_left_alone(key: str, text: str) -> None:
    """Never fatal; the others still count."""
    notes = Notes()
    config = {f"ethtool-{key}": text, "ethtool-channels": "2"}
    assert bridge_features(config, "eth0", notes) == {}
    assert link_settings(config, "eth0", notes) == {"channels": "2"}
    (reason,) = notes.as_reasons()
    assert (reason.subject, reason.warning) == ("eth0", True)
    assert f"ethtool-{key}" in reason.text
