"""Level-triggered: what the host is to be, compared with what it is, whenever something says that it may differ."""
