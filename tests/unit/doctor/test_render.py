"""xsagent/doctor/render.py: what people and machines are given."""

from __future__ import annotations

from dataclasses import replace

from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.render import HEALTHY, findings_to_json, render_findings

FINDING = Finding(
    id="link-down",
    severity=Severity.ERROR,
    subject="eth\x1b0",
    problem="the link is down",
    reason="nothing reaches the wire",
    mend=("ip link set dev eth0 up",),
    by_hand="look at it",
)


def test_a_finding_is_a_headline_with_its_reason_and_its_command() -> None:
    """The command stands alone after its word, to be copied; a terminal code in a name is escaped."""
    assert render_findings([FINDING]).splitlines() == [
        "ERROR eth\\u001b0: the link is down [link-down]",
        "  why it matters: nothing reaches the wire",
        "  mend: ip link set dev eth0 up",
        "  by hand: look at it",
        "1 error, 0 warnings",
        "Where this host cannot be reached: /usr/share/doc/xsagent/UNREACHABLE.md, step by step.",
    ]


def test_many_of_a_kind_are_counted() -> None:
    """200 VLANs in the same trouble do not hide what else is wrong; the summary counts all."""
    many = [replace(FINDING, subject=f"eth{number}", mend=(), by_hand="") for number in range(200)]

    lines = render_findings(many).splitlines()

    assert len(lines) == 8 * 2 + 3
    assert lines[-3:] == [
        "ERROR and 192 more of this kind; --json has them all [link-down]",
        "200 errors, 0 warnings",
        "Where this host cannot be reached: /usr/share/doc/xsagent/UNREACHABLE.md, step by step.",
    ]


def test_nothing_wrong_is_one_sentence() -> None:
    """Not an empty output, which could be a failure."""
    assert render_findings([]) == f"{HEALTHY}\n"


def test_the_json_has_the_members_that_readme_names() -> None:
    """Machines rely on them; a change of meaning raises the schema's number."""
    assert findings_to_json([FINDING]) == {
        "schema": 1,
        "summary": {"error": 1, "warning": 0, "info": 0},
        "findings": [
            {
                "id": "link-down",
                "severity": "error",
                "subject": "eth\x1b0",
                "problem": "the link is down",
                "reason": "nothing reaches the wire",
                "mend": ["ip link set dev eth0 up"],
                "by_hand": "look at it",
            }
        ],
    }
