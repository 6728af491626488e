"""What XAPI says about this host's network: frozen records and the Snapshot that indexes them. Pure."""
