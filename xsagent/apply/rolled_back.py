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
_MOST = 8
"""Configurations kept a PIF: somebody who tries nine in turn will not come back to the first."""


def read_rolled_back(paths: Paths) -> dict[str, tuple[PifConfiguration, ...]]:
    """What was rolled back, by PIF uuid, the latest last; a damaged file remembers nothing."""
    try:
        form = json.loads((paths.state_dir / _NAME).read_text(encoding="utf-8"))
        return from_json(dict[str, tuple[PifConfiguration, ...]], form)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, InputError):
        return {}


def remember_rolled_back(paths: Paths, configuration: PifConfiguration) -> None:
    """Remember that this configuration of a PIF was taken back.

    Raises:
        OSError, FileError: it could not be written; the cache may then take the configuration in.
    """
    remembered = read_rolled_back(paths)
    known = remembered.get(configuration.pif.uuid, ())
    if configuration not in known:
        _write(paths, {**remembered, configuration.pif.uuid: (*known, configuration)[-_MOST:]})


def forget_rolled_back(paths: Paths, configuration: PifConfiguration) -> None:
    """This configuration was applied with success: it need not stay out of the cache. Others of the PIF must.

    Raises:
        OSError, FileError: as remember_rolled_back.
    """
    remembered = read_rolled_back(paths)
    known = remembered.get(configuration.pif.uuid, ())
    if configuration in known:
        remembered[configuration.pif.uuid] = tuple(one for one in known if one != configuration)
        _write(paths, {uuid: configurations for uuid, configurations in remembered.items() if configurations})


def _write(paths: Paths, remembered: Mapping[str, tuple[PifConfiguration, ...]]) -> None:
    paths.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(paths.state_dir / _NAME, json.dumps(to_json(remembered), indent=1).encode())
