"""conf.db -> a database that ovsdb-server can serve: created, converted, or put aside and created anew. Effects.

`xsagent/boot.py` calls it before it starts ovsdb-server. Whatever is wrong with the file or its disk, there is a
database afterwards: bridges come back from network.dbcache and the manager from XAPI; without a switch nothing does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.apply.files import sync_directory
from xsagent.child import ChildResult, find_program, run_child
from xsagent.errors import CommandError, FileError

DATABASE: Final = "Open_vSwitch"
_TOOL_S: Final = 60.0
_ROOM_BYTES: Final = 1 << 18
"""A boot writes some 50 KB into the database's log; with less room than this it would end half way."""
_MODE: Final = 0o640
_VOLATILE_NAME: Final = "conf.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedDatabase:
    """The file that ovsdb-server is to serve.

    Attributes:
        warnings: what was wrong and what was done about it.
    """

    path: Path
    warnings: tuple[str, ...] = ()


def prepare_database(database: Path, schema: Path, volatile_directory: Path) -> PreparedDatabase:
    """Make sure that there is a database of this schema; idempotent.

    A disk that is full or read-only makes it a database of this boot, in the run directory: a transaction that cannot
    be written is refused by ovsdb-server, and then no bridge could be made at all.

    Args:
        database: the file; a symbolic link is followed, as ovsdb-server does.
        schema: vswitch.ovsschema of the installed Open vSwitch.
        volatile_directory: on a file system in memory.

    Raises:
        CommandError, FileError: there is no ovsdb-tool or no schema, or not even the run directory can be written.
    """
    volatile = volatile_directory / _VOLATILE_NAME
    if volatile.exists() and volatile != database:
        sentence = f"the database of this boot, {volatile}, is used: {database} could not be written when it was made"
        return PreparedDatabase(path=volatile, warnings=(sentence,))
    real = database.resolve()
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(real)
        _make_sure_of_room(real.parent)
        return PreparedDatabase(path=database, warnings=_prepare(real, schema))
    except OSError as error:
        volatile_directory.mkdir(parents=True, exist_ok=True)
        sentence = (
            f"{database} cannot be written ({error.strerror or error}): {volatile} is used instead and lasts until the "
            "next boot; make room and boot again"
        )
        return PreparedDatabase(path=volatile, warnings=(sentence, *_in_memory(volatile, schema, real)))


def _in_memory(volatile: Path, schema: Path, real: Path) -> tuple[str, ...]:
    """A database in memory with what the real one holds, which may be live bridges."""
    try:
        if real.exists() and not _fault(real):
            _copy(real, volatile)
        return _prepare(volatile, schema)
    except OSError as error:
        raise FileError(f"{volatile} could not be made either: {error.strerror}; there is no database") from error


def _prepare(database: Path, schema: Path) -> tuple[str, ...]:
    """Warnings; OSError where the file system refuses a write."""
    if not database.exists():
        _create(database, schema)
        return ()
    if reason := _fault(database):
        kept = _put_aside(database)
        _create(database, schema)
        return (f"{database} cannot be read ({reason}): kept as {kept}, and an empty one was made",)
    if _ask("needs-conversion", database, schema).stdout.strip() != "yes":
        return ()
    return _convert(database, schema)


def _fault(database: Path) -> str:
    """Why ovsdb-server would refuse the file; empty when it would not.

    Only the first record counts: of what follows it, ovsdb-server takes what is whole, as after a power cut.
    """
    asked = _ask("db-name", database)
    if asked.status:
        return " ".join(asked.stderr.split()) or "ovsdb-tool refuses it without a reason"
    name = asked.stdout.strip()
    return "" if name == DATABASE else f"it holds the database {name}"


def _convert(database: Path, schema: Path) -> tuple[str, ...]:
    """Bring the database to the installed schema, the old one kept beside it as ovs-ctl names it."""
    backup = database.with_name(f"{database.name}.backup{_ask('db-version', database).stdout.strip()}-{_sum(database)}")
    if not backup.exists():
        _copy(database, backup)
    fresh = _temporary(database)
    try:
        done = _ask("convert", database, schema, fresh)
        if done.status:
            _raise_when_full(done, database)
            _create(database, schema)
            reason = " ".join(done.stderr.split())
            return (f"{database} could not be converted ({reason}): kept as {backup}, and an empty one was made",)
        _put_in_place(fresh, database)
    finally:
        _remove(fresh)
    return ()


def _create(database: Path, schema: Path) -> None:
    if not schema.exists():
        raise FileError(f"the schema {schema} is not there (is Open vSwitch installed?); no database was made")
    fresh = _temporary(database)
    try:
        done = _ask("create", fresh, schema)
        if done.status:
            _raise_when_full(done, database)
            raise CommandError(f"no database could be made: {' '.join(done.stderr.split())}")
        _put_in_place(fresh, database)
    finally:
        _remove(fresh)


def _put_in_place(fresh: Path, database: Path) -> None:
    descriptor = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, _MODE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.rename(database)
    sync_directory(database.parent)


def _put_aside(database: Path) -> Path:
    """Rename the file to a name that says when; a second one of the same second gets a number."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number, kept = 1, database.with_name(f"{database.name}.corrupt-{stamp}")
    while kept.exists():
        number += 1
        kept = database.with_name(f"{database.name}.corrupt-{stamp}-{number}")
    database.rename(kept)
    return kept


def _copy(database: Path, backup: Path) -> None:
    fresh = _temporary(backup)
    try:
        shutil.copyfile(database, fresh)
        _put_in_place(fresh, backup)
    finally:
        fresh.unlink(missing_ok=True)


def _sum(database: Path) -> str:
    return str(zlib.crc32(database.read_bytes()))


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.xsagent-new")


def _remove(fresh: Path) -> None:
    for path in (fresh, fresh.with_name(f".{fresh.name}.~lock~")):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _remove_leftovers(database: Path) -> None:
    """What a power cut in the middle of a creation left."""
    _remove(_temporary(database))


def _make_sure_of_room(directory: Path) -> None:
    """Raise OSError where the directory takes no file of the size that a boot needs."""
    probe = directory / ".xsagent-room"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(_ROOM_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def _raise_when_full(done: ChildResult, database: Path) -> None:
    """OSError for what a child could not write."""
    for number in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        if os.strerror(number) in done.stderr:
            raise OSError(number, os.strerror(number), str(database))


def _ask(command: str, *words: Path) -> ChildResult:
    tool = find_program("ovsdb-tool", "/usr/bin/ovsdb-tool")
    return run_child([tool, "-vconsole:off", command, *(str(word) for word in words)], deadline_s=_TOOL_S, accepted=())
