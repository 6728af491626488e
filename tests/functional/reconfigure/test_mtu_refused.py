"""A device that refuses its network's MTU: a warning, no rollback, and nothing to do for a second run."""

from __future__ import annotations

import pytest
from host_records import HostRecords, static
from host_state import addresses, ip, reconfigure, settle, spec_for, transactions, watched

from xsagent.sandbox.dom0 import Sandbox

UP = ("--no-syslog", "--force", "xenbr0", "up")


def up(sandbox: Sandbox) -> str:
    """Bring management up and return what was logged."""
    done = reconfigure(sandbox, *UP)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


def narrow_nic(sandbox: Sandbox) -> None:
    """Make eth0 a device that takes at most 1500: a macvlan over the former eth0."""
    for command in (
        "ip link set eth0 down",
        "ip link set eth0 name real0",
        "ip link set real0 up",
        "ip link add link real0 name eth0 type macvlan mode passthru",
        "ip link set eth0 address 00:1b:21:00:5a:01",
    ):
        sandbox.run(command.split())


@pytest.mark.parametrize(("mtu", "refuser"), [("65530", "xenbr0"), ("9000", "eth0")])
def test_a_refused_mtu_is_a_warning_and_no_second_run_tries_it_again(mtu: str, refuser: str) -> None:
    """A tap takes at most 65521 bytes, the narrow NIC 1500: the host comes up with what it has."""
    records = HostRecords()
    pif = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.network_of(pif)["MTU"] = mtu
    with Sandbox(spec_for(records)) as sandbox:
        if refuser == "eth0":
            narrow_nic(sandbox)

        log = up(sandbox)

        assert any("refuse_setting" in line and refuser in line for line in log.splitlines()), log
        assert ip(sandbox, "link", "show", refuser)[0]["mtu"] != int(mtu)
        assert "UP" in ip(sandbox, "link", "show", "eth0")[0]["flags"]
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        settle(sandbox)
        before = transactions(sandbox)
        with watched(sandbox) as changes:
            log = up(sandbox)
        assert "refuse_setting" not in log
        assert transactions(sandbox) == before
        assert changes == []
