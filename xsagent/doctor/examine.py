"""Facts -> every finding, the worst first. Pure.

The one list of checks; a new check is a file of its own and a name here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from xsagent.doctor.check_addresses import check_addresses
from xsagent.doctor.check_bonds import check_bonds
from xsagent.doctor.check_bridges import check_bridges
from xsagent.doctor.check_daemon import check_daemon
from xsagent.doctor.check_drift import DRIFT, check_drift
from xsagent.doctor.check_firewall import check_firewall
from xsagent.doctor.check_leftovers import check_leftovers
from xsagent.doctor.check_links import check_links
from xsagent.doctor.check_manager import check_manager
from xsagent.doctor.check_mtu import check_mtu
from xsagent.doctor.check_names import check_names
from xsagent.doctor.check_peers import check_peers
from xsagent.doctor.check_records import check_records
from xsagent.doctor.check_vifs import check_vifs
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity, in_order

CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    check_peers,
    check_links,
    check_bonds,
    check_mtu,
    check_addresses,
    check_names,
    check_records,
    check_manager,
    check_bridges,
    check_vifs,
    check_firewall,
    check_daemon,
    check_leftovers,
    check_drift,
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Everything that is wrong, in order, each thing once."""
    findings = [finding for check in CHECKS for finding in check(facts)]
    named = {finding.mend for finding in findings if finding.id != DRIFT and finding.severity is not Severity.INFO}
    return in_order(finding for finding in findings if finding.id != DRIFT or finding.mend not in named)
