#!/bin/bash
# Moves a host's address and ports from a NIC's bridge to the bridge of a bond over it, one call a change, no sleep.
# Usage: baseline-to-bond.sh OLD-BRIDGE BRIDGE BOND MAC ADDRESS/LENGTH GATEWAY NIC NIC.  What `make bench` measures
# xsagent beside.
set -euo pipefail
old=$1 bridge=$2 bond=$3 mac=$4 address=$5 gateway=$6 nics=("${@:7}")

mapfile -t ports < <(ovs-vsctl list-ports "$old")
for nic in "${nics[@]}"; do
  ip link set "$nic" up
done
ovs-vsctl --may-exist add-br "$bridge" -- set Bridge "$bridge" "datapath_type=${XSAGENT_DATAPATH_TYPE:-}"
ovs-vsctl set Bridge "$bridge" "other_config:hwaddr=\"$mac\""
ip link set "$bridge" up
for nic in "${nics[@]}"; do
  ovs-vsctl --if-exists del-port "$nic"
done
ovs-vsctl --may-exist add-bond "$bridge" "$bond" "${nics[@]}" bond_mode=active-backup
for port in "${ports[@]}"; do
  [[ " ${nics[*]} " == *" $port "* ]] && continue
  type=$(ovs-vsctl get Interface "$port" type)
  ovs-vsctl del-port "$old" "$port"
  ovs-vsctl add-port "$bridge" "$port" -- set Interface "$port" "type=$type"
done
ip address del "$address" dev "$old"
ip address replace "$address" dev "$bridge"
ip route replace default via "$gateway" dev "$bridge"
ovs-vsctl del-br "$old"
