"""Requests for link settings: what is asked of the driver, and what of its answer is called a setting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xsagent.apply.ethtool import build_link_request
from xsagent.observed.ethtool import LINK_SETTINGS_HEAD, LinkSettings, bitmap, link_words, wol_letters
from xsagent.observed.link_modes import mode_bits, only_mode

COPPER = 0b1110_1111  # 10 to 1000 Mbit/s without 1000 half, autonegotiation, twisted pair
GIGABIT = LinkSettings(
    speed=1000, duplex=1, port=0, phy_address=1, autoneg=1, words=3, supported=COPPER, advertised=COPPER
)


def asked(present: LinkSettings, **wanted: str) -> dict[str, int]:
    """What a request asks for."""
    raw = build_link_request(present, wanted)
    command, speed, duplex, _port, _phy, autoneg, *_ = LINK_SETTINGS_HEAD.unpack_from(raw)
    masks = raw[LINK_SETTINGS_HEAD.size :]
    assert len(masks) == 3 * 4 * present.words
    size = 4 * present.words
    return {
        "command": command,
        "speed": speed,
        "duplex": duplex,
        "autoneg": autoneg,
        "advertised": bitmap(masks[size : 2 * size]),
    }


def test_a_forced_speed_turns_negotiation_off() -> None:
    """Speed and duplex stand in the request itself."""
    request = asked(GIGABIT, autoneg="off", speed="100", duplex="full")

    assert (request["command"], request["autoneg"], request["speed"], request["duplex"]) == (0x4D, 0, 100, 1)


def test_a_speed_with_negotiation_limits_what_is_advertised() -> None:
    """Only the modes of that speed remain, ports and the like stay."""
    request = asked(GIGABIT, speed="100")

    assert request["advertised"] == (COPPER & ~0b101111) | 0b1100
    assert only_mode(request["advertised"]) == (100, None)


def test_turning_negotiation_on_advertises_everything_again() -> None:
    """Where only one mode was advertised before."""
    limited = replace(GIGABIT, autoneg=0, advertised=0b1000000)

    assert asked(limited, autoneg="on")["advertised"] == COPPER & 0b1101111


def test_advertised_bits_are_taken_as_they_are() -> None:
    """ethtool-advertise is hexadecimal."""
    assert asked(GIGABIT, advertise="0x020")["advertised"] == 0x20


def test_wide_bit_sets_keep_their_upper_words() -> None:
    """Link modes beyond bit 31 stand in the second word."""
    wide = replace(GIGABIT, supported=COPPER | 1 << 47)

    assert asked(wide, speed="2500")["advertised"] == (COPPER & ~0b101111) | 1 << 47


@pytest.mark.parametrize("wanted", [{"speed": "fast"}, {"duplex": "both"}, {"autoneg": "1"}, {"advertise": "xyz"}])
def test_a_value_that_is_none_is_refused_before_the_driver_sees_it(wanted: dict[str, str]) -> None:
    """Never a struct with nonsense in it."""
    with pytest.raises(ValueError, match=r"fast|both|1|xyz"):
        build_link_request(GIGABIT, wanted)


def test_what_is_asked_for_counts_not_what_the_peer_granted() -> None:
    """A link limited to 1000 that came up at 100 is no drift; without a limit the negotiated speed is told."""
    limited = replace(GIGABIT, speed=100, advertised=mode_bits(COPPER, 1000, 1))

    assert link_words(limited)["speed"] == "1000"
    assert link_words(replace(GIGABIT, speed=100))["speed"] == "100"
    assert "speed" not in link_words(replace(GIGABIT, speed=0xFFFFFFFF))


def test_wake_on_lan_bits_are_ethtools_letters() -> None:
    """``d`` is none of them."""
    assert (wol_letters(0), wol_letters(0b100000), wol_letters(0b11)) == ("d", "g", "pu")
