"""xsagentd, its ready file, and programs that would fight with it (DESIGN.md section 6). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import RESTART_DAEMON, command, prefixed

_RIVALS: Final = {
    "ovs-xapi-sync": "it writes the same external-ids as xsagentd, from older values",
}
"""Process names of programs whose work is ours, with what they do to it."""


def check_daemon(facts: Facts) -> Iterator[Finding]:
    """A daemon that is down, a ready file that outlived it, keys that keep failing, what displaced us, rivals."""
    if not facts.daemon.answers:
        yield _silent(facts)
    for key, sentence in facts.daemon.failing:
        yield Finding(
            id="daemon-key-failing",
            severity=Severity.WARNING,
            subject=key,
            problem=sentence,
            reason="xsagentd keeps trying and does not get it right",
            by_hand="xsagent status says since when",
        )
    yield from _displaced(facts)
    yield from _rivals(facts)


def _silent(facts: Facts) -> Finding:
    """Why nobody answers on the daemon's socket, and what that costs."""
    daemon, ready = facts.daemon, facts.paths.get("ready", "")
    restart = (RESTART_DAEMON,) if daemon.installed else ()
    if daemon.ready:
        return Finding(
            id="ready-without-daemon",
            severity=Severity.ERROR,
            subject=ready,
            problem="the ready file is there and xsagentd does not answer",
            reason="udev's rules start nothing while it is there, so no guest's device is plugged",
            mend=(command("rm", "-f", ready), *restart),
            by_hand="" if restart else "end xsagentd where its process is still there, and start it again",
        )
    if daemon.installed and facts.daemon_used:
        return Finding(
            id="daemon-down",
            severity=Severity.ERROR,
            subject="xsagentd",
            problem="it does not answer on its socket",
            reason="drift is not repaired and each device is plugged by a process of its own",
            mend=restart,
        )
    return Finding(
        id="daemon-absent",
        severity=Severity.INFO,
        subject="xsagentd",
        problem="it is not installed, or not used",
        reason="commands do their work themselves",
    )


def _displaced(facts: Facts) -> Iterator[Finding]:
    """Units of ours that are masked, and other paths that somebody took from us."""
    for unit in facts.daemon.masked:
        yield Finding(
            id="unit-masked",
            severity=Severity.ERROR,
            subject=unit,
            problem="the unit is masked",
            reason="systemd does not start it, at the next boot neither",
            mend=(command("systemctl", "unmask", unit), *_take_over(facts), command("systemctl", "start", unit)),
        )
    for path in facts.daemon.displaced:
        yield Finding(
            id="path-displaced",
            severity=Severity.ERROR,
            subject=path,
            problem="xsagent had taken it over, and another file is in its place, or none",
            reason="whoever uses it runs something else, and a unit that is missing does not start at the next boot",
            mend=_take_over(facts),
        )


def _take_over(facts: Facts) -> tuple[str, ...]:
    """Put our links in place again, where a package had put them."""
    return (prefixed(facts, "xsagent-setup", "take-over"),) if facts.daemon.profile else ()


def _rivals(facts: Facts) -> Iterator[Finding]:
    for name, harm in _RIVALS.items():
        if facts.daemon.answers and name in facts.daemon.processes:
            yield Finding(
                id="rival-daemon",
                severity=Severity.WARNING,
                subject=name,
                problem="it runs beside xsagentd",
                reason=harm,
                mend=(command("systemctl", "disable", "--now", name),),
            )
    if facts.daemon.networkd_runs:
        yield _networkd(facts)
    if facts.daemon.foreign_rules:
        yield Finding(
            id="vif-rules-twice",
            severity=Severity.ERROR,
            subject=facts.daemon.foreign_rules,
            problem="its lines for vif and tap are still there beside xsagent's rules",
            reason="two scripts handle each guest's device, and the slower one has the last word",
            mend=_take_over(facts)
            or (
                command("python3", "-m", "xsagent.cli.udev_rules", facts.daemon.foreign_rules),
                command("udevadm", "control", "--reload"),
            ),
        )


def _networkd(facts: Facts) -> Finding:
    if facts.daemon.topology_is_ours:
        return Finding(
            id="networkd-beside-us",
            severity=Severity.ERROR,
            subject="xcp-networkd",
            problem="it runs, and xsagent is installed with the profile full",
            reason="both set bridges and addresses, each as it thinks right",
            mend=(command("systemctl", "disable", "--now", "xcp-networkd.service"),),
        )
    return Finding(
        id="networkd-owns-topology",
        severity=Severity.INFO,
        subject="xcp-networkd",
        problem="it runs, so bridges and addresses are not compared with XAPI's records",
        reason="xsagent does hotplug, locking rules and the manager here",
    )
