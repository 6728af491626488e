"""Putting xsagent on a host and taking it off again: what goes where (layout), by whom (stage, take_over)."""
