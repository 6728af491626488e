"""What workers of the daemon remember of XAPI: never acted on before XAPI proved it, and one call when it did."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xsagent.config import Paths, Settings
from xsagent.doctor.read_records import read_records
from xsagent.errors import XapiError, XapiUnavailableError
from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sandbox.xapi_pool import PoolShape, build_pool, network_record, ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession, read_snapshot
from xsagent.sources.xapi_memory import XapiMemory

Opener = Callable[..., AbstractContextManager[XapiSession]]
HOST_UUID = uuid_for("host 1")
NIC = ref_for("PIF 1 eth0")
NIC_OF_ANOTHER_HOST = ref_for("PIF 0 eth0")
READS_ALL = "PIF.get_all_records_where"


@pytest.fixture
def read(socket_path: Path) -> Callable[..., Snapshot]:
    """Reads by a memory: `read(memory, given)`, ten seconds by default."""

    def reader(memory: XapiMemory, given: Ref | None = None, *, deadline_s: float = 10.0) -> Snapshot:
        return memory.read([socket_path], deadline_s, HOST_UUID, given)

    return reader


Read = Callable[..., Snapshot]


def afresh(opened: Opener) -> Snapshot:
    """The records by a whole read."""
    with opened() as session:
        return read_snapshot(session, HOST_UUID)


def calls_of(standin: XapiStandin, action: Callable[[], object]) -> list[str]:
    """Methods that an action called."""
    standin.control("clear_log")
    action()
    return standin.methods()


def test_what_is_remembered_costs_one_call(standin: XapiStandin, opened: Opener, read: Read) -> None:
    """And is what a whole read finds; nothing that did not change is another object."""
    memory = XapiMemory()
    first = read(memory)

    assert calls_of(standin, lambda: read(memory)) == ["event.from"]
    second = read(memory)

    assert first == second == afresh(opened)
    assert all(second.pifs[ref] is pif for ref, pif in first.pifs.items())


def test_a_look_for_drift_costs_as_much(tmp_path: Path, shape: PoolShape) -> None:
    """No session beside the one that is remembered: it is made every few minutes."""
    paths, memory = Paths(root=tmp_path), XapiMemory()
    paths.inventory.parent.mkdir(parents=True)
    paths.inventory.write_text(f"INSTALLATION_UUID='{HOST_UUID}'\n")
    socket = paths.xapi_sockets[0]
    socket.parent.mkdir(parents=True)
    with XapiStandin(build_pool(shape), socket) as standin:
        first = read_records(paths, Settings(), memory)

        assert calls_of(standin, lambda: read_records(paths, Settings(), memory)) == ["event.from"]

    assert first.records.from_xapi


def test_a_change_of_a_moment_before_is_seen(standin: XapiStandin, opened: Opener, read: Read) -> None:
    """XAPI writes a record and asks at once; every class, and this host's records alone are read."""
    memory = XapiMemory()
    before = read(memory)
    standin.control("put", name="PIF", ref=NIC, fields={"IP": "192.0.2.99", "currently_attached": False})
    standin.control("put", name="PIF", ref=NIC_OF_ANOTHER_HOST, fields={"IP": "192.0.2.98"})
    standin.control("put", name="network", ref=before.pifs[Ref(NIC)].network, fields={"MTU": "9000"})
    standin.control("put", name="pool", ref=ref_for("pool"), fields={"other_config": {"a": "b"}})
    standin.control("put", name="Bond", ref=next(iter(before.bonds)), fields={"mode": "lacp"})
    standin.control("put", name="VLAN", ref=next(iter(before.vlans)), fields={"other_config": {"c": "d"}})

    assert calls_of(standin, lambda: read(memory)) == ["event.from"]

    after = read(memory)
    assert after == afresh(opened)
    assert after.pifs[Ref(NIC)].ip == "192.0.2.99"
    assert next(iter(after.bonds.values())).mode == "lacp"


DOUBTS = {
    "a PIF more": {"do": "put", "name": "PIF", "ref": "OpaqueRef:new", "fields": {"uuid": "u", "host": "OpaqueRef:x"}},
    "a PIF less": {"do": "delete", "name": "PIF", "ref": ref_for("PIF 1 eth1.1")},
    "a network more": {
        "do": "put",
        "name": "network",
        "ref": "OpaqueRef:new",
        "fields": network_record("new", "xapi77"),
    },
    "another network": {"do": "put", "name": "PIF", "ref": NIC, "fields": {"network": "OpaqueRef:elsewhere"}},
    "no bond's member any more": {
        "do": "put",
        "name": "PIF",
        "ref": ref_for("PIF 1 eth1"),
        "fields": {"bond_slave_of": "OpaqueRef:other"},
    },
    "a record that cannot be read": {"do": "put", "name": "PIF", "ref": NIC, "fields": {"device": ""}},
    "other PIFs of the host": {
        "do": "put",
        "name": "host",
        "ref": ref_for("host 1"),
        "fields": {"PIFs": [NIC]},
    },
    "sessions that were ended": {"do": "expire"},
}


@pytest.mark.parametrize("change", DOUBTS.values(), ids=DOUBTS)
def test_where_anything_is_doubtful_all_is_read(
    standin: XapiStandin, opened: Opener, read: Read, change: dict[str, object]
) -> None:
    """The result is that of a whole read, since it is one."""
    memory = XapiMemory()
    read(memory)
    command = dict(change)
    standin.control(str(command.pop("do")), **command)

    assert READS_ALL in calls_of(standin, lambda: read(memory))

    assert read(memory) == afresh(opened)


def test_a_token_that_is_worth_nothing_is_no_error(standin: XapiStandin, opened: Opener, read: Read) -> None:
    """EVENTS_LOST: all is read."""
    memory = XapiMemory()
    read(memory)
    standin.fault("error", "event.from", error=["EVENTS_LOST"], times=1)

    assert read(memory) == afresh(opened)


def test_a_restarted_xapi_is_read_anew(standin: XapiStandin, read: Read) -> None:
    """Its database may be an older one, with the same numbers for other changes; it keeps no session."""
    memory = XapiMemory()
    read(memory)
    standin.stop()
    standin.start()
    standin.control("put", name="PIF", ref=NIC, fields={"IP": "192.0.2.97"})

    assert read(memory).pifs[Ref(NIC)].ip == "192.0.2.97"


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_xapi_that_hangs_costs_the_deadline(standin: XapiStandin, read: Read, kind: str) -> None:
    """As without a memory: unavailable, and nothing old is given out."""
    memory = XapiMemory()
    read(memory)
    standin.fault(kind, "*")

    with pytest.raises(XapiUnavailableError, match=r"did not answer event\.from within"):
        read(memory, deadline_s=1.0)


def test_a_xapi_that_is_away_is_unavailable(standin: XapiStandin, read: Read) -> None:
    """It is waited for until the deadline, and nothing old is given out."""
    memory = XapiMemory()
    read(memory)
    standin.kill()
    began = time.monotonic()

    with pytest.raises(XapiUnavailableError, match="XAPI is not there or restarting"):
        read(memory, deadline_s=1.0)

    assert time.monotonic() - began > 0.5


def test_a_given_session_must_be_good_and_is_left_open(standin: XapiStandin, read: Read) -> None:
    """It is asked whether it is; the records are proved in ours, since XAPI's ends with its task."""
    memory = XapiMemory()
    read(memory)
    given = Ref(standin.control("open_session", originator="xapi"))

    assert calls_of(standin, lambda: read(memory, given)) == ["host.get_by_uuid", "event.from"]
    assert given in standin.sessions()

    with pytest.raises(XapiError, match="SESSION_INVALID"):
        read(memory, Ref("OpaqueRef:secret"))


def test_one_session_of_ours_is_open_however_often_all_is_read(standin: XapiStandin, read: Read) -> None:
    """XAPI bounds them."""
    memory = XapiMemory()
    for number in range(4):
        read(memory)
        standin.control("put", name="network", ref=f"OpaqueRef:n{number}", fields=network_record("n", "xapi77"))

    assert list(standin.sessions().values()) == ["xsagent"]


def test_what_one_learnt_another_knows(standin: XapiStandin, read: Read) -> None:
    """It proves it by itself; there is nothing to tell while little changes."""
    memory, other = XapiMemory(), XapiMemory()
    read(memory)
    other.learn(memory.news())

    assert calls_of(standin, lambda: read(other)) == ["event.from"]
    standin.control("put", name="PIF", ref=NIC, fields={"IP": "192.0.2.99"})
    assert read(other).pifs[Ref(NIC)].ip == "192.0.2.99"
    assert other.news() == b""


def test_of_records_that_cannot_all_be_used_nothing_is_remembered(
    standin: XapiStandin, opened: Opener, read: Read
) -> None:
    """Each read looks at them anew, in the one session; of that alone others are told."""
    standin.control("put", name="PIF", ref=NIC, fields={"device": ""})
    memory = XapiMemory()

    assert read(memory).unusable
    assert READS_ALL in calls_of(standin, lambda: read(memory))
    assert read(memory) == afresh(opened)

    other = XapiMemory()
    other.learn(memory.news())
    assert READS_ALL in calls_of(standin, lambda: read(other))
    assert other.news() == b""
    assert list(standin.sessions().values()) == ["xsagent"]


def test_any_sequence_of_changes_is_followed(
    standin: XapiStandin, opened: Opener, read: Read, shape: PoolShape
) -> None:
    """Records of every class and any host, changed, made and taken away at random: always what a whole read finds."""
    dice = random.Random(7)  # noqa: S311 - no secret
    memory = XapiMemory()
    pool = build_pool(shape)
    for _ in range(40):
        for _ in range(dice.randrange(3)):
            name = dice.choice(["PIF", "PIF", "network", "Bond", "VLAN", "tunnel", "network_sriov", "pool"])
            ref = dice.choice(list(pool[name]))
            if dice.random() < 0.05 and name != "pool":
                standin.control("delete", name=name, ref=ref)
            else:
                field = dice.choice(["IP", "MTU", "gateway", "DNS", "VLAN_master_of", "network", "master", "mode"])
                standin.control("put", name=name, ref=ref, fields={field: dice.choice(["1", "", "OpaqueRef:NULL"])})

        assert read(memory) == afresh(opened)
