"""A dom0 with Open vSwitch, an XAPI stand-in and a controller that speaks OVSDB over TLS; the plugin itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plugin_host import PluginHost, spec

from xsagent.sandbox.dom0 import Sandbox


@pytest.fixture
def host() -> Iterator[PluginHost]:
    """Management on xenbr0 over eth0 (192.0.2.10), a bond bond0 on xapib0, TLS files of the host; no controller yet."""
    with Sandbox(spec()) as sandbox, PluginHost(sandbox) as running:
        yield running
