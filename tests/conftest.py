"""What all tiers share: the `functional` mark and its requirements, loud skips, profiles, the `sandbox` fixture.

XSAGENT_TEST_REQUIRE names tiers (``functional``, ``system``, with commas) in which nothing may be skipped: there a
missing tool is a failure. Without it a skip is reported with its reason at the end of the run.
PROFILE chooses how long property tests search: ``short`` (default), ``long`` (before a release).
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from xsagent.sandbox.dom0 import Sandbox, missing_tools
from xsagent.sandbox.namespaces import search_path

TIERS = ("functional", "system")
_FUNCTIONAL = Path(__file__).parent / "functional"


def required_tiers() -> frozenset[str]:
    """The tiers that XSAGENT_TEST_REQUIRE names; an unknown one stops the run."""
    words = frozenset(filter(None, os.environ.get("XSAGENT_TEST_REQUIRE", "").split(",")))
    if unknown := words - set(TIERS):
        raise pytest.UsageError(f"XSAGENT_TEST_REQUIRE knows {', '.join(TIERS)}, not {', '.join(unknown)}")
    return words


def pytest_configure() -> None:
    """Refuse a misspelt XSAGENT_TEST_REQUIRE before any test runs; set how long property tests search."""
    required_tiers()
    # No deadline for an example: on a busy machine it would fail a test that is right.
    settings.register_profile("short", deadline=None, max_examples=100, derandomize=True)
    # Said, because Hypothesis searches the same examples by default where it finds itself in a CI.
    settings.register_profile("long", deadline=None, max_examples=5000, derandomize=False)
    profile = os.environ.get("PROFILE", "short")
    if profile not in ("short", "long"):
        raise pytest.UsageError(f"PROFILE is short or long, not {profile}")
    settings.load_profile(profile)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test below tests/functional is a functional test, marked or not."""
    for item in items:
        if item.path.is_relative_to(_FUNCTIONAL):
            item.add_marker("functional")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much the property tests searched: hosts and sequences of events, operations done, faults injected."""
    tally: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                tally.update(dict(value for name, value in report.user_properties if name == "tally"))
    if tally:
        done = ", ".join(f"{count} {what}" for what, count in sorted(tally.items()))
        terminalreporter.write_line(f"generated ({os.environ.get('PROFILE', 'short')} profile): {done}")


@cache
def _obstacle() -> str:
    """Why functional tests cannot run here; empty when they can."""
    if missing := missing_tools():
        return f"this machine lacks {', '.join(missing)} (tests/setup-machine installs them)"
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--net", "--mount", "--pid", "--uts", "--fork", "true"]
    environment = os.environ | {"PATH": search_path()}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a functional test where it cannot run."""
    if item.get_closest_marker("functional") and (obstacle := _obstacle()):
        pytest.skip(obstacle)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a tier is required, a skip in it is a failure that says why."""
    report = yield
    tiers = [tier for tier in required_tiers() if item.get_closest_marker(tier)]
    if report.skipped and tiers and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"XSAGENT_TEST_REQUIRE={','.join(tiers)} allows no skip: {reason}"
    return report


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox of the default spec: eth0 and eth1, DHCP behind eth0, Open vSwitch up and empty."""
    with Sandbox() as running:
        yield running
