"""Keys and file of one VIF joined into a record, or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from xsagent.errors import HotplugPendingError, InputError
from xsagent.model.vif import Layout, LockingMode, VifId
from xsagent.sources.vif import VifKeys, build_paths, find_pvs_helper, parse_vif

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
OTHER = "11111111-770e-5865-b077-5f56bdead3c7"
ID = VifId(5, 2)
KEYS = VifKeys(
    id=ID,
    paths=build_paths(ID, Layout.UUID, VM),
    vm_uuid=VM,
    private={
        "bridge": b"xenbr0",
        "bridge-MAC": b"FE:FF:FF:FF:FF:FF",
        "mac": b"00:16:3E:00:00:01",
        "MTU": b"9000",
        "trunks": b"20, 10",
        "vif-uuid": OTHER.encode(),
        "other-config/ethtool-gso": b"off",
        "other-config/ethtool-tx": b"maybe",
        "other-config/promiscuous": b"true",
    },
)


def described(file: object = None, **private: bytes) -> VifKeys:
    """KEYS with these private keys, and with this file."""
    named = {key.replace("__", "/").replace("_", "-"): value for key, value in private.items()}
    text = None if file is None else json.dumps(file).encode()
    return replace(KEYS, private={**KEYS.private, **named}, file=text)


def test_the_toolstacks_keys_make_the_record() -> None:
    """Values are parsed, names lower-cased where case has no meaning, a bad offload word passed over."""
    vif = parse_vif(KEYS)

    assert (vif.bridge, vif.mac, vif.mtu, vif.trunks, vif.promiscuous) == (
        "xenbr0",
        "00:16:3e:00:00:01",
        9000,
        (10, 20),
        True,
    )
    assert (vif.vif_uuid, vif.vm_uuid, vif.bridge_mac) == (OTHER, VM, "fe:ff:ff:ff:ff:ff")
    assert vif.ethtool == {"gso": False}
    assert vif.locking.mode is LockingMode.UNLOCKED


def test_a_vif_with_a_pvs_proxy_has_a_helper() -> None:
    """`pvs-interface` switches it on; the toolstack names the helper for every VIF."""
    helper = {"setup_pvs_proxy_rules": b"/usr/libexec/xenopsd/pvs-proxy-ovs-setup"}

    assert find_pvs_helper(described(**helper)) is None
    assert find_pvs_helper(described(**helper, pvs_interface=b"pvs1")) == "/usr/libexec/xenopsd/pvs-proxy-ovs-setup"
    assert find_pvs_helper(described(pvs_interface=b"pvs1")) == ""


def test_layouts_name_their_directories() -> None:
    """features.md section 19, both layouts."""
    new, old = build_paths(ID, Layout.UUID, VM), build_paths(ID, Layout.DOMID)

    assert (new.private, new.hotplug) == (f"/xapi/{VM}/private/vif/2", f"/xapi/{VM}/hotplug/5/vif/2")
    assert (old.private, old.hotplug) == ("/xapi/5/private/vif/2", "/xapi/5/hotplug/vif/2")
    assert new.backend == old.backend == "/local/domain/0/backend/vif/5/2"


def test_the_file_fills_what_the_keys_leave_open() -> None:
    """Bridge, MTU, uuids and other_config come from xenopsd's file where xenstore is silent."""
    bare = replace(KEYS, private={})
    file = {
        "backend": ["Local", "xapi3"],
        "mac": "7a:0d:2e:11:22:33",
        "mtu": 1400,
        "trunks": [7, 5],
        "other_config": {"ethtool-gso": "on", "promiscuous": "on", "nicira-iface-id": "lport-17"},
        "extra_private_keys": {"vif-uuid": OTHER, "network-uuid": VM},
        "locking_mode": "Unlocked",
    }

    vif = parse_vif(replace(bare, file=json.dumps(file).encode()))

    assert (vif.bridge, vif.mac, vif.mtu, vif.trunks) == ("xapi3", "7a:0d:2e:11:22:33", 1400, (5, 7))
    assert (vif.vif_uuid, vif.network_uuid, vif.nicira_iface_id) == (OTHER, VM, "lport-17")
    assert (vif.ethtool, vif.promiscuous) == ({"gso": True}, True)


def test_the_backends_bridge_wins() -> None:
    """features.md section 15, row "Bridge name from"."""
    assert parse_vif(replace(KEYS, backend={"bridge": b"xapi9"})).bridge == "xapi9"
    assert parse_vif(replace(KEYS, backend={"bridge": b""})).bridge == "xenbr0"


def test_the_uuid_after_migration_names_the_vm() -> None:
    """`final-uuid` goes to xs-vm-uuid; an empty one names none."""
    assert parse_vif(replace(KEYS, final_uuid=b"")).vm_uuid == parse_vif(KEYS).vm_uuid
    assert parse_vif(replace(KEYS, final_uuid=OTHER.encode())).vm_uuid == OTHER


def test_a_sent_vm_keeps_the_uuid_it_had() -> None:
    """`origin-uuid` goes before all: the sending domain of a migration within a host runs under a temporary uuid."""
    sent = replace(KEYS, origin_uuid=OTHER.encode(), final_uuid=b"22222222-770e-5865-b077-5f56bdead3c7")
    assert parse_vif(sent).vm_uuid == OTHER
    with pytest.raises(InputError, match="origin-uuid"):
        parse_vif(replace(KEYS, origin_uuid=b"../x"))


@pytest.mark.parametrize(
    ("form", "mode", "ipv4", "ipv6"),
    [
        ("Unlocked", "unlocked", [], []),
        ("DISABLED", "disabled", [], []),
        (["Locked", {"ipv4": ["192.0.2.7"], "ipv6": ["2001:DB8::7"]}], "locked", ["192.0.2.7"], ["2001:db8::7"]),
        (["locked", {}], "locked", [], []),
    ],
)
def test_locking_modes_of_the_file(form: object, mode: str, ipv4: list[str], ipv6: list[str]) -> None:
    """The words in any case of letters; addresses in their usual form."""
    locking = parse_vif(described({"locking_mode": form}, locking_mode=b"disabled")).locking

    assert locking.mode == mode
    assert ([str(item) for item in locking.ipv4], [str(item) for item in locking.ipv6]) == (ipv4, ipv6)


def test_the_private_keys_count_where_the_file_is_unreadable_or_silent() -> None:
    """features.md section 19: a fallback, with comma-separated addresses."""
    keys = {"locking_mode": b"locked", "ipv4_allowed": b"192.0.2.7,192.0.2.8", "ipv6_allowed": b""}

    for base in (described(**keys), described({}, **keys), replace(described(**keys), file=b"{torn")):
        locking = parse_vif(base).locking
        assert (locking.mode, len(locking.ipv4)) == (LockingMode.LOCKED, 2)


@pytest.mark.parametrize("file", [None, b"{torn", b"[1]", b"[" * 100_000])
def test_a_toolstack_that_keeps_files_has_not_said_unlocked_without_one(file: bytes | None) -> None:
    """Neither file nor key: it is waited for, never taken for unlocked."""
    with pytest.raises(HotplugPendingError, match="VIF 5/2: its locking mode"):
        parse_vif(replace(described(xenopsd_backend=b"xenlight"), file=file))


@pytest.mark.parametrize(
    "form",
    [
        "Quarantined",
        "",
        [],
        1,
        {},
        ["Locked"],
        ["Unlocked", {}],
        ["Locked", {"ipv4": ["192.0.2.300"]}],
        ["Locked", {"ipv4": ["192.0.2.7/24"]}],
        ["Locked", {"ipv6": ["fe80::1%eth0"]}],
        ["Locked", {"ipv4": "192.0.2.7"}],
        ["Locked", {"ipv4": [["192.0.2.7"]]}],
        ["Locked", {"ipv4": ["192.0.2.7 actions=normal"]}],
        ["Locked", {"ipv4": [f"10.0.{n >> 8}.{n & 255}" for n in range(1025)]}],
    ],
)
def test_an_unknown_mode_or_address_is_refused(form: object) -> None:
    """The peers take it for unlocked; here nothing less than a known mode passes."""
    with pytest.raises(InputError, match=r"VIF 5/2: locking_mode of the VIF file"):
        parse_vif(described({"locking_mode": form}))


def test_a_locked_vif_needs_a_mac() -> None:
    """Without one its flows cannot be made."""
    with pytest.raises(InputError, match="no MAC"):
        parse_vif(replace(described({"locking_mode": ["Locked", {}]}), private={}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bridge", b"xenbr0; reboot"),
        ("bridge", b"../../etc/passwd"),
        ("bridge", b"a-name-over-15-characters"),
        ("bridge", b"tcp:192.0.2.1"),
        ("bridge", b"xen\0br0"),
        ("bridge_MAC", b"fe:ff:ff:ff:ff"),
        ("mac", b"01:00:5e:00:00:01"),
        ("mac", b"00:16:3e:00:00:01 -- del-br xenbr0"),
        ("MTU", b" 1_500 "),
        ("MTU", b"67"),
        ("MTU", b"65536"),
        ("trunks", b"10,4095"),
        ("trunks", b"10,ten"),
        ("trunks", b"10;20"),
        ("vif_uuid", b"../../x"),
        ("vif_uuid", VM.encode() + b"\n"),
        ("network_uuid", b"x" * 10240),
        ("locking_mode", b"open"),
    ],
)
def test_a_malformed_key_is_refused_by_name(key: str, value: bytes) -> None:
    """Path tricks, NULs, over-long values and wrong uuids: the sentence names VIF and key."""
    with pytest.raises(InputError) as refusal:
        parse_vif(described(**{key: value}))

    assert str(refusal.value).startswith(f"VIF 5/2: {key.replace('_', '-')}: ")
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mac", 5),
        ("mtu", "1500"),
        ("mtu", True),
        ("backend", "xenbr0"),
        ("backend", ["Local"]),
        ("backend", ["Local", "a b"]),
        ("trunks", [1.5]),
        ("trunks", [-1]),
        ("other_config", []),
        ("extra_private_keys", {"vif-uuid": "x"}),
    ],
)
def test_a_malformed_member_of_the_file_is_refused_by_name(member: str, value: object) -> None:
    """As keys are."""
    with pytest.raises(InputError, match=r"of the VIF file"):
        parse_vif(described({member: value}))


def test_backends_of_other_kinds() -> None:
    """Another domain's backend is no bridge; a virtual function needs no hotplug work (wire.md section 3)."""
    bare = replace(KEYS, private={})

    remote, of_more_words = (
        parse_vif(replace(bare, file=b'{"backend": ["Remote", %s]}' % words)) for words in (b'"3"', b'"3", "xenbr0"')
    )
    function = parse_vif(replace(bare, file=b'{"backend": ["Sriov", {"domain": 0, "bus": 1, "dev": 0, "fn": 2}]}'))

    assert {(one.bridge, one.offloaded) for one in (remote, of_more_words)} == {("", False)}
    assert function.offloaded
