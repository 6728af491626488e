"""Hotplug's pure parts under generated input: event algebra, totality, and no injection into flows."""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tally import TALLY

from xsagent.errors import HotplugPendingError, InputError, UsageError
from xsagent.hotplug.decide import Observed, decide
from xsagent.hotplug.event import Action, Event, Want, merge_events, parse_call, parse_rules_call, parse_uevent
from xsagent.hotplug.locking import MAX_OFPORT, render_flows
from xsagent.model.vif import DeviceType, Layout, Locking, LockingMode, Vif, VifId
from xsagent.sources.vif import OTHER_CONFIG_KEYS, PRIVATE_KEYS, VifKeys, build_paths, parse_vif
from xsagent.topology.values import Bridge, Link

# Ten times the profile's count: 50,000 in the long one
MANY = settings(max_examples=settings().max_examples * 10)

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
VIF = VifId(5, 0)
PATHS = build_paths(VIF, Layout.UUID, VM)
MAC = "00:16:3e:00:00:01"
FLOW = re.compile(
    r"cookie=0x1,priority=[4-8]000(?:,(?:arp|ip|udp|icmp6|tcp6|udp6))?,in_port=[0-9]{1,5}"
    r"(?:,(?:dl_src|arp_sha|nd_sll)=[0-9a-f]{2}(?::[0-9a-f]{2}){5}|,(?:arp_spa|nw_src)=[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
    r"|,(?:ipv6_src|nd_target)=[0-9a-f:]{2,39}|,icmp_type=[0-9]{1,3}|,tp_dst=67)* actions=(?:NORMAL|drop)",
    re.ASCII,
)

vif_ids = st.builds(VifId, st.integers(0, 0x7FEF), st.integers(0, 0xFFFF))
kinds = st.sampled_from(DeviceType)
events = st.builds(Event, vif=vif_ids, kind=kinds, action=st.sampled_from(Action), from_udev=st.booleans())
device_events = st.builds(Event, vif=st.just(VIF), kind=kinds, action=st.sampled_from(Action))
macs = (
    st.integers(1, (1 << 48) - 1)
    .map(
        lambda number: ":".join(
            f"{octet & (0xFE if index == 0 else 0xFF):02x}" for index, octet in enumerate(number.to_bytes(6, "big"))
        )
    )
    .filter(lambda mac: mac != "00:00:00:00:00:00")
)
addresses4 = st.lists(st.ip_addresses(v=4), max_size=4, unique=True).map(tuple)
addresses6 = st.lists(st.ip_addresses(v=6), max_size=4, unique=True).map(tuple)


def lockings() -> st.SearchStrategy[Locking]:
    """Every mode, with addresses for the locked one."""
    locked = st.builds(Locking, mode=st.just(LockingMode.LOCKED), ipv4=addresses4, ipv6=addresses6)
    return st.one_of(st.sampled_from([Locking(), Locking(mode=LockingMode.DISABLED)]), locked)


# --- events ----------------------------------------------------------------------------------------------


@given(first=device_events, second=device_events, third=device_events)
def test_folding_events_is_associative(first: Event, second: Event, third: Event) -> None:
    """A queue may fold a burst in any grouping."""
    left = merge_events(merge_events(first, second), third)

    assert left == merge_events(first, merge_events(second, third))


@given(burst=st.lists(device_events, min_size=1, max_size=12))
def test_a_folded_burst_wants_what_its_last_asking_event_wants(burst: list[Event]) -> None:
    """Events that ask for nothing never hide one that does."""
    folded = functools.reduce(merge_events, burst)

    asking = [event.want for event in burst if event.want is not Want.NOTHING]
    assert folded.want is (asking[-1] if asking else Want.NOTHING)


words = st.one_of(
    st.sampled_from([*map(str, Action), "vif", "tap", "type_if=vif", "type_if=tap", "0", "5", "dummy"]),
    st.text(max_size=12),
)
values = st.one_of(
    st.sampled_from(["backend/vif/5/0", "backend/tap/5/0", "vif5.0", "tap5.0", "vif", "tap", "1", ""]),
    st.text(max_size=20),
)
names = st.sampled_from(
    ["ACTION", "XENBUS_PATH", "XENBUS_TYPE", "INTERFACE", "vif", "UDEV_CALL", "SUBSYSTEM", "DEVPATH", "SEQNUM"]
)


@given(arguments=st.lists(words, max_size=6), environ=st.dictionaries(names, values, max_size=5))
def test_every_call_is_an_event_or_a_usage_error(arguments: list[str], environ: dict[str, str]) -> None:
    """No argument and no variable leads to anything else, and a device's name is always a safe one."""
    try:
        event = parse_call(arguments, environ)
    except UsageError:
        return
    assert re.fullmatch(r"(vif|tap)[0-9]{1,5}\.[0-9]{1,5}", event.device, re.ASCII)


@given(arguments=st.lists(words, max_size=6))
def test_every_rules_call_is_an_event_or_a_usage_error(arguments: list[str]) -> None:
    """As for the vif script."""
    try:
        event = parse_rules_call(arguments)
    except UsageError:
        return
    assert event.action in {Action.FILTER, Action.CLEAR}


@given(properties=st.dictionaries(names, values, max_size=6))
def test_every_uevent_is_an_event_or_none_of_ours(properties: dict[str, str]) -> None:
    """Whatever comes through udev's monitor, the daemon's loop goes on."""
    event = parse_uevent(properties)

    assert event is None or event.from_udev


@given(event=events)
def test_all_forms_of_a_call_mean_the_same_event(event: Event) -> None:
    """Old and new arguments, udev's environment and xenopsd's words are one event."""
    ours = {Action.FILTER, Action.CLEAR, Action.REPAIR}
    action, vif, kind = str(event.action), event.vif, event.kind
    if event.action in ours:
        return
    path = {"XENBUS_PATH": f"backend/vif/{vif.domid}/{vif.devid}"}
    named = path if kind is DeviceType.VIF else {"INTERFACE": event.device}
    xenopsds = {"XENBUS_TYPE": str(kind), "XENBUS_PATH": f"backend/{kind}/{vif.domid}/{vif.devid}"}
    ids = [str(vif.domid), str(vif.devid)]
    expected = replace(event, from_udev=False)

    assert parse_call([action, kind], named) == expected
    assert parse_call([action, f"type_if={kind}"], path) == expected
    assert parse_call([action, kind, *ids], {}) == expected
    assert parse_call([kind, *ids, action, "dummy"], {}) == expected
    assert parse_call([action], {"XENBUS_TYPE": kind, **path}) == expected
    assert parse_call([action, f"type_if={kind}"], {**xenopsds, "INTERFACE": event.device}) == expected
    assert parse_call([action], xenopsds) == expected


# --- flows -----------------------------------------------------------------------------------------------


@given(locking=lockings(), mac=macs, in_port=st.integers(1, MAX_OFPORT), autoconf=st.booleans())
def test_flows_are_made_of_known_words_and_drop_the_rest_first(
    locking: Locking, mac: str, in_port: int, *, autoconf: bool
) -> None:
    """Each line has the form of a flow of section 16; there is one of each, and the drop comes first."""
    lines = render_flows(locking, mac, in_port, autoconf=autoconf)

    assert all(FLOW.fullmatch(line) for line in lines)
    assert all(f"in_port={in_port}" in re.split("[, ]", line) for line in lines)
    assert len(set(lines)) == len(lines)
    if locking.mode is not LockingMode.LOCKED:
        assert lines == ()
        return
    assert lines[0] == f"cookie=0x1,priority=4000,in_port={in_port} actions=drop"
    if not autoconf:
        probes = sum(address == ipaddress.IPv4Address(0) for address in locking.ipv4)
        assert len(lines) == 12 + 2 * len(locking.ipv4) + 5 * len(locking.ipv6) - probes


def allows(lines: Sequence[str], **frame: str) -> bool:
    """What a switch does with a frame of these fields: the action of its first match by priority."""
    for line in sorted(lines, key=lambda line: -int(line.partition("priority=")[2].split(",")[0])):
        match, _, action = line.partition(" actions=")
        fields = dict(part.split("=") for part in match.split(",") if "=" in part)
        protocols = {part for part in match.split(",") if "=" not in part}
        wanted = {key: value for key, value in fields.items() if key not in {"cookie", "priority", "in_port"}}
        if protocols <= set(frame.get("is_", "").split()) and all(
            frame.get(key) == value for key, value in wanted.items()
        ):
            return action == "NORMAL"
    return True


@given(locking=lockings(), mac=macs, other=macs, v4=st.ip_addresses(v=4), v6=st.ip_addresses(v=6))
def test_no_flow_lets_a_foreign_address_through(
    locking: Locking, mac: str, other: str, v4: ipaddress.IPv4Address, v6: ipaddress.IPv6Address
) -> None:
    """Whatever the allowed list is, another MAC, IPv4 or IPv6 source is dropped; the own one passes."""
    lines = render_flows(replace(locking, mode=LockingMode.LOCKED), mac, 7)

    assert allows(lines, is_="ip tcp", dl_src=mac, nw_src=str(v4)) == (v4 in locking.ipv4)
    assert allows(lines, is_="icmp6", dl_src=mac, ipv6_src=str(v6), icmp_type="128") == (v6 in locking.ipv6)
    assert not allows(lines, is_="icmp6", dl_src=mac, ipv6_src=str(v6), icmp_type="134")
    assert allows(lines, is_="ip udp", dl_src=mac, nw_src="0.0.0.0", tp_dst="67")  # noqa: S104 - DHCP's source
    for address in locking.ipv4:
        assert allows(lines, is_="ip tcp", dl_src=mac, nw_src=str(address))
        assert allows(lines, is_="ip tcp", dl_src=other, nw_src=str(address)) == (other == mac)


raw = st.one_of(
    st.sampled_from(
        [
            b"xenbr0",
            MAC.encode(),
            b"1500",
            b"10,20",
            b"",
            VM.encode(),
            b"locked",
            b"unlocked",
            b"192.0.2.7",
            b"fe80::1%eth0",
        ]
    ),
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"x" * 10240, b"192.0.2.7 actions=normal", b"00:16:3e:00:00:01,in_port=1", b"a\0b", b"../../x", b"a\nadd"]
    ),
)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(max_size=20),
        st.sampled_from(["Locked", "Local", MAC]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
locking_members = st.one_of(
    st.sampled_from(["Unlocked", "disabled", ["Locked", {"ipv4": ["192.0.2.7"], "ipv6": ["fe80::1"]}]]),
    st.tuples(
        st.just("Locked"),
        st.fixed_dictionaries(
            {"ipv4": st.lists(st.text(max_size=20), max_size=2), "ipv6": st.lists(st.text(max_size=20), max_size=2)}
        ),
    ),
    json_values,
)
members = st.fixed_dictionaries(
    {},
    optional={
        "locking_mode": locking_members, "mac": st.one_of(st.just(MAC), json_values), "mtu": json_values,
        "backend": st.one_of(st.just(["Local", "xenbr0"]), json_values), "trunks": json_values,
        "other_config": json_values, "extra_private_keys": json_values,
    },
)  # fmt: skip
files = st.one_of(st.none(), st.binary(max_size=60), members.map(lambda form: json.dumps(form).encode()))
keys = st.builds(
    VifKeys,
    id=st.just(VIF),
    paths=st.just(PATHS),
    vm_uuid=st.just(VM),
    final_uuid=st.one_of(st.none(), raw),
    origin_uuid=st.one_of(st.none(), raw),
    private=st.dictionaries(
        st.sampled_from([*PRIVATE_KEYS, *(f"other-config/{key}" for key in OTHER_CONFIG_KEYS)]), raw, max_size=6
    ),
    backend=st.dictionaries(st.sampled_from(["bridge", "mac"]), raw, max_size=2),
    file=files,
)


@MANY
@given(described=keys)
def test_no_value_reaches_a_flow_a_name_or_a_mark_unchecked(described: VifKeys) -> None:
    """Any keys and any file give a checked Vif or a named refusal; nothing of them shapes a flow's text."""
    TALLY["descriptions of VIFs"] += 1
    try:
        vif: Vif | None = parse_vif(described)
    except (InputError, HotplugPendingError) as refusal:
        named = "VIF 5/0" in str(refusal)
        vif = None
    if vif is None:
        assert named
        return
    assert re.fullmatch(r"[!-~]{0,15}", vif.bridge)
    assert all(FLOW.fullmatch(line) for line in render_flows(vif.locking, vif.mac, 7))
    observed = Observed(bridges={vif.bridge: Bridge(name=vif.bridge)}, links={"vif5.0": Link(name="vif5.0")})
    decision = decide(Event(vif=VIF, kind=DeviceType.VIF, action=Action.ONLINE), vif, observed)
    marks = decision.port.interfaces["vif5.0"].external_ids if decision.port else {}
    for name, value in marks.items():
        # a controller names its ports as it likes (other_config:nicira-*): a text of one line, no more
        form = r"[!-~]|[!-~][ -~]{0,253}[!-~]" if name == "iface-id" else r"[A-Za-z0-9._:/@+-]{1,255}"
        assert re.fullmatch(form, value or "")
