#!/bin/bash
# A NIC's bridge and a static address, as a careful script would do it: one ovs-vsctl or ip call a change, no sleep.
# Usage: baseline-up.sh BRIDGE NIC MAC NETWORK-UUID ADDRESS/LENGTH GATEWAY.  What `make bench` measures xsagent beside.
set -euo pipefail
bridge=$1 nic=$2 mac=$3 uuid=$4 address=$5 gateway=$6

ovs-vsctl --may-exist add-br "$bridge" -- set Bridge "$bridge" "datapath_type=${XSAGENT_DATAPATH_TYPE:-}"
ovs-vsctl set Bridge "$bridge" "other_config:hwaddr=\"$mac\""
ovs-vsctl set Bridge "$bridge" fail_mode=standalone
ovs-vsctl set Bridge "$bridge" other_config:mac-table-size=10000
ovs-vsctl br-set-external-id "$bridge" xs-network-uuids "$uuid"
ip link set "$nic" mtu 1500
ip link set "$nic" up
ovs-vsctl --may-exist add-port "$bridge" "$nic"
ovs-vsctl set Interface "$nic" mtu_request=1500
ovs-vsctl set Interface "$bridge" mtu_request=1500
ip link set "$bridge" up
ip address replace "$address" dev "$bridge"
ip route replace default via "$gateway" dev "$bridge"
