"""The setting that opens locked VIFs for IPv6 autoconfiguration, from xsagent.conf to the switch's flows."""

from __future__ import annotations

from dom0 import Dom0
from guest_traffic import IPV4, IPV6

from xsagent.apply.flows import read_flows

LOCKED = ["Locked", {"ipv4": [IPV4], "ipv6": [IPV6]}]
FLOWS = 12 + 2 + 5


def test_a_locked_guest_may_autoconfigure_where_the_settings_say_so(dom0: Dom0) -> None:
    """The flows beyond the peers' come with ``locked_autoconf = "on"`` and go with it, at the next event."""
    dom0.lock(LOCKED)
    settings = dom0.sandbox.root / "etc/xsagent/xsagent.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    held = []
    for word in ("off", "on", "off"):
        settings.write_text(f'locked_autoconf = "{word}"\n')
        dom0.vif("vif", "1", "0", "online")
        held.append(read_flows(dom0.rundir, "xenbr0")[int(dom0.vsctl("get", "Interface", "vif1.0", "ofport"))])

    plain, more, after = held
    solicited = {flow for flow in more - plain if "icmp_type=135" in str(flow)}
    assert (len(plain), plain < more, after == plain) == (FLOWS, True, True)
    assert any("nd_target=fe80::" in str(flow) for flow in solicited)
