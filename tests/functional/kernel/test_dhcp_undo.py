"""The undo of a DHCP client that was started: nobody can name its lease in advance, so stopping it takes that off."""

from __future__ import annotations

from dataclasses import replace

from kernel_dom0 import Dom0, address, start_dhcp, stop_dhcp

from xsagent.plan.steps import AddressStep


def test_a_client_that_is_stopped_with_flush_leaves_nothing_of_its_lease(dom0: Dom0) -> None:
    """Address and default route go; a static address beside them stays."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(AddressStep(device="eth0", add=(address("198.51.100.9/24"),)))
    dom0.run(start_dhcp())
    assert len(dom0.addresses("eth0")) == 2

    done = dom0.run(replace(stop_dhcp(), flush=True))

    assert done.error is None
    assert dom0.addresses("eth0") == ["198.51.100.9/24"]
    assert dom0.ip("route", "show", "default") == []


def test_a_client_that_is_stopped_without_flush_leaves_its_address(dom0: Dom0) -> None:
    """An AddressStep removes it then, after new addresses came."""
    dom0.sandbox.far("gateway").dhcp.start()
    dom0.run(start_dhcp())

    dom0.run(stop_dhcp())

    assert len(dom0.addresses("eth0")) == 1
