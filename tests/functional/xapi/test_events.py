"""The event stream, from the stand-in's tables to typed batches (wire.md sections 5 and 8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from xsagent.errors import XapiError, XapiUnavailableError
from xsagent.model.records import Ref
from xsagent.sandbox.xapi_pool import PoolShape, build_pool, network_record, ref_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession
from xsagent.sources.xapi_events import EVENTS_LOST, EventBatch, fresh_start, read_events

Opener = Callable[..., AbstractContextManager[XapiSession]]
KINDS = ("pif", "network")
POOL = Ref(ref_for("pool"))


def changes(batch: EventBatch) -> list[tuple[str, str, str]]:
    """Operation, class and reference of each event."""
    return [(event.operation, event.kind, event.ref) for event in batch.events]


def test_a_fresh_start_comes_after_what_there_is(standin: XapiStandin, opened: Opener, shape: PoolShape) -> None:
    """It brings numbers and no record; then come changes alone: adds, mods, dels, a del without a record."""
    nic, gone = ref_for("PIF 1 eth0"), ref_for("PIF 1 eth1.1")
    with opened() as session:
        start = fresh_start(session, KINDS)
        token = start.token
        standin.control("delete", name="PIF", ref=gone)
        standin.control("put", name="PIF", ref=nic, fields={"IP": "192.0.2.99"})
        standin.control("put", name="network", ref="OpaqueRef:new", fields=network_record("new", "xapi77"))
        standin.control("put", name="pool", ref=POOL, fields={"name_label": "not subscribed"})
        batch = read_events(session, KINDS, token, 5.0)
        after = read_events(session, KINDS, batch.token, 0.0)

    pool = build_pool(shape)
    assert (start.events, start.counts) == ((), {"pif": len(pool["PIF"]), "network": len(pool["network"])})
    assert changes(batch) == [("add", "network", "OpaqueRef:new"), ("mod", "pif", nic), ("del", "pif", gone)]
    assert [event.snapshot and event.snapshot.get("IP") for event in batch.events] == [None, "192.0.2.99", None]
    assert batch.events[2].snapshot is None
    assert after.events == ()


def test_the_empty_token_brings_everything(standin: XapiStandin, opened: Opener, shape: PoolShape) -> None:
    """Which is why no stream of ours starts from it."""
    pool = build_pool(shape)
    with opened() as session:
        batch = read_events(session, KINDS, "", 0.0)

    assert len(batch.events) == len(pool["PIF"]) + len(pool["network"])
    assert {event.operation for event in batch.events} == {"add"}
    assert batch.counts == {"pif": len(pool["PIF"]), "network": len(pool["network"])}
    assert standin.sessions() == {}


def test_a_change_ends_the_wait(standin: XapiStandin, opened: Opener) -> None:
    """A call that waits with nothing to tell answers when something happens."""
    batches: list[EventBatch] = []

    def wait_in_thread() -> None:
        with opened(60.0) as session:
            token = fresh_start(session, KINDS).token
            standin.control("put", name="network", ref="OpaqueRef:marker", fields=network_record("marker", "xapi78"))
            batches.append(read_events(session, KINDS, token, 50.0))
            batches.append(read_events(session, KINDS, batches[0].token, 50.0))

    waiter = threading.Thread(target=wait_in_thread)
    waiter.start()
    while standin.methods().count("session.login_with_password") < 1 or not batches:
        waiter.join(0.05)
    standin.control("put", name="PIF", ref=ref_for("PIF 1 eth0"), fields={"IP": "192.0.2.98"})
    waiter.join()

    assert [changes(batch) for batch in batches] == [
        [("add", "network", "OpaqueRef:marker")],
        [("mod", "pif", ref_for("PIF 1 eth0"))],
    ]


def test_lost_deletions_show_in_the_counts_alone(standin: XapiStandin, opened: Opener, shape: PoolShape) -> None:
    """Only the last few hundred deletions of a class are remembered."""
    pool = build_pool(shape)
    with opened() as session:
        token = fresh_start(session, KINDS).token
        for number in range(510):
            ref = f"OpaqueRef:brief{number}"
            standin.control("put", name="network", ref=ref, fields=network_record(f"n{number}", ""))
        token = read_events(session, KINDS, token, 0.0).token
        for number in range(510):
            standin.control("delete", name="network", ref=f"OpaqueRef:brief{number}")
        batch = read_events(session, KINDS, token, 0.0)

    assert len(batch.events) == 500
    assert batch.counts["network"] == len(pool["network"])


@pytest.mark.usefixtures("standin")
def test_a_worthless_token_is_known_by_its_code(opened: Opener) -> None:
    """The daemon then reads in bulk again."""
    with opened() as session, pytest.raises(XapiError) as caught:
        read_events(session, KINDS, "no token", 0.0)

    assert caught.value.code in EVENTS_LOST


@pytest.mark.usefixtures("standin")
def test_a_stream_beyond_the_deadline_is_unavailable(opened: Opener) -> None:
    """The session's deadline bounds the waiting; a daemon renews it before each wait."""
    with opened(0.5) as session, pytest.raises(XapiUnavailableError, match=r"did not answer event\.from"):
        read_events(session, KINDS, fresh_start(session, KINDS).token, 60.0)
    with opened(0.5) as session:
        session.renew_deadline(30.0)
        assert read_events(session, KINDS, fresh_start(session, KINDS).token, 0.7).events == ()
