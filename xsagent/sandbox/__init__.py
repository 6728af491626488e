"""A throw-away dom0 in network namespaces, for tests, the demo and hands-on work; `dom0.Sandbox` is the way in."""
