"""The offloads that a VIF's other_config asks for -> its netdev. Effects, best effort.

`attempt` imports it for the few VIFs that ask for any: without a daemon each event pays for what the handler imports.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.apply.ethtool import apply_features
from xsagent.config import Paths
from xsagent.errors import XsagentError
from xsagent.log import get_logger
from xsagent.observed.ethtool import read_features
from xsagent.plan.steps import FeaturesStep

_LOG = get_logger()


def set_offloads(device: str, wanted: Mapping[str, bool], paths: Paths) -> None:
    """Set those that the driver knows and that differ; a refusal is logged: none keeps a guest from its network.

    Args:
        device: the VIF's netdev.
        wanted: by ethtool's name of the offload.
        paths: of this host: what a driver refused is remembered there.
    """
    present = read_features(device)
    differing = {name: value for name, value in wanted.items() if present.get(name, value) != value}
    if not differing:
        return
    try:
        refused = apply_features(FeaturesStep(device=device, features=differing), paths)
    except XsagentError as error:
        refused = (str(error),)
    for sentence in refused:
        _LOG.info("keep_offload", device=device, text=sentence)
