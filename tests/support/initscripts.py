"""ifup and ifdown in the place of the initscripts' own: what sysconfig.txt says of the keys that we write.

Each writes its words into the file `calls` of the sandbox's log; they fail for a device that the file `failing-ifup` or
`failing-ifdown` there names.
"""

from __future__ import annotations

from xsagent.sandbox.dom0 import Sandbox

_BEGIN = """#!/bin/sh
echo "@NAME@ $1" >> @LOG@/calls
[ "$1" != "$(cat @LOG@/failing-@NAME@ 2>/dev/null)" ] || { echo "@NAME@ does not want $1" >&2; exit 1; }
scripts=@ROOT@/etc/sysconfig/network-scripts
"""
_IFUP = """
[ ! -e @ROOT@/etc/sysconfig/network ] || . @ROOT@/etc/sysconfig/network
. $scripts/ifcfg-$1
[ -z "$MTU" ] || ip link set $1 mtu $MTU
ip link set $1 up
[ -z "$IPADDR" ] || ip address replace $IPADDR/$NETMASK dev $1
[ "$BOOTPROTO" != dhcp ] ||
    dhclient -q -cf @LOG@/dhclient.conf -pf @ROOT@/run/$1.pid -lf @ROOT@/run/$1.leases -sf @BIN@/take-lease $1 || exit 1
if [ "$DHCPV6C" = yes ]; then
    # without a link-local address that may be used dhclient ends at once
    for _ in $(seq 50); do ip -6 address show dev $1 scope link -tentative | grep -q inet6 && break; sleep 0.1; done
    dhclient -6 -nw -q -pf @ROOT@/run/$1.pid6 -lf @ROOT@/run/$1.leases6 -sf @BIN@/take-lease $1
fi
[ -z "$GATEWAY" ] || [ "${GATEWAYDEV:-$1}" != $1 ] || ip route replace default via $GATEWAY dev $1
[ ! -s $scripts/route-$1 ] || while read -r route; do ip route add $route; done < $scripts/route-$1
exit 0
"""
_IFDOWN = """
for pid in @ROOT@/run/$1.pid @ROOT@/run/$1.pid6; do [ ! -e $pid ] || kill $(cat $pid); rm -f $pid; done
ip address flush dev $1 scope global
ip link set $1 down
exit 0
"""
_TAKE_LEASE = """#!/bin/sh
case $reason in BOUND|RENEW|REBIND|REBOOT)
    ip address replace $new_ip_address/$new_subnet_mask dev $interface \\
        valid_lft $new_dhcp_lease_time preferred_lft $new_dhcp_lease_time
    ip route replace default via $new_routers dev $interface
esac
exit 0
"""
_PATIENCE_S = 2
"""How long dhclient lets ifup wait before it asks on in the background (dhclient.conf(5), timeout)."""


def install_initscripts(sandbox: Sandbox) -> None:
    """Put them before the system's in the PATH of a sandbox that runs."""
    (sandbox.log / "dhclient.conf").write_text(f"timeout {_PATIENCE_S};\n")
    programs = {"ifup": _BEGIN + _IFUP, "ifdown": _BEGIN + _IFDOWN, "take-lease": _TAKE_LEASE}
    for name, text in programs.items():
        filled = text.replace("@ROOT@", str(sandbox.root)).replace("@LOG@", str(sandbox.log))
        (sandbox.bin / name).write_text(filled.replace("@BIN@", str(sandbox.bin)).replace("@NAME@", name))
        (sandbox.bin / name).chmod(0o755)


def take_calls(sandbox: Sandbox) -> list[str]:
    """What was run since the last time this was asked."""
    path = sandbox.log / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.write_text("")
    return lines
