"""Frames for neighbours and routers, against bytes written down from the RFCs."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from xsagent.apply.frames import (
    UNSPECIFIED,
    arp_request,
    is_arp_answer,
    is_neighbour_answer,
    is_neighbour_claim,
    neighbour_advertisement,
    neighbour_solicitation,
    router_solicitation,
)

MAC = bytes.fromhex("001b21005a01")
HOST, GATEWAY = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.1")
HOST6, GATEWAY6 = IPv6Address("fe80::1"), IPv6Address("2001:db8::abcd:1234")


GATEWAY_MAC = bytes.fromhex("0200000000fe")
SOLICITED = 0x40


def arp_reply(sender: IPv4Address, *, to: bytes = MAC, asked: IPv4Address = HOST) -> bytes:
    """An ARP reply as a gateway sends it."""
    body = bytes.fromhex("0001080006040002") + GATEWAY_MAC + sender.packed + to + asked.packed
    return to + GATEWAY_MAC + b"\x08\x06" + body


def advertisement(target: IPv6Address, *, to: bytes = MAC, flags: int = SOLICITED) -> bytearray:
    """A neighbour advertisement as a gateway answers with it."""
    frame = bytearray(neighbour_advertisement(GATEWAY_MAC, target))
    frame[:6] = to
    frame[58] |= flags
    return frame


def test_an_arp_request_is_a_broadcast_with_our_address() -> None:
    """RFC 826, byte by byte."""
    assert arp_request(MAC, HOST, GATEWAY).hex() == (
        "ffffffffffff001b21005a010806" + "0001080006040001" + "001b21005a01c000020a" + "000000000000c0000201"
    )


def test_only_an_arp_packet_in_which_the_gateway_speaks_is_an_answer() -> None:
    """Not another host's reply, not our own question, not half a packet; a VLAN tag does not matter."""
    reply = arp_reply(GATEWAY)

    assert is_arp_answer(reply, GATEWAY, MAC)
    assert is_arp_answer(reply[:12] + b"\x81\x00\x00\x05" + reply[12:], GATEWAY, MAC)
    assert not is_arp_answer(arp_reply(IPv4Address("192.0.2.2")), GATEWAY, MAC)
    assert not is_arp_answer(arp_request(MAC, HOST, GATEWAY), GATEWAY, MAC)
    assert not is_arp_answer(reply[:30], GATEWAY, MAC)
    assert not is_arp_answer(b"", GATEWAY, MAC)


def test_what_a_gateway_says_of_itself_is_no_arp_answer() -> None:
    """Its own questions, its announcements and its replies to others prove one direction only."""
    announcement = arp_reply(GATEWAY, to=GATEWAY_MAC, asked=GATEWAY)

    assert not is_arp_answer(arp_request(GATEWAY_MAC, GATEWAY, HOST), GATEWAY, MAC)
    assert not is_arp_answer(arp_request(GATEWAY_MAC, GATEWAY, GATEWAY), GATEWAY, MAC)
    assert not is_arp_answer(announcement, GATEWAY, MAC)
    assert not is_arp_answer(arp_reply(GATEWAY, to=bytes.fromhex("001b21005a02")), GATEWAY, MAC)


def test_a_solicited_advertisement_to_us_is_an_answer() -> None:
    """RFC 4861 section 7.2.4: unicast, flag S set; not one about another address."""
    frame = bytes(advertisement(GATEWAY6))

    assert is_neighbour_answer(frame, GATEWAY6, MAC)
    assert not is_neighbour_answer(frame, HOST6, MAC)


def test_what_a_gateway_says_of_itself_is_no_advertisement_to_us() -> None:
    """Its unsolicited advertisement, its question for us, and its answer to another host prove one direction only."""
    other = bytes.fromhex("001b21005a02")

    assert not is_neighbour_answer(neighbour_advertisement(GATEWAY_MAC, GATEWAY6), GATEWAY6, MAC)
    assert not is_neighbour_answer(bytes(advertisement(GATEWAY6, flags=0)), GATEWAY6, MAC)
    assert not is_neighbour_answer(neighbour_solicitation(GATEWAY_MAC, GATEWAY6, HOST6), GATEWAY6, MAC)
    assert not is_neighbour_answer(bytes(advertisement(GATEWAY6, to=other)), GATEWAY6, MAC)


def test_any_advertisement_of_an_address_is_a_claim_to_it() -> None:
    """Who is asked from the unspecified address answers all nodes, without flag S (RFC 4861 section 7.2.4)."""
    assert is_neighbour_claim(neighbour_advertisement(GATEWAY_MAC, GATEWAY6), GATEWAY6)
    assert is_neighbour_claim(bytes(advertisement(GATEWAY6)), GATEWAY6)
    assert not is_neighbour_claim(neighbour_advertisement(GATEWAY_MAC, HOST6), GATEWAY6)
    assert not is_neighbour_claim(neighbour_solicitation(GATEWAY_MAC, UNSPECIFIED, GATEWAY6), GATEWAY6)


def checksum_is_right(frame: bytes) -> bool:
    """Whether an ICMPv6 message adds up with its pseudo header (RFC 4443 section 2.3)."""
    message = frame[54:]
    data = frame[22:54] + len(message).to_bytes(4, "big") + (58).to_bytes(4, "big") + message
    total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def test_a_solicitation_goes_to_the_groups_of_its_target() -> None:
    """Destination MAC and address are made of the target's last three bytes (RFC 4291 section 2.7.1)."""
    frame = neighbour_solicitation(MAC, HOST6, GATEWAY6)

    assert frame[:6].hex() == "3333ffcd1234"
    assert IPv6Address(frame[38:54]) == IPv6Address("ff02::1:ffcd:1234")
    assert frame[21] == 255
    assert frame[54] == 135
    assert checksum_is_right(frame)


def test_an_advertisement_overrides_what_neighbours_know() -> None:
    """Override flag set, solicited flag not; the target's own MAC is named (RFC 4861 section 4.4)."""
    frame = neighbour_advertisement(MAC, HOST6)

    assert (frame[54], frame[58]) == (136, 0x20)
    assert frame[62:78] == HOST6.packed
    assert frame[78:80] + frame[80:86] == b"\x02\x01" + MAC
    assert checksum_is_right(frame)


def test_a_forwarded_advertisement_is_no_answer() -> None:
    """A hop limit below 255 means that it came through a router (RFC 4861 section 7.1.2)."""
    frame = advertisement(GATEWAY6)
    frame[21] = 254

    assert not is_neighbour_answer(bytes(frame), GATEWAY6, MAC)


def test_a_solicitation_of_routers_names_its_sender_only_when_it_has_an_address() -> None:
    """RFC 4861 section 4.1: no link-layer option from the unspecified address."""
    known, unknown = router_solicitation(MAC, HOST6), router_solicitation(MAC, UNSPECIFIED)

    assert (known[54], len(known) - 54) == (133, 16)
    assert (unknown[54], len(unknown) - 54) == (133, 8)
    assert checksum_is_right(known)
    assert checksum_is_right(unknown)
