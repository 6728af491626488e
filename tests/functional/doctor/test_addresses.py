"""Addresses, gateways and names, broken with ip(8) and files; mended as the doctor says."""

from __future__ import annotations

from patient import Patient


def test_managements_address_on_a_second_device(patient: Patient) -> None:
    """What a moved management interface leaves behind (pains.md 1): the other device gives it up."""
    patient.run("ip", "address", "add", "192.0.2.10/24", "dev", "xenbr1")

    finding = patient.mends("management-address-twice")

    assert finding["severity"] == "error"
    assert finding["mend"] == ["ip address del 192.0.2.10/24 dev xenbr1"]


def test_an_address_on_two_devices(patient: Patient) -> None:
    """The device whose record has it keeps it."""
    patient.run("ip", "address", "add", "198.51.100.10/24", "dev", "xapi0")

    finding = patient.mends("address-twice")

    assert finding["mend"] == ["ip address del 198.51.100.10/24 dev xapi0"]


def test_an_address_that_another_host_has_too(patient: Patient) -> None:
    """Its MAC is named, so that the host can be found."""
    gateway = patient.sandbox.far()
    gateway.run(["ip", "address", "add", "192.0.2.10/32", "dev", gateway.interface])

    finding = patient.finding("address-of-another-host")
    gateway.run(["ip", "address", "del", "192.0.2.10/32", "dev", gateway.interface])

    assert (finding["severity"], finding["subject"]) == ("error", "192.0.2.10")
    assert "02:00:00:00:fe:01" in finding["problem"]


def test_a_gateway_that_does_not_answer(patient: Patient) -> None:
    """Asked by ARP, since routers may not answer ping."""
    patient.sandbox.far().set_addresses("192.0.2.99/24")

    finding = patient.finding("gateway-silent")
    patient.sandbox.far().set_addresses("192.0.2.1/24", "2001:db8::1/64")

    assert (finding["severity"], finding["subject"]) == ("error", "192.0.2.1")


def test_an_address_that_somebody_took_off(patient: Patient) -> None:
    """The record wants it: up puts it back."""
    patient.run("ip", "address", "del", "198.51.100.10/24", "dev", "xenbr1")

    assert "add 198.51.100.10/24" in patient.mends("drift")["problem"]


def test_a_default_route_that_is_gone(patient: Patient) -> None:
    """Management without a gateway is an error."""
    patient.run("ip", "route", "del", "default")

    finding = patient.mends("drift")

    assert finding["severity"] == "error"
    assert "default via 192.0.2.1" in finding["problem"]


def test_a_default_route_too_many(patient: Patient) -> None:
    """Through another device, as good as management's (pains.md 8): it goes."""
    patient.run("ip", "route", "append", "default", "via", "198.51.100.1", "dev", "xenbr1")

    finding = patient.mends("default-route-twice")

    assert finding["mend"] == ["ip -4 route del default dev xenbr1"]
    assert "through xenbr0 and xenbr1" in finding["problem"]


def test_a_resolver_without_servers(patient: Patient) -> None:
    """The record names one: up writes it down again."""
    patient.path("etc/resolv.conf").write_text("")

    finding = patient.mends("dns-missing")

    assert "192.0.2.1 is known" in finding["problem"]
    assert "nameserver 192.0.2.1" in patient.path("etc/resolv.conf").read_text()
