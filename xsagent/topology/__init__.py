"""Topology: the one value type for desired and observed state, and the ownership rules. Pure."""
