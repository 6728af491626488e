"""The switch's manager: whom XAPI names, whom the switch obeys, whether it is connected, and with what keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import ask_plugin, command
from xsagent.plan.manager import diff_control
from xsagent.topology.control import ManagerState

NEW_CERTIFICATE = command("xe", "host-emergency-reset-server-certificate")


def check_manager(facts: Facts) -> Iterator[Finding]:
    """Another manager than XAPI's, one that is not connected, fail modes, and the certificate."""
    yield from _differs(facts)
    observed = facts.control.observed
    for manager in observed.managers if observed is not None else ():
        if not manager.is_connected:
            yield _unconnected(manager)
    yield from _certificate(facts)


def _differs(facts: Facts) -> Iterator[Finding]:
    observed, desired = facts.control.observed, facts.control.desired
    if observed is None or desired is None:
        return
    change = diff_control(desired, observed)
    present = " and ".join(manager.target for manager in observed.managers) or "no manager"
    if change.manager is not None:
        yield Finding(
            id="manager-differs",
            severity=Severity.ERROR,
            subject=desired.manager.target if desired.manager is not None else present,
            problem=f"the switch has {present}, XAPI wants {desired.manager.target if desired.manager else 'none'}",
            reason="the controller that should rule the switch does not, or one that should not does",
            mend=(ask_plugin(facts),),
        )
    elif change.fail_mode or change.in_band:
        wrong = sorted(
            name
            for name, wanted in desired.bridges.items()
            if name in observed.bridges
            and (
                observed.bridges[name].fail_mode != wanted.fail_mode
                or observed.bridges[name].other_config.get("disable-in-band") != wanted.disable_in_band
            )
        )
        yield Finding(
            id="fail-mode-differs",
            severity=Severity.WARNING,
            subject=" ".join(wrong),
            problem="its fail mode or in-band control is not what XAPI says",
            reason="what it forwards without its controller is not what was asked for",
            mend=(ask_plugin(facts),),
        )


def _unconnected(manager: ManagerState) -> Finding:
    listens = manager.target.startswith("p")
    words = [f"state {manager.status['state']}"] if "state" in manager.status else []
    words += [manager.status["last_error"]] if "last_error" in manager.status else []
    return Finding(
        id="manager-not-connected",
        severity=Severity.INFO if listens else Severity.WARNING,
        subject=manager.target,
        problem="no manager is connected" + (f" ({', '.join(words)})" if words else ""),
        reason="the switch waits for it to come in" if listens else "the controller cannot change this switch",
        mend=() if listens else (command("ovs-appctl", "-t", "ovsdb-server", "ovsdb-server/reconnect"),),
        by_hand="" if listens else "check that the controller runs, its address, port and certificate",
    )


def _certificate(facts: Facts) -> Iterator[Finding]:
    found, desired, observed = facts.certificate, facts.control.desired, facts.control.observed
    in_use = (desired is not None and desired.manager is not None) or (observed is not None and bool(observed.managers))
    if not found.present and not in_use:
        return
    if found.problem:
        yield Finding(
            id="certificate-unusable",
            severity=Severity.ERROR if in_use else Severity.WARNING,
            subject=found.path,
            problem=found.problem,
            reason="the switch cannot prove to its controller who it is"
            if in_use
            else "a controller could not be connected to",
            mend=(NEW_CERTIFICATE,),
        )
    for warning in found.warnings:
        yield Finding(
            id="certificate-weak" if "expired" not in warning else "certificate-expired",
            severity=Severity.WARNING,
            subject=found.path,
            problem=warning,
            reason="controllers with stricter rules refuse the connection",
            mend=(NEW_CERTIFICATE,),
        )
