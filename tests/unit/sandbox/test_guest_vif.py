"""What a stand-in of xenopsd writes for a VIF: the product's readers understand it, in both layouts."""

from __future__ import annotations

import ipaddress
import json

import pytest

from xsagent.model.vif import Layout, LockingMode, VifId
from xsagent.sandbox.guest_vif import GuestVif, default_address, render_file, render_keys, render_netdev
from xsagent.sources.vif import VifKeys, build_paths, parse_vif

LOCKED = GuestVif(
    id=VifId(300, 1),
    bridge="xapi5",
    mtu=1400,
    locking="Locked",
    allowed=("192.0.2.7", "2001:db8::7"),
    trunks=(10, 20),
    other_config=(("ethtool-gso", "off"),),
)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("with_file", [True, False])
def test_keys_and_file_say_what_was_asked_for(layout: Layout, *, with_file: bool) -> None:
    """Whether xenopsd's file is there or only the keys, the same VIF comes out."""
    vif = GuestVif(**{name: getattr(LOCKED, name) for name in LOCKED.__dataclass_fields__} | {"layout": layout})
    values = {path: text.encode() for path, text in render_keys(vif).items()}
    paths = build_paths(vif.id, layout, vif.vm_uuid)

    def below(folder: str) -> dict[str, bytes]:
        return {path.removeprefix(f"{folder}/"): text for path, text in values.items() if path.startswith(f"{folder}/")}

    read = parse_vif(
        VifKeys(
            id=vif.id,
            paths=paths,
            vm_uuid=vif.vm_uuid,
            private=below(paths.private),
            backend=below(paths.backend),
            file=render_file(vif).encode() if with_file else None,
        )
    )

    assert (paths.private, paths.hotplug, paths.backend) == (vif.private, vif.hotplug, vif.backend)
    assert (read.bridge, read.mtu, read.mac, read.trunks) == ("xapi5", 1400, "00:16:3e:01:01:2c", (10, 20))
    assert (read.vif_uuid, read.network_uuid) == (vif.uuid, vif.network_uuid)
    assert read.locking.mode is LockingMode.LOCKED
    assert read.locking.ipv4 == (ipaddress.IPv4Address("192.0.2.7"),)
    assert read.locking.ipv6 == (ipaddress.IPv6Address("2001:db8::7"),)
    assert read.ethtool == {"gso": False}


def test_a_vif_without_bridge_has_no_key_of_it() -> None:
    """As where the network has none."""
    vif = GuestVif(id=VifId(1, 0), bridge="")

    assert not any(path.endswith("/bridge") for path in render_keys(vif))
    assert json.loads(render_file(vif))["backend"] == ["Local", ""]


def test_each_guest_has_names_and_addresses_of_its_own() -> None:
    """Namespace, MAC and address tell guests apart, while addresses last."""
    one, other = GuestVif(id=VifId(1, 0)), GuestVif(id=VifId(257, 0))

    assert one.guest_mac != other.guest_mac
    assert "netns guest257" in render_netdev(other)
    assert [default_address(vif) for vif in (VifId(1, 0), VifId(55, 0), VifId(56, 0), VifId(1, 1))] == [
        "192.0.2.200/24",
        "192.0.2.254/24",
        "",
        "",
    ]
