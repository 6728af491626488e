"""Which state a host boots from: the best that there is, and it says what it passed over."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.sources.boot import read_boot_state
from xsagent.sources.network_reset import is_reset_requested

DATA = Path(__file__).parent / "data"
MANAGEMENT_CONF = "LABEL='eth0'\nMODE='static'\nIP='192.0.2.77'\nNETMASK='255.255.255.0'\n"
NETWORKD_DB = (
    '{"interface_config": {"xenbr0": {"ipv4_conf": ["Static4", [["192.0.2.55", 24]]]}},'
    ' "bridge_config": {"xenbr0": {"ports": {"eth0": {"interfaces": ["eth0"]}}}}}'
)
CACHE_IP, NETWORKD_IP, CONF_IP, RESET_IP = "192.0.2.10", "192.0.2.55", "192.0.2.77", "192.0.2.99"
RESET = f"DEVICE=eth0\nMODE=static\nIP={RESET_IP}\nNETMASK=255.255.255.0\nGATEWAY=192.0.2.1\nDNS=192.0.2.2\n"


def put(path: Path, text: str) -> None:
    """A file with the directories that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A host that has every state, each with an address of its own."""
    paths = Paths(tmp_path)
    cache = (DATA / "legacy-static.dbcache").read_text()
    put(tmp_path / "var/xapi/network.dbcache", cache)
    put(tmp_path / "var/xapi/network.dbcache.previous", cache.replace(CACHE_IP, "192.0.2.9"))
    put(paths.networkd_db, NETWORKD_DB)
    put(paths.management_conf, MANAGEMENT_CONF)
    put(paths.inventory, "MANAGEMENT_INTERFACE='xenbr0'\n")
    return paths


def management_ip(paths: Paths) -> str:
    """The address that the host would boot with."""
    return read_boot_state(paths).pif_for_bridge("xenbr0").ip


def test_the_cache_comes_first(paths: Paths) -> None:
    """Without a warning."""
    assert management_ip(paths) == CACHE_IP
    assert read_boot_state(paths).warnings == ()


@pytest.mark.parametrize("damage", ["", "<xenserver-network-conf", "<html/>", "<xenserver-network-configuration/>"])
def test_a_corrupt_cache_gives_way_to_its_previous_generation(paths: Paths, damage: str) -> None:
    """With a warning that names the reason and what is used."""
    paths.dbcache.write_text(damage)

    snapshot = read_boot_state(paths)

    assert snapshot.pif_for_bridge("xenbr0").ip == "192.0.2.9"
    assert "network.dbcache" in snapshot.warnings[0]
    assert snapshot.warnings[0].endswith("network.dbcache.previous is used instead")


def test_a_missing_cache_gives_way_to_networkds_database(paths: Paths) -> None:
    """It is imported when there is no cache of any generation; the file stays."""
    paths.dbcache.unlink()
    paths.below("/var/xapi/network.dbcache.previous").unlink()

    assert management_ip(paths) == NETWORKD_IP
    assert paths.networkd_db.exists()


def test_the_installers_choice_is_the_last_resort(paths: Paths) -> None:
    """One warning names all that was tried."""
    shutil.rmtree(paths.below("/var/xapi"))
    paths.networkd_db.write_text("{")

    snapshot = read_boot_state(paths)

    assert snapshot.pif_for_bridge("xenbr0").ip == CONF_IP
    assert len(snapshot.warnings) == 1
    for name in ("network.dbcache does not exist", "network.dbcache.previous does not", "networkd.db cannot be used"):
        assert name in snapshot.warnings[0]


def test_no_state_at_all_names_everything_that_was_tried(tmp_path: Path) -> None:
    """In one sentence that says that nothing was changed."""
    with pytest.raises(CacheError) as caught:
        read_boot_state(Paths(tmp_path))

    sentence = str(caught.value)
    for name in ("network.dbcache", "network.dbcache.previous", "networkd.db", "management.conf"):
        assert name in sentence
    assert sentence.endswith("; nothing was changed")
    assert sentence.count("nothing was changed") == 1


def test_the_second_place_counts_when_the_cache_is_only_there(paths: Paths) -> None:
    """/var/lib/xcp/network.dbcache of xen-api's copy of the scripts; its previous generation too."""
    second = paths.below("/var/lib/xcp/network.dbcache")
    put(second, (DATA / "legacy-static.dbcache").read_text().replace(CACHE_IP, "192.0.2.33"))
    assert management_ip(paths) == CACHE_IP

    shutil.rmtree(paths.below("/var/xapi"))
    assert management_ip(paths) == "192.0.2.33"

    second.rename(second.with_name("network.dbcache.previous"))
    assert management_ip(paths) == "192.0.2.33"


def test_a_reset_makes_every_other_state_count_for_nothing(paths: Paths) -> None:
    """management.conf counts, as xe-reset-networking wrote it (features.md section 24)."""
    put(paths.network_reset, RESET)

    snapshot = read_boot_state(paths)

    assert snapshot.pif_for_bridge("xenbr0").ip == CONF_IP
    assert "asks for a reset" in snapshot.warnings[0]


def test_a_reset_without_management_conf_counts_itself(paths: Paths) -> None:
    """Its words are the same choice; old state is still not looked at."""
    put(paths.network_reset, RESET)
    paths.management_conf.unlink()

    pif = read_boot_state(paths).pif_for_bridge("xenbr0")

    assert (pif.ip, pif.gateway, pif.dns) == (RESET_IP, "192.0.2.1", "192.0.2.2")


def test_a_reset_with_vlan_and_ipv6(paths: Paths) -> None:
    """All that xe-reset-networking can say."""
    paths.management_conf.unlink()
    put(
        paths.network_reset, "DEVICE=eth0\nMODE=dhcp\nMODE_V6=static\nVLAN=7\nIPV6=2001:db8::9/64\nGATEWAY_V6=fe80::1\n"
    )

    pif = read_boot_state(paths).pif_for_bridge("xenbr0")

    assert (pif.vlan, pif.ip_mode, pif.ipv6, pif.ipv6_gateway) == (7, "DHCP", ("2001:db8::9/64",), "fe80::1")


def test_a_reset_that_cannot_be_understood_does_not_bring_old_state_back(paths: Paths) -> None:
    """Somebody wanted to be rid of it."""
    put(paths.network_reset, "")
    paths.management_conf.write_text("")

    with pytest.raises(CacheError, match="network-reset cannot be used"):
        read_boot_state(paths)


def test_only_a_file_of_roots_is_a_reset(paths: Paths) -> None:
    """Anyone may write to /var/tmp, a link or directory there is no sign."""
    assert not is_reset_requested(paths)
    paths.network_reset.mkdir(parents=True)
    assert not is_reset_requested(paths)
    paths.network_reset.rmdir()
    paths.network_reset.symlink_to(paths.management_conf)
    assert not is_reset_requested(paths)
    paths.network_reset.unlink()
    put(paths.network_reset, RESET)
    assert is_reset_requested(paths)
    if os.geteuid() == 0:
        os.chown(paths.network_reset, 1234, 1234)
        assert not is_reset_requested(paths)
