"""Remembers configurations that were rolled back, until they were applied with success (DESIGN.md section 4).

One JSON file below /var/lib/xsagent, replaced atomically. Written by the flow after an operation; read before the cache
is written, which keeps such a configuration out (model/keep_out.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from xsagent.apply.files import replace_file
from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.model.keep_out import PifConfiguration
from xsagent.topology.codec import from_json, to_json

_NAME = "rolled-back.json"


def read_rolled_back(paths: Paths) -> dict[str, PifConfiguration]:
    """What was rolled back, by PIF uuid; a damaged file remembers nothing."""
    try:
        form = json.loads((paths.state_dir / _NAME).read_text(encoding="utf-8"))
        return from_json(dict[str, PifConfiguration], form)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, InputError):
        return {}


def remember_rolled_back(paths: Paths, uuid: str, configuration: PifConfiguration) -> None:
    """Remember that this configuration of a PIF was taken back.

    Raises:
        FileError: it could not be written; the cache may then take the configuration in.
    """
    _write(paths, {**read_rolled_back(paths), uuid: configuration})


def forget_rolled_back(paths: Paths, uuid: str) -> None:
    """The PIF was configured with success: nothing stays out of the cache."""
    remembered = read_rolled_back(paths)
    if remembered.pop(uuid, None) is not None:
        _write(paths, remembered)


def _write(paths: Paths, remembered: Mapping[str, PifConfiguration]) -> None:
    paths.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(paths.state_dir / _NAME, json.dumps(to_json(remembered), indent=1).encode())
