"""The import law of DESIGN.md section 2, read from the sources by `ast`; the checker itself is tested on bad samples.

Who may know whom is one table, LAYERS; what a pure module may touch is one list, PURE_STDLIB. A new folder or a new
adapter of a heavy library is a line here, and that line is the place to argue about it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_FACTS = frozenset({"errors", "model", "topology"})
_GROUND = _FACTS | {"config", "log", "unix_socket"}
_PURE = frozenset({"desired", "plan"})
_FLOW = _GROUND | _PURE | {"child", "sources", "observed", "apply"}
_ENTRIES = frozenset(
    {"planning", "reconfigure", "operations", "rescue", "rewrite", "up_all", "hotplug", "hotplug decides", "firewall"}
)

LAYERS: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    # argument list -> a child program's answer, within a deadline
    "child": frozenset({"errors"}),
    # words for ovs-ofctl -> its answer: for readers of flows and writers of them
    "ofctl": frozenset({"errors", "child", "model"}),
    "unix_socket": frozenset(),
    "model": frozenset({"errors"}),
    "topology": frozenset({"errors"}),
    "config": frozenset({"errors", "model"}),
    "log": frozenset({"errors", "topology", "unix_socket"}),
    "desired": _FACTS,
    # not the model: nothing ties the planner to XenAPI's records (DESIGN.md section 0)
    "plan": frozenset({"errors", "topology"}),
    # topology for its plain values (Json); what a source makes is the model
    "sources": _GROUND,
    "observed": frozenset({"errors", "topology", "config", "log", "unix_socket", "child", "ofctl"}),
    # event x VIF -> decision, flows: what `plan` is to a PIF
    "hotplug decides": _FACTS | {"plan"},
    "apply": _GROUND | {"plan", "hotplug decides", "child", "ofctl", "observed", "sources"},
    "planning": _FLOW,
    # hotplug: a run that leaves guests without their locking flows has them locked by xenstore's word
    "carry_out": _FLOW | {"planning", "hotplug"},
    "reconfigure": _FLOW | {"planning", "carry_out"},
    "operations": _FLOW | {"planning"},
    "rewrite": _FLOW | {"planning", "reconfigure", "operations"},
    "rescue": _FLOW,
    "up_all": _FLOW | {"planning", "reconfigure", "operations"},
    "firewall": _FLOW,
    "boot": _FLOW | {"firewall"},
    "hotplug": _FLOW | {"hotplug decides"},
    "reconcile": _FLOW | _ENTRIES,
    "daemon": _FLOW | _ENTRIES | {"reconcile"},
    # facts -> findings; only its read*.py do I/O, and ask the peers that everything else asks
    "doctor": _FLOW | _ENTRIES | {"reconcile", "installation"},
    # an observed topology -> a picture of it
    "picture": frozenset({"errors", "topology"}),
    # a stand-in for a host and its peers: nothing of the product but the values and files that it must agree on
    "sandbox": _GROUND | {"sources"},
    # what stands where on a host; `checks` writes the cache first as the flows do
    "installation": _FLOW | {"operations", "hotplug"},
    "cli": _FLOW | _ENTRIES | {"boot", "reconcile", "daemon", "sandbox", "doctor", "picture", "installation"},
}
"""Layer -> the layers that it may import, itself always included."""

HOTPLUG_DECIDES = frozenset({"decide", "decision", "event", "iface_status", "locking", "mirror", "places"})
"""Modules of hotplug/ that only decide."""
PURE_LAYERS = frozenset({"errors", "model", "topology", "desired", "plan", "hotplug decides", "picture"})
_CLAIMS_PURITY = re.compile(r"\b[Pp]ure\.")
"""Any other module whose head ends in this is held to it."""

PURE_STDLIB = frozenset(
    {
        "__future__", "abc", "base64", "bisect", "collections", "copy", "dataclasses", "enum", "fnmatch", "functools",
        "getopt", "graphlib", "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "operator", "re", "shlex",
        "string", "struct", "textwrap", "types", "typing",
    }
)  # fmt: skip
PURE_NAMES: Mapping[str, frozenset[str]] = {
    "pathlib": frozenset({"PurePath", "PurePosixPath"}),
    "uuid": frozenset({"UUID", "uuid5"}),
    "urllib.parse": frozenset({"quote", "unquote", "urlsplit"}),
}
"""Modules of which a pure module may take these names only."""
IMPURE_CALLS = frozenset({"open", "print", "input", "eval", "exec", "compile", "__import__", "breakpoint"})

HEAVY: Mapping[str, tuple[str, ...]] = {
    "XenAPI": ("sources/xapi_transport.py",),
    "pyroute2": ("apply/netlink.py",),
    "pyudev": ("daemon/udev.py",),
    "ovs": ("daemon/unixctl.py",),
    "structlog": ("log.py",),
}
"""Heavy library -> its adapters."""

WRITERS = frozenset({"apply", "child", "sandbox", "installation", "cli"})
"""Layers with effects: the only writer of a host's network, the one who starts programs, the throw-away host, what
puts our own files in place, process edges (stdout, a signal)."""
ASKING_PROGRAMS = ("observed/flows.py", "observed/firewall.py")
"""Readers that run a child program because nothing else tells: ``ovs-ofctl dump-flows``, firewalls' own programs."""
STARTS_PROGRAMS = frozenset({"child", "ofctl"})
"""Layers that a reader goes through to run one."""
WRITING_METHODS = frozenset(
    {"write_text", "write_bytes", "unlink", "rename", "mkdir", "rmdir", "touch", "chmod", "symlink_to", "hardlink_to"}
)
WRITING_OS = frozenset(
    {"replace", "rename", "remove", "unlink", "mkdir", "makedirs", "rmdir", "symlink", "link", "chmod", "chown", "kill"}
    | {"truncate", "ftruncate", "mkfifo", "mknod", "setxattr"}
)
# O_RDWR is not among them: to ask xenstored through /dev/xen/xenbus one must write
WRITING_FLAGS = frozenset({"O_WRONLY", "O_CREAT", "O_TRUNC", "O_APPEND"})

NAMES_OF_NOTHING = re.compile(r"(utils?|common|helpers?|misc|stuff|base)\.py")
CLASSES_OF_NOTHING = re.compile(r".*(Manager|Helper|Utils?|Base)")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported thing: a module, or a name taken from one (empty name: the module as a whole)."""

    module: str
    name: str
    line: int

    @property
    def top(self) -> str:
        """The top-level package."""
        return self.module.split(".")[0]

    @property
    def layer(self) -> str:
        """The layer of ours that is imported; empty for the package's own name and version."""
        parts = [*self.module.split("."), self.name]
        return layer_of("/".join(parts[1:])) if parts[1] in LAYERS or len(parts) > 2 else ""


def layer_of(path: str) -> str:
    """The layer of a module, given as ``hotplug/event.py`` or ``hotplug/event/Name``."""
    folder, _, rest = path.partition("/")
    if folder == "hotplug" and rest.split("/", maxsplit=1)[0].removesuffix(".py") in HOTPLUG_DECIDES:
        return "hotplug decides"
    return folder.removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[Import]:
    """Everything that a module imports, at its top or inside functions, for types only too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)


def breaches(sources: Mapping[str, str]) -> list[str]:
    """What breaks the law, one line each.

    Args:
        sources: text by path below the package, for example ``plan/diff.py``.
    """
    return [breach for path, text in sorted(sources.items()) for breach in _breaches_of(path, ast.parse(text))]


def _breaches_of(path: str, tree: ast.Module) -> Iterator[str]:
    layer = layer_of(path)
    if path == "__init__.py":
        yield from (f"{path}: imports {item.module}" for item in imports(tree) if item.module != "__future__")
        return
    if layer not in LAYERS:
        yield f"{path}: {layer} is no layer of the law"
        return
    pure = layer in PURE_LAYERS or bool(_CLAIMS_PURITY.search(ast.get_docstring(tree) or ""))
    for item in imports(tree):
        yield from _breaches_of_import(path, layer, item, pure=pure)
    if pure:
        yield from _impure(path, tree)
    if layer not in WRITERS and not pure:
        yield from _writes(path, tree)
    yield from _empty_names(path, tree)


def _breaches_of_import(path: str, layer: str, item: Import, *, pure: bool) -> Iterator[str]:
    where = f"{path}:{item.line}"
    if item.module.startswith("."):
        yield f"{where}: relative import"
    elif item.top == "xsagent":
        if item.layer and item.layer != layer and item.layer not in LAYERS[layer]:
            yield f"{where}: {layer} imports {item.layer}"
    elif item.top in HEAVY:
        if not _matches(path, HEAVY[item.top]):
            yield f"{where}: {item.top} outside its adapter"
    elif pure and not _is_pure(item):
        yield f"{where}: pure code imports {item.module}{f'.{item.name}' if item.name else ''}"


def _is_pure(item: Import) -> bool:
    if item.module in PURE_NAMES:
        return item.name in PURE_NAMES[item.module]
    return item.top in PURE_STDLIB


def _impure(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{path}:{node.lineno}: pure code calls {node.func.id}()"


def _writes(path: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (what := _written(node)):
            yield f"{path}:{node.lineno}: {what} where only reading is allowed"
        if isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS:
            yield f"{path}:{node.lineno}: {node.attr} where only reading is allowed"
    for item in imports(tree):
        if item.top in {"subprocess", "shutil", "tempfile"}:
            yield f"{path}:{item.line}: {item.top} where only reading is allowed"
        elif item.layer in STARTS_PROGRAMS and layer_of(path) == "observed" and not _matches(path, ASKING_PROGRAMS):
            yield f"{path}:{item.line}: a child program where only reading is allowed"


def _written(call: ast.Call) -> str:
    """The writing call's name; empty for a call that writes nothing."""
    function = call.func
    if isinstance(function, ast.Attribute):
        on_os = isinstance(function.value, ast.Name) and function.value.id == "os"
        if function.attr in (WRITING_OS if on_os else WRITING_METHODS):
            return function.attr
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    mode_at = 0 if isinstance(function, ast.Attribute) else 1
    modes = call.args[mode_at : mode_at + 1] + [item.value for item in call.keywords if item.arg == "mode"]
    written = any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in modes)
    return name if name == "open" and written else ""


def _empty_names(path: str, tree: ast.Module) -> Iterator[str]:
    if NAMES_OF_NOTHING.fullmatch(path.rsplit("/", 1)[-1]):
        yield f"{path}: a file name that says nothing"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and CLASSES_OF_NOTHING.fullmatch(node.name):
            yield f"{path}:{node.lineno}: class {node.name} has a name that says nothing"


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(Path(path).match(pattern) for pattern in patterns)


def test_the_product_keeps_the_law() -> None:
    """Pure code touches nothing, arrows never go back, heavy libraries stay in their adapters, only apply writes."""
    package = ROOT / "xsagent"
    sources = {str(path.relative_to(package)): path.read_text("utf-8") for path in package.rglob("*.py")}

    assert len(sources) > 20
    assert breaches(sources) == []


@pytest.mark.parametrize(
    ("path", "text", "breach"),
    [
        ("model/a.py", "from xsagent.topology.values import Port", "model/a.py:1: model imports topology"),
        ("topology/a.py", "import xsagent.model.records", "topology/a.py:1: topology imports model"),
        ("plan/a.py", "from xsagent.apply.executor import execute", "plan/a.py:1: plan imports apply"),
        ("plan/a.py", "from xsagent import apply", "plan/a.py:1: plan imports apply"),
        ("plan/a.py", "from xsagent.model.records import Pif", "plan/a.py:1: plan imports model"),
        ("sources/a.py", "from xsagent.plan.steps import Plan", "sources/a.py:1: sources imports plan"),
        ("observed/a.py", "def f():\n    import xsagent.plan.steps", "observed/a.py:2: observed imports plan"),
        ("observed/a.py", "from xsagent.apply import files", "observed/a.py:1: observed imports apply"),
        ("apply/a.py", "from xsagent.desired.build import build_desired", "apply/a.py:1: apply imports desired"),
        ("apply/a.py", "from xsagent.sandbox.dom0 import Sandbox", "apply/a.py:1: apply imports sandbox"),
        ("reconfigure.py", "from xsagent.cli.main import main", "reconfigure.py:1: reconfigure imports cli"),
        ("plan/a.py", "if TYPE_CHECKING:\n    from xsagent.cli import x", "plan/a.py:2: plan imports cli"),
        ("plan/a.py", "from .steps import Plan", "plan/a.py:1: relative import"),
        ("__init__.py", "from xsagent.plan import diff", "__init__.py: imports xsagent.plan"),
        ("attic/a.py", "", "attic/a.py: attic is no layer of the law"),
        ("desired/a.py", "import socket", "desired/a.py:1: pure code imports socket"),
        ("desired/a.py", "import os", "desired/a.py:1: pure code imports os"),
        ("desired/a.py", "from os import environ", "desired/a.py:1: pure code imports os.environ"),
        ("desired/a.py", "from pathlib import Path", "desired/a.py:1: pure code imports pathlib.Path"),
        ("desired/a.py", "import pathlib", "desired/a.py:1: pure code imports pathlib"),
        ("desired/a.py", "from uuid import uuid4", "desired/a.py:1: pure code imports uuid.uuid4"),
        ("plan/a.py", "def f():\n    import time", "plan/a.py:2: pure code imports time"),
        ("plan/a.py", "import subprocess", "plan/a.py:1: pure code imports subprocess"),
        ("topology/a.py", "import random", "topology/a.py:1: pure code imports random"),
        ("hotplug/decide.py", "import datetime", "hotplug/decide.py:1: pure code imports datetime"),
        ("hotplug/event.py", "import xsagent.hotplug.handle", "hotplug/event.py:1: hotplug decides imports hotplug"),
        ("apply/a.py", "from xsagent.hotplug.handle import f", "apply/a.py:1: apply imports hotplug"),
        ("apply/a.py", '"""Frames. Pure."""\nimport os', "apply/a.py:2: pure code imports os"),
        ("model/a.py", "x = open('f')", "model/a.py:1: pure code calls open()"),
        ("plan/a.py", "print(1)", "plan/a.py:1: pure code calls print()"),
        ("plan/a.py", "import structlog", "plan/a.py:1: structlog outside its adapter"),
        ("observed/a.py", "from pyroute2 import IPRoute", "observed/a.py:1: pyroute2 outside its adapter"),
        ("sources/a.py", "import XenAPI.plugin", "sources/a.py:1: XenAPI outside its adapter"),
        ("cli/a.py", "import ovs.db.idl", "cli/a.py:1: ovs outside its adapter"),
        ("reconcile/a.py", "from pyudev import Monitor", "reconcile/a.py:1: pyudev outside its adapter"),
        ("sources/a.py", "p.write_text('x')", "sources/a.py:1: write_text where only reading is allowed"),
        ("sources/a.py", "p.open('w')", "sources/a.py:1: open where only reading is allowed"),
        ("sources/a.py", "open('f', mode='a+b')", "sources/a.py:1: open where only reading is allowed"),
        ("observed/a.py", "os.replace(a, b)", "observed/a.py:1: replace where only reading is allowed"),
        ("sources/a.py", "os.open(p, os.O_CREAT)", "sources/a.py:1: O_CREAT where only reading is allowed"),
        ("observed/a.py", "import subprocess", "observed/a.py:1: subprocess where only reading is allowed"),
        ("observed/a.py", "import xsagent.child", "observed/a.py:1: a child program where only reading is allowed"),
        ("observed/a.py", "import xsagent.ofctl", "observed/a.py:1: a child program where only reading is allowed"),
        ("hotplug/handle.py", "import shutil", "hotplug/handle.py:1: shutil where only reading is allowed"),
        ("reconfigure.py", "p.unlink()", "reconfigure.py:1: unlink where only reading is allowed"),
        ("apply/utils.py", "", "apply/utils.py: a file name that says nothing"),
        ("apply/a.py", "class LinkManager: ...", "apply/a.py:1: class LinkManager has a name that says nothing"),
    ],
)
def test_a_breach_is_found(path: str, text: str, breach: str) -> None:
    """Each clause of the law is shown to fail on a module that breaks it."""
    assert breaches({path: text}) == [breach]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("model/a.py", "from xsagent.errors import InputError\nfrom xsagent.model.records import Pif"),
        ("desired/a.py", "from pathlib import PurePosixPath\nimport ipaddress, re"),
        ("plan/a.py", "from xsagent.topology.values import Port\n'a'.replace('a', 'b')"),
        ("apply/a.py", "from xsagent.plan.steps import Plan\nimport os, subprocess\nos.replace(a, b)"),
        ("apply/flows.py", "from xsagent.hotplug.locking import COOKIE"),
        ("observed/flows.py", "from xsagent.ofctl import run_ofctl"),
        ("observed/firewall.py", "from xsagent.child import run_child"),
        (
            "hotplug/handle.py",
            "from xsagent.hotplug.decide import decide\nfrom xsagent.hotplug import event\nimport os",
        ),
        ("apply/netlink.py", "from pyroute2 import IPRoute"),
        ("sources/a.py", "with p.open('rb') as f: pass\nopen('wax')\n'a'.replace('b', 'c')"),
        ("cli/a.py", "from xsagent import __version__, log\nimport sys"),
        ("reconcile/manager.py", "class ManagerTarget: ..."),
    ],
)
def test_what_is_allowed_is_no_breach(path: str, text: str) -> None:
    """The checker does not cry wolf, or it would be switched off."""
    assert breaches({path: text}) == []
