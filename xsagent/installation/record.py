"""What `take_over` did to this host, as a small file: /var/lib/xsagent/installation.json. Reads; `take_over` writes.

Written before the first path is touched, so that a run that was killed can be finished or taken back by the next,
of this version or a later one.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.installation.divert import is_link_to
from xsagent.sources.host_files import read_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is ours on the host.

    Attributes:
        profile: ``full`` or ``hotplug``; empty when nothing was taken over.
        links: target by path.
        texts: files of others that we put a changed copy of in place.
        directories: that we made, outermost first.
    """

    profile: str = ""
    links: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()

    def merged(self, other: Record) -> Record:
        """Everything of both, with the other's profile: what holds between the first change and the last."""
        return Record(
            profile=other.profile,
            links=self.links | other.links,
            texts=tuple(sorted({*self.texts, *other.texts})),
            directories=tuple(sorted({*self.directories, *other.directories})),
        )


def read_displaced(paths: Paths, record: Record) -> tuple[str, ...]:
    """Paths that were taken over and are no links of ours now: somebody replaced or removed them since."""
    return tuple(path for path, target in sorted(record.links.items()) if not is_link_to(paths, path, target))


def record_path(paths: Paths) -> Path:
    """Where the record is."""
    return paths.state_dir / "installation.json"


def read_record(paths: Paths) -> Record:
    """The record; an empty one where nothing was taken over.

    Raises:
        InputError: the file is there and cannot be understood: then nothing may be given back by guessing.
    """
    path = record_path(paths)
    text = read_text(path)
    if text is None:
        return Record()
    try:
        value = json.loads(text)
        return Record(
            profile=str(value["profile"]),
            links={str(place): str(target) for place, target in value["links"].items()},
            texts=tuple(str(place) for place in value["texts"]),
            directories=tuple(str(place) for place in value["directories"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be understood ({error!r}); nothing was changed") from error


def render_record(record: Record) -> bytes:
    """The file's content."""
    return (json.dumps(dataclasses.asdict(record), indent=1, sort_keys=True) + "\n").encode()
