"""One dom0 for each kind of firewall."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from firewall_host import BACKENDS, FirewallHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import search_path

_PROGRAMS = ("iptables-nft", "iptables-legacy", "firewalld", "firewall-cmd", "dbus-daemon")


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Skips, loudly, where this machine lacks one of the firewalls."""
    if missing := [name for name in _PROGRAMS if shutil.which(name, path=search_path()) is None]:
        pytest.skip(f"this machine lacks {', '.join(missing)} (tests/setup-machine installs them)")


@pytest.fixture(params=BACKENDS)
def host(request: pytest.FixtureRequest) -> Iterator[FirewallHost]:
    """A dom0 whose firewall blocks all but the control port, by each program in turn."""
    with Sandbox() as sandbox:
        yield FirewallHost(sandbox, request.param)


@pytest.fixture
def nft_host() -> Iterator[FirewallHost]:
    """The same by nftables alone, for what is equal in all of them."""
    with Sandbox() as sandbox:
        yield FirewallHost(sandbox, "nftables")
