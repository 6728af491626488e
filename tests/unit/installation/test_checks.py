"""Which hosts may be taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.config import Paths, Settings
from xsagent.errors import BackendError, RefusedError
from xsagent.installation.checks import check_host
from xsagent.installation.layout import Profile
from xsagent.installation.live import mark_boot

QUICK = Settings(xapi_deadline_s=1, lock_wait_s=0)


@pytest.fixture
def host(tmp_path: Path) -> Paths:
    """A host on Open vSwitch; nothing runs."""
    conf = tmp_path / "etc/xensource/network.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("openvswitch\n")
    return Paths(tmp_path)


def live(host: Paths) -> None:
    """Its switch runs; XAPI does not."""
    host.ovsdb_socket.parent.mkdir(parents=True)
    host.ovsdb_socket.touch()


def networkd(host: Paths) -> None:
    """xcp-networkd is among the processes."""
    (host.proc / "7").mkdir(parents=True)
    (host.proc / "7/comm").write_text("xcp-networkd\n")


@pytest.mark.parametrize("profile", ["full", "hotplug"])
def test_backend_bridge_is_refused_with_its_reason(host: Paths, profile: Profile) -> None:
    """Both profiles stand on Open vSwitch."""
    host.network_conf.write_text("bridge\n")

    with pytest.raises(BackendError, match="backend bridge, which xsagent does not drive"):
        check_host(host, QUICK, profile, upgrade=False)


def test_full_is_refused_while_networkd_runs_and_hotplug_is_not(host: Paths) -> None:
    """Two owners of one topology would undo each other's work."""
    networkd(host)

    with pytest.raises(RefusedError, match="xcp-networkd runs and owns this host's topology"):
        check_host(host, QUICK, "full", upgrade=False)
    check_host(host, QUICK, "hotplug", upgrade=False)


def test_full_is_refused_where_networkd_would_start_at_the_next_boot(host: Paths) -> None:
    """Enabled, not running."""
    wants = host.below("/etc/systemd/system/network-online.target.wants")
    wants.mkdir(parents=True)
    (wants / "xcp-networkd.service").symlink_to("/usr/lib/systemd/system/xcp-networkd.service")

    with pytest.raises(RefusedError, match="is enabled"):
        check_host(host, QUICK, "full", upgrade=False)


def test_full_is_refused_when_the_cache_cannot_be_written(host: Paths) -> None:
    """Without it the next boot would have no network: XAPI is away here."""
    live(host)

    with pytest.raises(RefusedError, match=r"network\.dbcache, from which this host is to boot, could not be written"):
        check_host(host, QUICK, "full", upgrade=False)
    check_host(host, QUICK, "hotplug", upgrade=False)


def test_an_upgrade_goes_on_with_the_cache_that_is_there(host: Paths) -> None:
    """XAPI may be away then, but the cache must be good."""
    live(host)
    with pytest.raises(RefusedError):
        check_host(host, QUICK, "full", upgrade=True)
    host.dbcache.parent.mkdir(parents=True)
    data = Path(__file__).parents[1] / "sources/data/legacy-static.dbcache"
    host.dbcache.write_bytes(data.read_bytes())

    check_host(host, QUICK, "full", upgrade=True)


def test_where_nothing_runs_nobody_is_asked(tmp_path: Path) -> None:
    """An image that is being filled."""
    check_host(Paths(tmp_path), QUICK, "full", upgrade=False)


def test_the_boot_is_marked_only_where_open_vswitch_runs(host: Paths) -> None:
    """So that a later start of it in this boot does not take the running bridges for stale ones."""
    assert not mark_boot(host)
    live(host)
    assert mark_boot(host)

    assert host.ovs_boot_marker.exists()
    assert not mark_boot(host)
