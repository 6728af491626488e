"""What a sandbox may be made of."""

from __future__ import annotations

import pytest

from xsagent.errors import UsageError
from xsagent.sandbox.spec import Segment, default_segments


@pytest.mark.parametrize("nics", [0, -1, 33])
def test_an_impossible_number_of_nics_is_refused(nics: int) -> None:
    """A sandbox has 1 to 32 NICs."""
    with pytest.raises(UsageError, match=str(nics)):
        default_segments(nics=nics)


def test_a_segment_without_ipv4_address_has_no_gateway() -> None:
    """The gateway of a segment is its first IPv4 address; there is none to guess."""
    segment = Segment(name="x", nics=("eth0",), addresses=("2001:db8::1/64", "192.0.2.9/24"))

    assert str(segment.gateway.ip) == "192.0.2.9"
    with pytest.raises(UsageError, match="no IPv4"):
        _ = Segment(name="x", nics=("eth0",), addresses=("2001:db8::1/64",)).gateway
