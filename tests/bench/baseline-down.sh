#!/bin/bash
# Takes a VLAN's bridge away.  Usage: baseline-down.sh BRIDGE.  What `make bench` measures xsagent beside.
set -euo pipefail

ip link set "$1" down
ovs-vsctl --if-exists del-br "$1"
