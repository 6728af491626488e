"""The daemon keeps the host's firewall in step with the tunnels, without anybody asking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xsagent.sandbox.daemons import wait_for

if TYPE_CHECKING:
    from served_dom0 import ServedDom0

_TABLE = "table inet host { chain input { type filter hook input priority 0; policy drop; }; }\n"


def rules(served: ServedDom0) -> str:
    """The host's chain, as nft prints it."""
    return served.sandbox.run(["nft", "list", "table", "inet", "host"]).stdout


def await_rule(served: ServedDom0, text: str, *, there: bool = True) -> None:
    """Until a rule is there, or is not."""
    verb = "did not come" if there else "did not go"
    wait_for(lambda: (text in rules(served)) is there, 60, lambda: f"the rule {text} {verb}: {served.log[-1500:]}")


def test_tunnels_open_and_close_the_firewall_by_themselves(served: ServedDom0) -> None:
    """A controller adds a port and takes it out again; what a reload of the firewall forgot comes back."""
    served.sandbox.run(["nft", "-f", "-"], input_text=_TABLE)
    served.vsctl(
        "add-port", "xenbr0", "vx1", "--", "set", "Interface", "vx1", "type=vxlan", "options:remote_ip=1.2.3.4"
    )
    await_rule(served, "udp dport 4789 accept")

    served.vsctl("set", "Interface", "vx1", "options:dst_port=8472")
    await_rule(served, "udp dport 8472 accept")
    await_rule(served, "udp dport 4789 accept", there=False)

    served.sandbox.run(["nft", "-f", "-"], input_text=f"delete table inet host\n{_TABLE}")
    served.sandbox.run(["ovs-appctl", "-t", "xsagentd", "flush-cache"])
    await_rule(served, "udp dport 8472 accept")

    served.vsctl("del-port", "vx1")
    await_rule(served, "udp dport 8472 accept", there=False)
    assert "xsagent: gre" in rules(served)
    assert served.status()["services"]["firewall"]["error"] == ""


def test_a_vlans_bridge_is_no_reason_to_look(served: ServedDom0) -> None:
    """A look reads all of XAPI's records: where VLANs come and go, nobody has time for one after each."""

    def last() -> float:
        return float(served.status()["services"]["firewall"]["at"] or 0.0)

    wait_for(lambda: last() > 0, 60, lambda: f"the first look was not made: {served.log[-1500:]}")
    before = last()
    served.vsctl("add-br", "xapi5", "xenbr0", "5")
    time.sleep(3.0)  # three times as long as it waits for more ports to come

    assert last() == before
