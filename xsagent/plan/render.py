"""Plan -> the text that a dry run and `xsagent plan` print. Pure.

One numbered line a step: what changes, in the field's words, and after `#` why. The operations of an OVSDB
transaction and flows stand below their step; with `verbose` also what it relies on and how each step is undone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from xsagent.plan.describe_operation import describe_operation, describe_relied
from xsagent.plan.steps import (
    AddressStep,
    AnnounceStep,
    CreateVlanLinkStep,
    DeleteLinkStep,
    FeaturesStep,
    FileStep,
    IfdownStep,
    IfupStep,
    IgmpQueryStep,
    LinkSettingsStep,
    LinkStep,
    OvsdbStep,
    Plan,
    ResolverStep,
    RouteStep,
    SafetyFlowsStep,
    StartDhcpStep,
    Step,
    StopDhcpStep,
    SysctlStep,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)
from xsagent.topology.desired import Reason
from xsagent.topology.text import describe_route, describe_settings, printable
from xsagent.topology.values import IPV6, DhcpClient

NOTHING_TO_DO = "Nothing to do: the host is as it should be."


def render_plan(plan: Plan, reasons: Iterable[Reason] = (), *, verbose: bool = False) -> str:
    """The plan as text that ends in a newline.

    Args:
        plan: its steps in the order in which they will run.
        reasons: the decisions behind the desired topology, printed below the steps.
        verbose: also what each transaction relies on, and each step's undo.
    """
    lines = [*_steps(plan, verbose=verbose), *_decisions(reasons), *_warnings(plan.warnings)]
    return "".join(f"{printable(line)}\n" for line in lines)


def _steps(plan: Plan, *, verbose: bool) -> Iterator[str]:
    if not plan.steps:
        yield NOTHING_TO_DO
    width = len(str(len(plan.steps)))
    for number, step in enumerate(plan.steps, 1):
        yield f"{number:>{width}}. {_with_reason(step)}"
        yield from _below(step, " " * (width + 2), verbose=verbose)


def _below(step: Step, indent: str, *, verbose: bool) -> Iterator[str]:
    if isinstance(step, OvsdbStep):
        for operation in step.operations:
            yield from (indent + line for line in describe_operation(operation))
        if verbose:
            yield from (f"{indent}relies on {describe_relied(relied)}" for relied in step.relied)
    if isinstance(step, SafetyFlowsStep):
        yield from (f"{indent}flow {line}" for line in step.lines)
    if not verbose:
        return
    for undo in step.undo:
        yield f"{indent}undo: {describe_step(undo)}"
        yield from _below(undo, indent + "      ", verbose=False)


def _with_reason(step: Step) -> str:
    marks = [] if step.required else ["best effort"]
    if step.management:
        marks.append("management")
    reason = f"  # {step.reason}" if step.reason else ""
    return describe_step(step) + "".join(f" [{mark}]" for mark in marks) + reason


def _decisions(reasons: Iterable[Reason]) -> Iterator[str]:
    lines = [f"  {_decision(reason)}" for reason in reasons]
    if lines:
        yield "decided:"
        yield from lines


def _decision(reason: Reason) -> str:
    mark = "WARNING " if reason.warning else ""
    return f"{mark}{reason.subject}: {reason.event.replace('_', ' ')}: {reason.text}"


def _warnings(warnings: Iterable[str]) -> Iterator[str]:
    for warning in warnings:
        yield f"WARNING {warning}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


@functools.singledispatch
def describe_step(step: Step) -> str:
    """What a step does, in one clause; also what the log and an error say about it.

    Raises:
        TypeError: no step of ours (a programming error).
    """
    raise TypeError(f"no words for a step of type {type(step).__name__}")


@describe_step.register
def _(step: OvsdbStep) -> str:
    return f"change Open vSwitch in one transaction of {_counted(len(step.operations), 'operation')}"


@describe_step.register
def _(step: SafetyFlowsStep) -> str:
    if not step.lines:
        return f"take our safety flows out of bridge {step.bridge}"
    return f"put {_counted(len(step.lines), 'safety flow')} into bridge {step.bridge}"


@describe_step.register
def _(step: VirtualFunctionsStep) -> str:
    if step.remove:
        return f"take the virtual functions of {step.device} away"
    return f"give {step.device} its virtual functions"


@describe_step.register
def _(step: LinkStep) -> str:
    changes = []
    if step.mac is not None:
        changes.append(f"mac {step.mac}")
    if step.mtu is not None:
        changes.append(f"mtu {step.mtu}")
    if step.up is not None:
        changes.append("up" if step.up else "down")
    return f"set link {step.device} {', '.join(changes)}"


@describe_step.register
def _(step: CreateVlanLinkStep) -> str:
    return f"create VLAN device {step.device} with tag {step.tag} on {step.parent}"


@describe_step.register
def _(step: DeleteLinkStep) -> str:
    return f"delete device {step.device}"


@describe_step.register
def _(step: WaitCarrierStep) -> str:
    return f"wait at most {step.seconds:g} s for carrier on {' '.join(step.devices)}"


@describe_step.register
def _(step: FeaturesStep) -> str:
    return f"set offloads of {step.device}: {describe_settings(step.features)}"


@describe_step.register
def _(step: LinkSettingsStep) -> str:
    return f"set link settings of {step.device}: {describe_settings(step.settings)}"


@describe_step.register
def _(step: SysctlStep) -> str:
    return "set sysctl " + ", ".join(f"net/{path} = {value}" for path, value in sorted(step.values.items()))


@describe_step.register
def _(step: AddressStep) -> str:
    add = [f"add {address.interface}" for address in step.add]
    remove = [f"remove {address.interface}" for address in step.remove]
    return f"addresses of {step.device}: {', '.join(add + remove)}"


@describe_step.register
def _(step: RouteStep) -> str:
    add = [f"set {describe_route(route)}" for route in step.add]
    remove = [f"remove {describe_route(route)}" for route in step.remove]
    return f"routes of {step.device}: {', '.join(add + remove)}"


@describe_step.register
def _(step: StartDhcpStep) -> str:
    return f"start {_client(step.client)} on {step.device} and wait for its lease"


@describe_step.register
def _(step: StopDhcpStep) -> str:
    lease = " and take its lease off" if step.flush else ""
    return f"stop the DHCP{'v6' if step.family == IPV6 else ''} client on {step.device}{lease}"


def _client(client: DhcpClient) -> str:
    return "a DHCPv6 client" if client.family == IPV6 else "a DHCP client"


@describe_step.register
def _(step: FileStep) -> str:
    if step.text is None:
        return f"remove file {step.path}"
    return f"write file {step.path} ({_counted(len(step.text.splitlines()), 'line')})"


@describe_step.register
def _(step: ResolverStep) -> str:
    servers, search = step.resolver.servers, step.resolver.search
    return f"put into resolv.conf: servers {' '.join(servers) or 'none'}, search {' '.join(search) or 'none'}"


@describe_step.register
def _(step: IfupStep) -> str:
    return f"run ifup {step.device}"


@describe_step.register
def _(step: IfdownStep) -> str:
    return f"run ifdown {step.device}"


@describe_step.register
def _(step: AnnounceStep) -> str:
    return f"announce the addresses of {step.device} to its neighbours"


@describe_step.register
def _(step: IgmpQueryStep) -> str:
    return f"ask the guests on bridge {step.bridge} for their multicast groups"


@describe_step.register
def _(_step: UpdateIssueStep) -> str:
    return "run update-issue"
