"""XAPI and the switch go away and come back; nothing is lost, and waiting costs next to nothing."""

from __future__ import annotations

import queue
import re
import signal
import time
from pathlib import Path

import pytest
from followed_host import ETH0, FollowedHost

from xsagent.config import Paths
from xsagent.errors import XsagentError
from xsagent.reconcile.xapi_stream import XapiStream
from xsagent.sandbox.xapi_pool import network_record, ref_for, uuid_for
from xsagent.sources.xapi_events import EventBatch

VIF = uuid_for("VIF one")


def test_without_xapi_nothing_is_changed_and_it_is_found_when_it_comes(host: FollowedHost) -> None:
    """As on each boot: the switch is there before XAPI."""
    host.start_vm("one", iface_id="lport-1")
    host.plug("vif1.0", "one")
    records = host.xapi.control("record", name="VIF", ref="none")
    assert records is None
    host.xapi.kill()
    before = host.vsctl("get", "Open_vSwitch", ".", "next_cfg")

    host.follow()
    host.await_status(xapi="away")
    assert host.vsctl("get", "Open_vSwitch", ".", "next_cfg") == before

    host.xapi.start()
    host.start_vm("one", iface_id="lport-1")
    host.await_ids("Interface", "vif1.0", {"iface-status": "active", "iface-id": "lport-1"})


def test_an_xapi_that_restarts_is_read_again(host: FollowedHost) -> None:
    """What changed while it was away counts; its old sessions and token do not."""
    host.follow()
    host.await_ids("Bridge", "xenbr0", {"bridge-id": uuid_for(f"network {ETH0}")})
    host.xapi.stop()
    host.await_that(lambda: host.ask("status")["xapi"] != "followed" or None, "it was not noticed")

    host.xapi.start()
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-2"})

    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-2"})
    host.await_status(xapi="followed")


def test_an_expired_session_is_replaced_once(host: FollowedHost) -> None:
    """One login more, and events go on from where they were: no bulk read."""
    host.follow()
    host.await_ids("Bridge", "xenbr0", {"bridge-id": uuid_for(f"network {ETH0}")})
    host.await_status(xapi="followed")
    host.xapi.control("clear_log")
    host.xapi.control("expire")

    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-3"})

    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-3"})
    methods = host.xapi.methods()
    assert methods.count("session.login_with_password") == 1
    assert "PIF.get_all_records_where" not in methods


def test_refused_sessions_are_not_asked_for_in_a_loop(host: FollowedHost) -> None:
    """One login more, then a pause that grows."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.fault("error", "event.from", error=["SESSION_INVALID", "x"])
    host.xapi.control("clear_log")
    host.xapi.control("expire")
    host.put("network", ETH0, other_config={})
    host.await_that(lambda: "SESSION_INVALID" in host.ask("status")["xapi"] or None, "it was not noticed")
    first = host.xapi.methods().count("session.login_with_password")

    time.sleep(5)

    assert first <= 2
    # after 1, 2 and 4 s; each bulk read and each stream logs in once, the stream once more
    assert host.xapi.methods().count("session.login_with_password") <= first + 9
    host.xapi.control("clear_faults")
    host.await_status(xapi="followed")


def test_an_event_from_that_does_not_wait_is_asked_once_a_second_at_most(host: FollowedHost) -> None:
    """Whatever makes it answer at once with nothing; events are still heard."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.fault("idle", "event.from", waiting=True)
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-1"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-1"})
    host.xapi.control("clear_log")

    time.sleep(5)

    assert 1 <= host.xapi.methods().count("event.from") <= 6
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-2"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-2"})


@pytest.mark.parametrize("kind", ["close", "error"])
def test_events_that_are_refused_again_and_again_bring_no_storm_of_readings(host: FollowedHost, kind: str) -> None:
    """Everything is read well each time, and costs each time: the pauses grow, and are short again after an answer."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.fault(kind, "event.from", waiting=True, **({"error": ["INTERNAL_ERROR"]} if kind == "error" else {}))
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-1"})
    host.await_that(lambda: host.ask("status")["xapi"] != "followed" or None, "it was not noticed")
    host.xapi.control("clear_log")

    time.sleep(15)

    assert host.xapi.methods().count("PIF.get_all_records_where") <= 2
    host.xapi.control("clear_faults")
    host.await_status(xapi="followed")
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-2"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-2"})


@pytest.mark.parametrize("kind", ["close", "reset", "truncate", "garbage", "http"])
def test_a_broken_answer_costs_nothing(host: FollowedHost, kind: str) -> None:
    """A connection that ends or an answer that is none: the same is asked again, once at once and then later."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.fault(kind, "event.from", times=3, **({"seconds": 500} if kind == "http" else {}))

    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-1"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-1"})
    host.put("network", ETH0, other_config={"nicira-bridge-id": "b-2"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-2"})
    host.await_status(xapi="followed")


def test_a_storm_of_events_is_taken_in_few_calls(host: FollowedHost) -> None:
    """A pool in which everything changes at once; what comes out in the end is right."""
    host.follow()
    host.await_status(xapi="followed")
    host.xapi.control("clear_log")

    for number in range(300):
        host.put("network", ETH0, other_config={"nicira-bridge-id": f"b-{number}"})
    host.await_ids("Bridge", "xenbr0", {"bridge-id": "b-299"})

    began, calls = host.ask("status"), host.xapi.methods()
    assert set(calls) == {"event.from"}
    assert len(calls) <= 2 + began["batches"]
    assert began["batches"] < 100


def test_lost_events_bring_a_new_reading(host: FollowedHost) -> None:
    """By XAPI's error code for a token that it does not take; and from a fresh token on."""
    host.follow()
    host.await_status(xapi="followed")
    for code in ("EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"):
        at = host.ask("status")["read_at"]
        host.xapi.fault("error", "event.from", error=[code], times=1)
        host.put("network", ETH0, other_config={"nicira-bridge-id": code})
        host.await_ids("Bridge", "xenbr0", {"bridge-id": code})
        host.await_that(lambda at=at: host.ask("status")["read_at"] > at or None, "it was not read again")
    assert all(call["params"][2] != "" for call in host.xapi.log() if call["method"] == "event.from" and _waits(call))


def _waits(call: dict[str, list[object]]) -> bool:
    return float(str(call["params"][3])) > 0


def test_a_lost_deletion_shows_in_the_counts(host: FollowedHost) -> None:
    """XAPI remembers the last few hundred deletions alone; the number of objects that there are tells."""
    host.follow()
    host.await_status(xapi="followed")
    status = host.ask("status")
    at, networks = status["read_at"], status["networks"]
    for number in range(510):
        host.put("network", f"n{number}", **network_record(f"n{number}", ""))
    host.await_status(networks=networks + 510)

    host.send_signal(signal.SIGSTOP)
    for number in range(510):
        host.xapi.control("delete", name="network", ref=ref_for(f"network n{number}"))
    host.send_signal(signal.SIGCONT)

    host.await_that(lambda: host.ask("status")["read_at"] > at or None, "it was not read again")


def test_a_switch_database_that_restarts_is_compared_again(host: FollowedHost) -> None:
    """What is wrong in it by then is mended."""
    host.follow()
    wanted = {"bridge-id": uuid_for(f"network {ETH0}")}
    host.await_ids("Bridge", "xenbr0", wanted)
    host.await_status(xapi="followed")

    host.sandbox.ovsdb_server.stop()
    host.sandbox.ovsdb_server.start()
    host.vsctl("--no-wait", "br-set-external-id", "xenbr0", "bridge-id", "wrong")

    host.await_ids("Bridge", "xenbr0", wanted)


def test_an_xapi_that_hangs_holds_up_nobody(host: FollowedHost) -> None:
    """While it is read the switch is compared with what was read before, once the deadline is over."""
    host.follow(xapi_deadline_s="1")
    host.await_status(xapi="followed")
    host.xapi.fault("hang", "PIF.get_all_records_where")
    host.ask("flush")
    host.await_that(lambda: "within 1 s" in host.ask("status")["xapi"] or None, "the deadline was not noticed")

    host.vsctl("br-set-external-id", "xenbr0", "bridge-id", "wrong")
    host.await_ids("Bridge", "xenbr0", {"bridge-id": uuid_for(f"network {ETH0}")})

    host.xapi.control("clear_faults")
    host.ask("flush")
    host.await_status(xapi="followed")


def test_an_idle_service_does_nothing(host: FollowedHost) -> None:
    """Not a call, not a look, while nothing happens; the long poll waits at XAPI."""
    host.follow()
    host.await_status(xapi="followed")
    host.await_ids("Bridge", "xenbr0", {"bridge-id": uuid_for(f"network {ETH0}")})
    time.sleep(3)
    host.xapi.control("clear_log")
    before = _waits(host.pid)

    time.sleep(5)

    assert host.xapi.methods() == []
    # what polled, be it once in two seconds, would wait anew each time
    assert _waits(host.pid) - before <= 1


def _waits(pid: int) -> int:
    """How often the threads of a process went to sleep so far (proc(5)); no matter how busy the machine is."""
    statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[0]) for status in statuses)


def test_a_stream_that_ends_in_an_unforeseen_way_says_so(host: FollowedHost) -> None:
    """Whoever waits for its events is told and looks for XAPI anew; here the fault is in who takes the first batch."""
    heard: queue.Queue[XsagentError] = queue.Queue()

    def take(word: EventBatch | XsagentError) -> None:
        if isinstance(word, EventBatch):
            raise TypeError("this batch cannot be taken")
        heard.put(word)

    host.follow()
    XapiStream(Paths(root=host.sandbox.root), "", ["network"], take).start()

    assert "internal error (TypeError: this batch cannot be taken)" in str(heard.get(timeout=30))
