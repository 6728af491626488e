"""Tunnels come through the host's firewall while they are there, and nothing of it changes but rules of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from firewall_host import ADDRESS6

if TYPE_CHECKING:
    from firewall_host import FirewallHost


def test_a_tunnel_opens_its_port_and_the_last_one_closes_it(host: FirewallHost) -> None:
    """VXLAN is blocked before there is a tunnel, comes through while there is one, IPv6 too, and is blocked again."""
    before = host.foreign_rules()
    assert not host.lets_in("udp", 4789)

    host.add_tunnel("vx1", "vxlan")
    host.add_tunnel("vx2", "vxlan", key="7")
    host.reconcile()
    assert host.lets_in("udp", 4789)
    assert host.lets_in("udp", 4789, ADDRESS6)
    assert not host.lets_in("udp", 4790)

    host.delete_tunnel("vx1")
    host.reconcile()
    assert host.lets_in("udp", 4789)

    host.delete_tunnel("vx2")
    host.reconcile()
    assert not host.lets_in("udp", 4789)
    assert not host.lets_in("udp", 4789, ADDRESS6)
    assert host.foreign_rules() == before


def test_gre_is_let_in_without_any_tunnel(host: FirewallHost) -> None:
    """As the original start script: from service start on."""
    assert not host.lets_in("gre")

    host.reconcile()

    assert host.lets_in("gre")


def test_a_second_run_changes_nothing(host: FirewallHost) -> None:
    """Not even the order of rules, and it says nothing."""
    host.add_tunnel("vx1", "vxlan")
    host.reconcile()
    after = host.rules()

    again = host.reconcile()

    assert (again.stdout, again.stderr) == ("", "")
    assert host.rules() == after


def test_a_dry_run_tells_and_changes_nothing(host: FirewallHost) -> None:
    """Each rule that would come is a line."""
    before = host.rules()
    host.add_tunnel("gen1", "geneve")

    told = host.reconcile("--dry-run").stdout

    assert "accept gre" in told
    assert "accept udp port 6081" in told
    assert host.rules() == before


def test_a_rule_that_was_forgotten_comes_back(host: FirewallHost) -> None:
    """Firewalls are reloaded from the host's own rules, without ours: the next run mends that."""
    host.reconcile()
    host.reload()
    assert not host.lets_in("gre")

    host.reconcile()

    assert host.lets_in("gre")


_FOREIGN_WORD = {
    "nftables": ["nft", "add", "rule", "inet", "host", "input", "meta", "l4proto", "gre", "drop"],
    "iptables-nft": ["iptables", "-A", "HOST", "-p", "gre", "-j", "DROP"],
    "iptables-legacy": ["iptables", "-A", "HOST", "-p", "47", "-j", "DROP"],
    "firewalld": ["firewall-cmd", "--add-rich-rule=rule protocol value=gre drop"],
}


def test_an_admins_word_on_gre_counts(host: FirewallHost) -> None:
    """Where a rule of somebody else mentions GRE, in whatever chain a packet comes through, none of ours does."""
    host.sandbox.run(_FOREIGN_WORD[host.backend])

    host.reconcile()

    assert not host.lets_in("gre")


@pytest.mark.parametrize(
    ("kind", "options", "protocol", "port"),
    [
        ("geneve", {}, "udp", 6081),
        ("geneve", {"dst_port": "16081"}, "udp", 16081),
        ("vxlan", {"dst_port": "8472"}, "udp", 8472),
        ("stt", {}, "tcp", 7471),
        ("gre", {"psk": "secret"}, "udp", 500),
        ("gre", {"psk": "secret"}, "udp", 4500),
        ("vxlan", {"remote_cert": "/etc/peer.pem"}, "esp", 0),
    ],
)
def test_each_tunnel_opens_what_it_needs(
    nft_host: FirewallHost, kind: str, options: dict[str, str], protocol: str, port: int
) -> None:
    """Geneve and STT their port, any tunnel with keys of IPsec what IKE and ESP need; a port of its own counts."""
    assert not nft_host.lets_in(protocol, port)
    nft_host.add_tunnel("tun1", kind, **options)

    nft_host.reconcile()

    assert nft_host.lets_in(protocol, port)
    nft_host.delete_tunnel("tun1")
    nft_host.reconcile()
    assert not nft_host.lets_in(protocol, port)


def test_a_rule_of_ours_that_was_edited_is_made_anew(nft_host: FirewallHost) -> None:
    """A tag alone does not make a rule: what it accepts must be what its tag says, and be there once."""
    add = 'add rule inet host input {} accept comment "xsagent: {}"\n'
    text = add.format("udp dport 9999", "udp/4789") + add.format("meta l4proto gre", "gre") * 2
    nft_host.sandbox.run(["nft", "-f", "-"], input_text=text)
    nft_host.add_tunnel("vx1", "vxlan")

    nft_host.reconcile()

    assert nft_host.rules().count("xsagent: ") == 2
    assert nft_host.lets_in("udp", 4789)
    assert not nft_host.lets_in("udp", 9999)


def test_the_port_of_vxlan_can_be_set(nft_host: FirewallHost) -> None:
    """Key vxlan_port counts for tunnels that name none."""
    nft_host.add_tunnel("vx1", "vxlan")

    nft_host.reconcile(vxlan_port="8472")

    assert nft_host.lets_in("udp", 8472)
    assert not nft_host.lets_in("udp", 4789)


def test_up_and_down_of_a_tunnels_pif_open_and_close_its_port(nft_host: FirewallHost) -> None:
    """With the access PIF's bridge, before a controller adds a port to it; nobody has to run anything else."""
    nft_host.write_tunnel_cache()
    assert not nft_host.lets_in("udp", 4789)

    nft_host.reconfigure("xapi5", "up")
    assert nft_host.lets_in("udp", 4789)

    nft_host.reconfigure("xapi5", "down")
    assert not nft_host.lets_in("udp", 4789)


def test_the_caches_tunnels_count_while_their_bridge_is_there(nft_host: FirewallHost) -> None:
    """What the record says of being attached is as old as the cache."""
    nft_host.write_tunnel_cache()
    nft_host.reconcile()
    assert not nft_host.lets_in("udp", 4789)

    nft_host.sandbox.build_bridge("xapi5")
    nft_host.reconcile()

    assert nft_host.lets_in("udp", 4789)


def test_off_leaves_the_firewall_alone(nft_host: FirewallHost) -> None:
    """For an admin who wants to do it all."""
    before = nft_host.rules()

    nft_host.reconcile(firewall="off")

    assert nft_host.rules() == before


def test_every_chain_that_blocks_gets_the_rule(nft_host: FirewallHost) -> None:
    """An accept ends one chain only, so where nftables and iptables both filter, both let the tunnel in."""
    nft_host.sandbox.run(["iptables", "-P", "INPUT", "DROP"])
    nft_host.sandbox.run(["iptables", "-A", "INPUT", "-p", "udp", "--dport", "7000", "-j", "ACCEPT"])
    nft_host.add_tunnel("vx1", "vxlan")

    nft_host.reconcile()

    assert nft_host.lets_in("udp", 4789)
    assert "xsagent: udp/4789" in nft_host.rules()
    assert "xsagent: udp/4789" in nft_host.sandbox.run(["iptables", "-S"]).stdout


def test_a_chain_that_blocks_nothing_is_left_alone(nft_host: FirewallHost) -> None:
    """A table that only counts gets no rule of ours."""
    text = "table ip count { chain input { type filter hook input priority 5; policy accept;\n counter\n }\n}\n"
    nft_host.sandbox.run(["nft", "-f", "-"], input_text=text)

    nft_host.reconcile()

    assert "xsagent" not in nft_host.sandbox.run(["nft", "list", "table", "ip", "count"]).stdout


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("echo broken >&2\nexit 3", "nft -j list failed with status 3: broken"),
        ("echo no JSON", "what the firewall says of its rules makes no sense (JSONDecodeError"),
        ("echo '[]'", "what the firewall says of its rules makes no sense (TypeError"),
    ],
)
def test_a_firewall_that_does_not_answer_is_a_sentence(nft_host: FirewallHost, answer: str, said: str) -> None:
    """Exit 1, what failed is named, the other back end is served all the same."""
    nft = nft_host.sandbox.bin / "nft"
    nft.write_text(f"#!/bin/sh\n{answer}\n")
    nft.chmod(0o755)

    done = nft_host.reconcile(check=False)

    assert done.returncode == 1
    assert said in done.stderr
    assert "xsagent: gre" in nft_host.sandbox.run(["iptables", "-S"]).stdout


@pytest.mark.parametrize("host", ["firewalld"], indirect=True)
def test_firewalld_alone_counts_where_it_runs(host: FirewallHost) -> None:
    """It owns its tables: nft and iptables hold nothing of ours then."""
    host.reconcile()

    assert '"-9797"' in host.rules()
    assert "xsagent: " not in host.sandbox.run(["nft", "list", "ruleset"]).stdout
    assert "xsagent: " not in host.sandbox.run(["iptables", "-S"]).stdout
