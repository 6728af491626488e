#!/bin/bash
# Attaches a guest's vif with the programs that a legacy vif script starts, one for each read, write and setting:
# bash, cat, 4 cut, 16 xenstore-read, 3 xenstore-write, 6 ip, 1 ovs-vsctl with all settings, 5 logger.
# Run by udev for xen-backend's `online`: ACTION and XENBUS_PATH in the environment.  What `make bench` measures beside.
set -uo pipefail
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
prefix=$1
export OVS_RUNDIR=$prefix/var/run/openvswitch

say() { logger --socket "$prefix/dev/log" -t vif "$*"; }
key() { xenstore-read "$1" 2>/dev/null; }

say "vif: $ACTION $XENBUS_PATH"
[[ $(cat "$prefix/etc/xensource/network.conf") == openvswitch ]] || exit 1
domid=$(cut -d/ -f3 <<<"$XENBUS_PATH")
devid=$(cut -d/ -f4 <<<"$XENBUS_PATH")
device=vif$domid.$devid
if key libxl/disable_udev; then exit 0; fi
vm=$(key "/local/domain/$domid/vm" | cut -d/ -f3)
uuid=$(key "/vm/$vm/uuid" | cut -d' ' -f1)
private=/xapi/$uuid/private/vif/$devid
hotplug=/xapi/$uuid/hotplug/$domid/vif/$devid
for offload in rx tx sg tso ufo gso; do
  # No VIF of the bench asks for one; a script that is asked starts ethtool besides.
  value=$(key "$private/other-config/ethtool-$offload") && say "$offload is to be $value"
done
mtu=$(key "$private/MTU")
mac=$(key "$private/bridge-MAC")
bridge=$(key "$private/bridge")
vif_uuid=$(key "$private/vif-uuid")
network_uuid=$(key "$private/network-uuid")
guest_mac=$(key "$private/mac")
say "$device: bridge $bridge, MTU $mtu"

ip link set "$device" mtu "$mtu"
ip link set "$device" down
ip link set "$device" arp off multicast off
ip link set "$device" address "$mac"
ip address flush dev "$device"
ovs-vsctl --timeout=30 -- --if-exists del-port "$device" -- add-port "$bridge" "$device" \
  -- set Interface "$device" "external_ids:xs-vm-uuid=$uuid" "external_ids:xs-vif-uuid=$vif_uuid" \
  "external_ids:xs-network-uuid=$network_uuid" "external_ids:attached-mac=\"$guest_mac\"" ||
  { say "$device: cannot be added to $bridge"; exit 1; }
say "$device: is on $bridge"
ip link set "$device" up
key "$private/other-config/promiscuous" >/dev/null || say "$device: is not promiscuous"
xenstore-write "$hotplug/vif" "$device"
xenstore-write "$hotplug/hotplug" online
xenstore-write "/local/domain/0/backend/vif/$domid/$devid/hotplug-status" connected
say "$device: connected"
