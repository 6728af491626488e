"""Routes that the kernel or a router set: which ones come and go by themselves, and which ones only stay. Pure.

Used by routes.py and by whatever puts routes back: what is learnt is learnt again.
"""

from __future__ import annotations

from typing import Final

from xsagent.topology.values import IPV6, IpDevice, Origin, Route

_RTPROT_KERNEL: Final = 2
_RTPROT_RA: Final = 9
_HOST: Final = 128


def is_learnt(route: Route) -> bool:
    """Whether the kernel or a router set this route: it comes and goes by itself."""
    return route.protocol in {_RTPROT_KERNEL, _RTPROT_RA}


def was_advertised(route: Route, desired: IpDevice, observed: IpDevice) -> bool:
    """Whether a router's word set this route, on a device that is to follow routers no longer.

    accept_ra keeps new ones out; those that are there stay for their lifetime, half an hour for a default route. A
    subnet's bears the kernel's protocol number, and none of the addresses that stay accounts for it.
    """
    if route.destination.version != IPV6 or desired.ipv6_mode in {"autoconf", "dhcp"}:
        return False
    if route.protocol == _RTPROT_RA:
        return True
    if route.protocol != _RTPROT_KERNEL or route.destination.is_link_local or route.destination.prefixlen == _HOST:
        return False
    # the kernel takes a static address's own subnet away with it
    own = (*desired.addresses, *(item for item in observed.addresses if item.origin is not Origin.ROUTER))
    return all(route.destination != item.interface.network for item in own)
