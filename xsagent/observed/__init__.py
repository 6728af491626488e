"""host -> Topology: what OVSDB, netlink and files say, read and never written."""
