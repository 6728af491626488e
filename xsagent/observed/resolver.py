"""resolv.conf -> Resolver. Reads only, standard library alone.

After it `observed/` joins the parts into a Topology; apply/resolver.py reads the same text before it writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from xsagent.topology.resolv_conf import parse_resolv_conf
from xsagent.topology.values import Resolver

_LINKS: Final = 8


def read_resolver(path: Path, root: Path = Path("/")) -> Resolver:
    """Return the servers and search domains in force; both empty without a file.

    Args:
        path: resolv.conf below the root prefix.
        root: the root prefix: an absolute symlink counts below it.
    """
    return parse_resolv_conf(read_resolver_text(path, root))


def read_resolver_text(path: Path, root: Path) -> str:
    """Return the whole text, undecodable bytes as surrogates; empty without a file. Arguments as `read_resolver`."""
    for _ in range(_LINKS):
        if not path.is_symlink():
            break
        link = path.readlink()
        path = root / str(link).lstrip("/") if link.is_absolute() else path.parent / link
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
