"""Hotplug of guests' network devices: event -> decide (pure) -> handle."""
