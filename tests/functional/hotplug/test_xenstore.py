"""The xenstore client and the keys it writes, against a real xenstored."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from xenstore_keys import write_key

from xsagent.apply.xenstore import (
    Hooked,
    Report,
    Told,
    remove_attached,
    remove_hook_mark,
    write_attached,
    write_failed,
)
from xsagent.config import Paths
from xsagent.errors import HotplugPendingError, InputError, XenstoreError, XenstoreUnavailableError
from xsagent.model.vif import DeviceType, Layout, LockingMode, Vif, VifId, VifPaths
from xsagent.sandbox.xenstored import running_xenstored
from xsagent.sources.vif import VifKeys, build_paths
from xsagent.sources.vif_reader import read_all_vif_keys, read_backend_state, read_vif, read_vif_keys
from xsagent.sources.xenstore import WatchEvent, Xenstore, open_xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
NEW_VM = "11111111-770e-5865-b077-5f56bdead3c7"
VIF_UUID = "ad183578-73d1-5ace-8bdc-9e32c65a5032"
VIF = VifId(5, 0)


@pytest.fixture(params=["xenstored", "oxenstored"])
def paths(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Paths]:
    """A running xenstored below a root prefix: Xen's own, and the one of XenServer and XCP-ng."""
    with running_xenstored(tmp_path / "run/xenstored", request.param):
        yield Paths(root=tmp_path)


@pytest.fixture
def store(paths: Paths) -> Iterator[Xenstore]:
    """A connection to it."""
    with open_xenstore(paths) as connection:
        yield connection


def vif_now(store: Xenstore, paths: Paths) -> Vif:
    """VIF as the toolstack describes it now."""
    return read_vif(read_vif_keys(store, VIF), paths)


def plug_keys(store: Xenstore, layout: Layout = Layout.UUID, **private: str) -> None:
    """Write what a toolstack writes before it plugs VIF."""
    directories = build_paths(VIF, layout, VM)
    write_key(store, "/local/domain/5/vm", f"/vm/{VM}")
    write_key(store, f"/vm/{VM}/uuid", VM)
    write_key(store, f"{directories.backend}/frontend", "/local/domain/5/device/vif/0")
    keys = {"bridge": "xenbr0", "bridge-MAC": "fe:ff:ff:ff:ff:ff", "MTU": "1400", "vif-uuid": VIF_UUID} | private
    for name, value in keys.items():
        write_key(store, f"{directories.private}/{name.replace('__', '/').replace('_', '-')}", value)


def pid_of(paths: Paths) -> int:
    """Process id of the running xenstored."""
    return int((paths.root / "run/xenstored/xenstored.pid").read_text())


def test_a_deep_root_prefix_does_not_run_into_the_107_bytes_of_a_sockets_address(paths: Paths) -> None:
    """The daemon is reached below a path that sockaddr_un has no room for."""
    deep = paths.root / ("d" * 100) / "root"
    deep.mkdir(parents=True)
    (deep / "run").symlink_to(paths.root / "run")

    with open_xenstore(Paths(root=deep)) as store:
        write_key(store, "/deep", "x")
        assert store.read("/deep") == b"x"


def test_reads_give_the_value_or_none_and_listings_are_complete_beyond_4_kib(store: Xenstore) -> None:
    """An absent node is None, and a directory whose names do not fit one message comes whole."""
    names = [f"{number:05}" for number in range(1500)]
    for name in names:
        write_key(store, f"/many/{name}", "x")

    assert store.read("/many/00007") == b"x"
    assert store.read("/none") is None
    assert store.directory("/none") is None
    assert store.directory("/many/00007") == ()
    assert store.directory("/many") == tuple(names)


def test_a_transaction_is_run_again_when_another_client_came_between(paths: Paths, store: Xenstore) -> None:
    """A read that another client overtook is repeated, so that body's result is one state of the store."""
    write_key(store, "/a", "1")
    runs: list[bytes | None] = []

    def body(transaction: int) -> bytes | None:
        runs.append(store.read("/a", transaction=transaction))
        if len(runs) == 1:
            with open_xenstore(paths) as other:
                write_key(other, "/a", "2")
        found = store.read("/a", transaction=transaction)
        store.request(Operation.WRITE, encode_path("/b"), found or b"", transaction=transaction)
        return found

    assert store.transact(body) == b"2"
    assert runs == [b"1", b"2"]
    assert store.read("/b") == b"2"


def test_an_error_inside_a_transaction_stores_nothing(store: Xenstore) -> None:
    """A body that fails leaves the store as it was, and the connection usable."""

    def body(transaction: int) -> None:
        store.request(Operation.WRITE, encode_path("/half"), b"done", transaction=transaction)
        raise InputError("changed my mind")

    with pytest.raises(InputError):
        store.transact(body)

    assert store.read("/half") is None


def test_watch_events_are_kept_while_requests_are_answered(store: Xenstore) -> None:
    """Events that come between a request and its answer are not lost."""
    store.watch("/watched", "token")
    write_key(store, "/watched/x", "1")

    seen = {store.take_event(5), store.take_event(5)}

    assert seen == {WatchEvent("/watched", "token"), WatchEvent("/watched/x", "token")}
    assert store.take_event(0) is None


def test_a_refusal_has_xenstoreds_code_and_leaves_the_connection_usable(store: Xenstore) -> None:
    """EEXIST for a second identical watch is an error of its own kind."""
    store.watch("/w", "t")

    with pytest.raises(XenstoreError) as refusal:
        store.watch("/w", "t")

    assert refusal.value.code == "EEXIST"
    assert store.read("/w") is None


@pytest.mark.parametrize("path", ["relative", "/a\0b", "/a//b", "/a/../b", "/a b", "/" + "x" * 3100, "/\u00e4"])
def test_a_path_that_could_mean_something_else_is_never_sent(store: Xenstore, path: str) -> None:
    """A path with NULs, dots, blanks or too many characters is refused on our side."""
    with pytest.raises(XenstoreError) as refusal:
        store.read(path)

    assert refusal.value.code == "EINVAL"
    assert store.read("/tool") == b""


def test_without_xenstored_opening_fails_at_once(tmp_path: Path) -> None:
    """No socket: a named error, and no wait."""
    with pytest.raises(XenstoreUnavailableError, match="run/xenstored/socket"):
        open_xenstore(Paths(root=tmp_path))


def test_an_xenstored_that_hangs_costs_the_deadline_alone(paths: Paths) -> None:
    """A stopped daemon ends the request in a named error; the connection is then closed for good."""
    with open_xenstore(paths, deadline_s=0.2) as store:
        os.kill(pid_of(paths), signal.SIGSTOP)
        try:
            with pytest.raises(XenstoreUnavailableError, match=r"within 0\.2 s"):
                store.read("/a")
        finally:
            os.kill(pid_of(paths), signal.SIGCONT)

        assert not store.is_open
        with pytest.raises(XenstoreUnavailableError, match="closed"):
            store.read("/a")


def test_who_comes_while_others_wait_for_being_accepted_waits_too(paths: Paths) -> None:
    """Xenstored lets one or two wait; of a burst of one-shot handlers none is told that there is no xenstored."""

    def read() -> bytes | None:
        with open_xenstore(paths) as store:
            return store.read("/tool")

    os.kill(pid_of(paths), signal.SIGSTOP)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(read) for _ in range(8)]
        time.sleep(0.3)  # for what does not wait to fail
        os.kill(pid_of(paths), signal.SIGCONT)
        assert [one.result() for one in found] == [b""] * 8


def test_an_xenstored_that_dies_ends_requests_and_waits_for_events(paths: Paths, store: Xenstore) -> None:
    """SIGKILL of the daemon is told apart from "no event"."""
    store.watch("/w", "t")
    store.take_event(5)
    os.kill(pid_of(paths), signal.SIGKILL)

    with pytest.raises(XenstoreUnavailableError):
        store.take_event(5)


def test_a_daemon_that_answers_nonsense_is_refused(tmp_path: Path) -> None:
    """A header that announces 4 GiB is no reason to wait for them; the next use is a new connection's."""
    place = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen()

        def answer() -> None:
            peer = server.accept()[0]
            with peer:
                peer.recv(4096)
                peer.sendall(b"\xff" * 16)

        thread = threading.Thread(target=answer)
        thread.start()
        with open_xenstore(Paths(xenstored_override=place)) as store:
            with pytest.raises(XenstoreError, match="4294967295"):
                store.read("/a")
            assert not store.is_open
        thread.join()


@pytest.mark.parametrize("layout", list(Layout))
def test_a_vif_is_read_in_either_layout(paths: Paths, store: Xenstore, layout: Layout) -> None:
    """The directory by uuid wins, else the one by domain id; the guest's own keys are not looked at (F01)."""
    write_key(store, "/local/domain/5/device/vif/0/mac", "x -- del-br xenbr0")
    plug_keys(store, layout, mac="00:16:3E:00:00:01", trunks="20,10", other_config__promiscuous="on")

    vif = vif_now(store, paths)

    assert (vif.bridge, vif.mac, vif.mtu, vif.trunks) == ("xenbr0", "00:16:3e:00:00:01", 1400, (10, 20))
    assert (vif.vif_uuid, vif.vm_uuid, vif.paths.layout) == (VIF_UUID, VM, layout)
    assert vif.promiscuous


def test_a_migrating_vm_gets_its_final_uuid(paths: Paths, store: Xenstore) -> None:
    """The keys are looked for under the present uuid, and the port is named by the one the VM will have."""
    plug_keys(store)
    write_key(store, f"/vm/{VM}/final-uuid", NEW_VM)

    assert vif_now(store, paths).vm_uuid == NEW_VM


def test_the_locking_mode_comes_from_xenopsds_file(paths: Paths, store: Xenstore) -> None:
    """The file wins over the private keys; without it the keys count; without both nobody said "unlocked"."""
    plug_keys(store, xenopsd_backend="xenlight", mac="00:16:3e:00:00:01")
    with pytest.raises(HotplugPendingError, match="locking mode"):
        vif_now(store, paths)

    write_key(store, f"/xapi/{VM}/private/vif/0/locking-mode", "disabled")
    assert vif_now(store, paths).locking.mode is LockingMode.DISABLED

    file = paths.root / f"var/run/nonpersistent/xenopsd/xenlight/VM/{VM}/vif.0"
    file.parent.mkdir(parents=True)
    file.write_text('{"locking_mode": ["Locked", {"ipv4": ["192.0.2.7"], "ipv6": []}]}')
    locking = vif_now(store, paths).locking

    assert (locking.mode, [str(address) for address in locking.ipv4]) == (LockingMode.LOCKED, ["192.0.2.7"])


@pytest.mark.parametrize("vm", ["/vm/../../local/domain/0", "../x", f"/vm/{VM}/x", ""])
def test_a_vm_key_with_path_tricks_is_refused(paths: Paths, store: Xenstore, vm: str) -> None:
    """A malformed ``vm`` must not lead to another VM's keys."""
    plug_keys(store)
    write_key(store, "/local/domain/5/vm", vm)

    with pytest.raises(InputError, match="VIF 5/0"):
        vif_now(store, paths)


def report(directories: VifPaths, facts: dict[str, str], kind: DeviceType = DeviceType.VIF) -> Report:
    """What an attach reports."""
    return Report(paths=directories, kind=kind, facts=facts)


def test_attach_reports_and_remove_takes_it_back_when_the_domain_is_gone(store: Xenstore) -> None:
    """Connected, online and the facts appear together; after the domain vanished, remove still finds them."""
    plug_keys(store)
    directories = read_vif_keys(store, VIF).paths
    write_failed(store, directories, "no such bridge")
    assert read_backend_state(store, directories).error == "no such bridge"

    assert write_attached(store, [report(directories, {"vif": "vif5.0", "vif-ofport": "3"})]) == [Told.SAID]
    state = read_backend_state(store, directories)
    assert (state.status, state.error, state.online) == ("connected", "", "online")

    for gone in ("/local/domain/5", directories.backend):
        store.request(Operation.RM, encode_path(gone))
    found = read_vif_keys(store, VIF).paths
    assert found == directories
    remove_attached(store, [(found, DeviceType.VIF)])
    remove_attached(store, [(found, DeviceType.VIF)])

    assert store.directory(directories.hotplug) == ()
    assert store.directory(directories.backend) is None


def test_nothing_is_reported_of_a_device_that_is_gone(store: Xenstore) -> None:
    """Neither success nor failure may create the directory of a device that no longer exists."""
    plug_keys(store)
    directories = read_vif_keys(store, VIF).paths
    store.request(Operation.RM, encode_path(directories.backend))

    assert write_attached(store, [report(directories, {"vif": "vif5.0"})]) == [Told.GONE]
    assert not write_failed(store, directories, "late")

    assert store.directory(directories.backend) is None
    assert store.directory(directories.hotplug) is None


def test_many_are_read_and_reported_in_one_transaction_and_each_has_its_own_answer(store: Xenstore) -> None:
    """Of a burst one has no backend, one a malformed domain and one is a tap: the others are as if they came alone."""
    plug_keys(store)
    write_key(store, "/local/domain/6/vm", "../x")
    others = [VifId(6, 0), *(VifId(domid, 0) for domid in range(100, 180))]

    keys = read_all_vif_keys(store, [VIF, *others])

    assert [type(one) for one in keys] == [VifKeys, InputError] + [VifKeys] * 80
    first = keys[0]
    assert isinstance(first, VifKeys)
    assert (first.private["bridge"], first.paths) == (b"xenbr0", read_vif_keys(store, VIF).paths)
    for vif in others[2:]:
        write_key(store, f"{vif.backend_path}/hotplug-error", "no such bridge")
    reports = [report(one.paths, {"vif": one.id.device(DeviceType.VIF)}) for one in keys if isinstance(one, VifKeys)]
    tap = report(reports[1].paths, {"tap-ifindex": "7"}, DeviceType.TAP)
    written = write_attached(store, [*reports, tap])
    assert written == [Told.SAID, Told.GONE] + [Told.SAID] * 79 + [Told.SAID]
    assert store.read(f"{others[5].backend_path}/hotplug-status") == b"connected"
    assert store.directory(others[1].backend_path) is None
    assert store.read(f"{tap.paths.hotplug}/tap-ifindex") == b"7"
    remove_attached(store, [(one.paths, one.kind) for one in [*reports, tap]])
    assert store.directory(reports[5].paths.hotplug) == ()
    assert store.directory(tap.paths.hotplug) == ()


def test_what_is_reported_already_fires_no_watch(store: Xenstore) -> None:
    """Xenopsd and netback watch these keys: a second report is silent."""
    plug_keys(store)
    one = report(read_vif_keys(store, VIF).paths, {"vif": "vif5.0"})
    write_attached(store, [one])
    store.watch("/xapi", "a")
    store.watch("/local", "b")
    while store.take_event(0.1) is not None:
        pass

    assert write_attached(store, [one]) == [Told.SAID]

    assert store.take_event(0.2) is None


def test_a_hook_is_due_for_what_was_not_reported_yet_and_until_it_has_ended(store: Xenstore) -> None:
    """A resync reports right devices too: these have had their hook, unless whoever was to call it was killed."""
    plug_keys(store)
    directories = read_vif_keys(store, VIF).paths
    resync, event = (
        Report(paths=directories, kind=DeviceType.VIF, facts={}, hooked=hooked)
        for hooked in (Hooked.WHEN_NEW, Hooked.ALWAYS)
    )

    assert write_attached(store, [resync]) == [Told.HOOK_DUE]
    assert write_attached(store, [resync]) == [Told.HOOK_DUE]
    remove_hook_mark(store, resync.mark)
    assert write_attached(store, [resync]) == [Told.SAID]
    assert write_attached(store, [event]) == [Told.HOOK_DUE]
    remove_attached(store, [(directories, DeviceType.VIF)])

    assert store.directory(directories.hotplug) == ()


def test_facts_alone_are_written_and_removed_beside_the_status_of_others(store: Xenstore) -> None:
    """Setup-vif-rules tells a port's number; whether the device is attached its caller tells."""
    plug_keys(store)
    directories = read_vif_keys(store, VIF).paths
    write_failed(store, directories, "no such bridge")

    for number in ("3", None):
        facts = Report(paths=directories, kind=DeviceType.VIF, facts={"vif-ofport": number}, facts_only=True)
        assert write_attached(store, [facts]) == [Told.SAID]
        found = store.read(f"{directories.hotplug}/vif-ofport")
        assert found == (None if number is None else number.encode())

    state = read_backend_state(store, directories)
    assert (state.status, state.error, state.online) == ("", "no such bridge", "")
