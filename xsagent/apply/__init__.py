"""The only writer: runs a plan's steps against OVSDB, netlink, files and child programs."""
