"""xsagent: turns the network that XAPI wants into live Open vSwitch topology, and keeps it so."""

__version__ = "0.1.0"
