"""ovsdb-server is restarted while a run waits: the run goes on with the next one (DESIGN.md section 5)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from deadman_host import (
    WINDOW,
    WINDOW_S,
    ask,
    default_gateway,
    host_records,
    journal,
    managed,
    reachable,
    state_of,
    wait_until,
)
from host_records import DHCP, HostRecords, static
from host_state import addresses, ports_of, succeed
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.spec import shared_segment

NO_GATEWAY = "192.0.2.99"


def restart(sandbox: Sandbox) -> None:
    """As after a crash: systemd has a new one there in a second (Restart=on-failure)."""
    sandbox.ovsdb_server.kill()
    time.sleep(0.5)
    sandbox.ovsdb_server.start()


def start(host: XapiHost, *words: str, **env: str) -> subprocess.Popen[str]:
    """Begin a run."""
    argv = ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "--no-syslog", *words]
    return host.sandbox.spawn(argv, env={"XSAGENT_DHCP_WAIT_S": "60", **env})


def end(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it said."""
    _, said = run.communicate(timeout=120)
    return run.returncode, said


def restart_before_lease(host: XapiHost, run: subprocess.Popen[str]) -> str:
    """Restart ovsdb-server while a run waits for a DHCP server, which then is there; the run must succeed."""
    wait_until(lambda: host.sandbox.run(["pgrep", "dhclient"], check=False).stdout, "no client was started")
    restart(host.sandbox)
    host.sandbox.far().dhcp.start()
    code, said = end(run)
    assert code == 0, said
    assert "undo_step" not in said
    assert not journal(host.sandbox).exists()
    return said


# --- while it waits for a lease --------------------------------------------------------------------------


def test_a_boot_brings_management_up() -> None:
    """Its client stays, and the interface that has nothing to do with it is up too."""
    records = HostRecords()
    records.nic("eth0", management=True, **DHCP)
    records.nic("eth1", **static("198.51.100.10", gateway=""))
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        said = restart_before_lease(host, start(host, "--force-interface", "all", "up"))

        assert said.count("event=reopen_ovsdb") == 1
        assert addresses(host.sandbox, "xenbr0")[0].startswith("192.0.2.1")
        assert addresses(host.sandbox, "xenbr1") == ["198.51.100.10/24"]
        assert host.sandbox.run(["pgrep", "-c", "dhclient"]).stdout.strip() == "1"


def test_management_moves_to_dhcp() -> None:
    """A right change is kept: nothing was wrong with it."""
    with managed() as host:
        words = ask(host, **{"IP": "", "netmask": "", "gateway": "", **DHCP})

        restart_before_lease(host, start(host, *words, XSAGENT_DEADMAN_S="60"))

        assert len(addresses(host.sandbox, "xenbr0")) == 1
        assert addresses(host.sandbox, "xenbr0") != ["192.0.2.10/24"]


def test_another_interface_comes_up() -> None:
    """No guardian stands behind it, so half of it would stay."""
    records = host_records()
    pif = records.classes["PIF"][record_ref("pif eth1")]
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        succeed(host.sandbox, "--force", "xenbr0", "up")
        pif.update(DHCP)
        session = host.restart_xapi().control("open_session", originator="xapi")

        restart_before_lease(host, start(host, "--session", session, "--pif", record_ref("pif eth1"), "up"))

        assert ports_of(host.sandbox, "xenbr1") == ["eth1"]
        assert len(addresses(host.sandbox, "xenbr1")) == 1


def test_one_that_stays_away_is_named_and_the_next_run_finishes() -> None:
    """It is waited for as long as at the start, once: then the run ends, and nothing is half done for long."""
    records = host_records()
    records.classes["PIF"][record_ref("pif eth1")].update(DHCP)
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        words = ("--pif-uuid", record_uuid("pif eth1"), "up")
        run = start(host, *words, XSAGENT_OVSDB_WAIT_S="1")
        wait_until(lambda: host.sandbox.run(["pgrep", "dhclient"], check=False).stdout, "no client was started")
        host.sandbox.ovsdb_server.kill()
        host.sandbox.far().dhcp.start()

        code, said = end(run)

        assert code == 1
        assert "ovsdb-server" in said.splitlines()[-1]
        assert "run the command again" in said.splitlines()[-1]
        host.sandbox.ovsdb_server.start()
        succeed(host.sandbox, *words)
        assert ports_of(host.sandbox, "xenbr1") == ["eth1"]
        assert len(addresses(host.sandbox, "xenbr1")) == 1
        assert not journal(host.sandbox).exists()


# --- in the deadman's window, and on the way back ----------------------------------------------------------


def come_back_late(sandbox: Sandbox) -> None:
    """It is away when the way back begins."""
    sandbox.ovsdb_server.kill()
    time.sleep(WINDOW_S + 2)
    sandbox.ovsdb_server.start()


def restart_both(sandbox: Sandbox) -> None:
    """As by `xsagent openvswitch restart`."""
    sandbox.vswitchd.kill()
    restart(sandbox)
    sandbox.vswitchd.start()


def kept_state(host: XapiHost) -> dict[str, Any]:
    """What must be as it was: the userspace datapath has a device of its own, made anew with the first bridge."""
    state = state_of(host)
    del state["links"]["ovs-netdev"]
    return state


@pytest.mark.parametrize("happen", [restart, come_back_late, restart_both])
def test_a_mistake_is_taken_back(happen: Callable[[Sandbox], None]) -> None:
    """Bond.create with a wrong gateway, the bridge made anew: the host is as it was, and the run says so."""
    records = host_records()
    with XapiHost(records, segments=shared_segment(nics=2, dhcp=False)) as host:
        succeed(host.sandbox, "--force", "xenbr0", "up")
        before = kept_state(host)
        members = [records.classes["PIF"][record_ref(f"pif {name}")] for name in ("eth0", "eth1")]
        for member in members:
            member.update({"ip_configuration_mode": "None", "IP": "", "management": False})
        fields = {"management": True, "other_config": {"bond-updelay": "0"}, **static("192.0.2.10", gateway=NO_GATEWAY)}
        records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **fields)
        session = host.restart_xapi().control("open_session", originator="xapi")
        run = start(host, "--session", session, "--pif", record_ref("pif bond0"), "up", "--management", **WINDOW)
        wait_until(lambda: default_gateway(host.sandbox) == [NO_GATEWAY], "the change was never made")

        happen(host.sandbox)

        code, said = end(run)
        assert code == 1
        assert said.splitlines()[-1].endswith("the host is as it was before")
        assert "undo_failed" not in said
        assert not journal(host.sandbox).exists()
        assert kept_state(host) == before
        assert reachable(host)
