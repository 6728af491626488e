#!/bin/bash
# VLANs on a bridge that is there, one ovs-vsctl or ip call a change, no sleep.
# Usage: baseline-vlans-up.sh < lines of BRIDGE PARENT-BRIDGE TAG NETWORK-UUID.  What `make bench` measures xsagent beside.
set -euo pipefail

while read -r bridge parent tag uuid; do
  ovs-vsctl --may-exist add-br "$bridge" "$parent" "$tag"
  ovs-vsctl br-set-external-id "$bridge" xs-network-uuids "$uuid"
  ip link set "$bridge" up
done
