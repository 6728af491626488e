"""Findings -> text for people, JSON for machines. Pure.

Plain ASCII, as all text of ours (DECISIONS.md 17); other people's names are escaped where they could move a cursor.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from xsagent.doctor.findings import Finding, Severity
from xsagent.topology.text import printable
from xsagent.topology.values import Json

SCHEMA: Final = 1
"""Raised when a member of the JSON changes its meaning or goes; one that is added is no change."""
_MOST_OF_A_KIND: Final = 8
UNREACHABLE: Final = "Where this host cannot be reached: /usr/share/doc/xsagent/UNREACHABLE.md, step by step."
HEALTHY: Final = "Nothing is wrong with this host's network, as far as xsagent can tell."


def render_findings(findings: Sequence[Finding]) -> str:
    """The findings as text that ends in a newline: a headline each, then why, and what mends it.

    Of many findings of one kind the first few are shown, and how many more there are.
    """
    lines: list[str] = []
    for (severity, kind), alike in itertools.groupby(findings, key=lambda one: (one.severity, one.id)):
        found = list(alike)
        lines += [line for finding in found[:_MOST_OF_A_KIND] for line in _lines(finding)]
        more = len(found) - _MOST_OF_A_KIND
        if more > 0:
            lines.append(f"{severity.upper()} and {more} more of this kind; --json has them all [{kind}]")
    errors = any(finding.severity is Severity.ERROR for finding in findings)
    lines += [_summary(findings), *([UNREACHABLE] if errors else [])]
    return "".join(f"{printable(line)}\n" for line in lines)


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.severity.upper()} {finding.subject}: {finding.problem} [{finding.id}]"
    yield f"  why it matters: {finding.reason}"
    for command in finding.mend:
        yield f"  mend: {command}"
    if finding.by_hand:
        yield f"  by hand: {finding.by_hand}"


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    if not counts[Severity.ERROR] and not counts[Severity.WARNING]:
        return HEALTHY
    return ", ".join(
        f"{counts[one]} {one}{'' if counts[one] == 1 else 's'}" for one in Severity if one is not Severity.INFO
    )


def findings_to_json(findings: Sequence[Finding]) -> Json:
    """``{"schema", "summary": {severity: count}, "findings": [...]}``; README.md has the members."""
    counts = Counter(finding.severity for finding in findings)
    return {
        "schema": SCHEMA,
        "summary": {str(severity): counts[severity] for severity in Severity},
        "findings": [
            {
                "id": finding.id,
                "severity": str(finding.severity),
                "subject": finding.subject,
                "problem": finding.problem,
                "reason": finding.reason,
                "mend": list(finding.mend),
                "by_hand": finding.by_hand,
            }
            for finding in findings
        ],
    }
