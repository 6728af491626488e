"""The host's firewall against the tunnels of the switch (pains.md 13). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import prefixed


def check_firewall(facts: Facts) -> Iterator[Finding]:
    """What `xsagent firewall` would do; xsagentd does it by itself."""
    if facts.firewall:
        yield Finding(
            id="tunnel-firewall",
            severity=Severity.WARNING,
            subject="the firewall",
            problem=f"it does not have what the tunnels of this host need: to do is {'; '.join(facts.firewall)}",
            reason="packets of a tunnel are dropped, or a port is open that no tunnel needs any more",
            mend=(prefixed(facts, "xsagent", "firewall"),),
        )
