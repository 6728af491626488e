"""What the plugin's functions do with a good call: run the flow, turn its errors into features.md section 20's codes.

Comes after `plugin.py`; the flow itself is `reconcile/manager.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from xsagent.apply.manager_port import open_manager_port
from xsagent.cli.begin import begin
from xsagent.cli.xenapi_plugin import PluginCall, PluginFailure
from xsagent.config import Paths, Settings
from xsagent.errors import XapiError, XapiUnavailableError, XsagentError
from xsagent.hotplug.relock import relock_guests
from xsagent.log import get_logger
from xsagent.model.records import Ref
from xsagent.reconcile.control import FlowsRefusedError
from xsagent.reconcile.manager import ControlHooks, PoolCountError, emergency_reset, update_manager
from xsagent.rewrite import rewrite
from xsagent.sources.host_files import check_backend

_EXIT: Final = "1"
"""Where the peers' plugin names the exit status of a child."""
_NETWORKD_GROUPS: Final = (
    "/sys/fs/cgroup/system.slice/xcp-networkd.service",
    "/sys/fs/cgroup/systemd/system.slice/xcp-networkd.service",
)
"""systemd's control group of xcp-networkd, there while it runs (cgroups 2 and 1)."""

Flow = Callable[[Paths, Settings, Ref, ControlHooks], str]


def run_update(prefix: str, call: PluginCall) -> str:
    """The function ``update``: manager, fail mode and in-band control as XAPI has them.

    Raises:
        PluginFailure: with the codes of features.md section 20.
        XapiError, XapiUnavailableError: become XENAPI_PLUGIN_FAILURE.
    """
    try:
        return _run(update_manager, prefix, call)
    except PoolCountError as error:
        raise PluginFailure("MORE_THAN_ONE_POOL_FOR_HOST" if error.count else "NO_POOL_FOR_HOST") from error
    except (XapiError, XapiUnavailableError) as error:
        _log_failure(call, error)
        raise
    except (XsagentError, OSError) as error:
        raise PluginFailure("VSWITCH_CONFIG_MOD_FAILURE", [_EXIT, _log_failure(call, error)]) from error


def run_emergency_reset(prefix: str, call: PluginCall) -> str:
    """The function ``emergency_reset``; PluginFailure as `run_update`, with its own code."""
    try:
        return _run(emergency_reset, prefix, call)
    except (XsagentError, OSError) as error:
        _log_failure(call, error)
        raise PluginFailure("VSWITCH_EMER_RESET_FAILURE", [_EXIT]) from error


def _run(flow: Flow, prefix: str, call: PluginCall) -> str:
    paths = Paths.from_environ(prefix, os.environ)
    settings = begin("openvswitch-cfg-update", paths, os.environ)
    check_backend(paths)
    try:
        return flow(paths, settings, Ref(call.session), build_hooks(paths, settings))
    except FlowsRefusedError as error:
        _log_failure(call, error)
        raise PluginFailure("VSWITCH_ADD_FLOW_FAILURE", [_EXIT, error.bridge, error.flow]) from error


def _log_failure(call: PluginCall, error: XsagentError | OSError) -> str:
    """Log what ended the call, say it on stderr, which XAPI keeps, and return the sentence."""
    sentence = " ".join(str(error).split())
    if isinstance(error, OSError):
        sentence = f"{error.filename or 'the host'}: {error.strerror or error}; see the log for what was done before"
    get_logger().error("end_run", function=call.function, reason=sentence)
    print(f"openvswitch-cfg-update: {sentence}", file=sys.stderr)
    return sentence


# --- what else goes with a change ------------------------------------------------------------------------


def build_hooks(paths: Paths, settings: Settings) -> ControlHooks:
    """What else goes with a change of manager on this host; for every edge that makes one."""
    return ControlHooks(
        rewrite=None if is_networkd_active(paths) else partial(_rewrite, paths, settings),
        relock=partial(relock_guests, paths, settings),
        listen=partial(open_manager_port, paths),
    )


def is_networkd_active(paths: Paths) -> bool:
    """Whether xcp-networkd runs and owns the topology: profile `hotplug` (DESIGN.md section 0)."""
    return any(paths.below(group).is_dir() for group in _NETWORKD_GROUPS)


def _rewrite(paths: Paths, settings: Settings) -> None:
    outcome = rewrite(paths, settings)
    get_logger().info("rewrite", outcome=type(outcome).__name__)
