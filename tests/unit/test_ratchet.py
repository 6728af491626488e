"""Exact counts of disliked constructs, and what must never be there at all.

A count that is lower than written here is a failure too: whoever removes an exemption lowers the number in the same
change, so that it cannot come back unnoticed.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("xsagent", "tests")

EXEMPTIONS = {
    "xsagent": {"noqa": 112, "type: ignore": 2},
    "tests": {"noqa": 25, "type: ignore": 13},
}
"""Exact number of each kind, by folder."""

BROAD_EXCEPTS = {
    "xsagent/cli/edge.py": 1,
    "xsagent/cli/xenapi_plugin.py": 1,
    "xsagent/daemon/hotplug.py": 1,
    "xsagent/daemon/nursery.py": 1,
    "xsagent/daemon/readiness.py": 1,
    "xsagent/daemon/services.py": 1,
    "xsagent/daemon/workers.py": 3,
    "xsagent/hotplug/chains.py": 1,
    "xsagent/reconcile/xapi_stream.py": 1,
}
"""Exact number of ``except Exception`` by file: process edges, and each long-lived loop's one edge."""

LONGEST_FUNCTION = 60
MOST_POSITIONAL = 5
LONGEST_FILE = 400

_OTHER_SECTIONS = {"Arguments:", "Parameters:", "Return:", "Raise:", "Yield:"}
"""Sections of a docstring are named one way: Args, Returns, Raises, Yields, Attributes."""

_EXEMPTION = re.compile(r"#\s*(noqa|type:\s*ignore)\b")
_REASON = {
    "noqa": re.compile(r"#\s*noqa:\s*[A-Z]+[0-9]+(\s*,\s*[A-Z]+[0-9]+)*\s*[-#:,]?\s*\w.{4,}"),
    "type: ignore": re.compile(r"#\s*type:\s*ignore\[[a-z, -]+\]\s*[-#:,]?\s*\w.{4,}"),
}


def _files() -> dict[str, str]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}


def exemptions(text: str) -> list[tuple[str, str]]:
    """Exempting comments as (kind, comment); the same words in a string are none."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            kinds = ["noqa" if kind == "noqa" else "type: ignore" for kind in _EXEMPTION.findall(token.string)]
            found += [(kind, token.string) for kind in kinds]
    return found


def has_reason(kind: str, comment: str) -> bool:
    """Whether an exempting comment names its rule and says why, in the same line."""
    return bool(_REASON[kind].search(comment))


def broad_excepts(text: str) -> int:
    """Number of handlers that swallow Exception or BaseException; one that cleans up and raises again is none."""
    handlers = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ExceptHandler)]
    return sum(_is_broad(handler) and not _raises_again(handler) for handler in handlers)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def never_allowed(text: str) -> Iterator[str]:
    """What no file of ours may hold, with its line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: bare except"
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {what}" for what in _shell(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.lineno}: function {node.name} of {lines} lines"
            if (count := _positional(node)) > MOST_POSITIONAL:
                yield f"{node.lineno}: function {node.name} with {count} arguments by position"
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() in _OTHER_SECTIONS:
            yield f"{number}: docstring section {line.strip()}"
    if (lines := len(text.splitlines())) > LONGEST_FILE:
        yield f"1: file of {lines} lines"


def _positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Arguments that a caller may give without their names."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    return sum(argument.arg not in {"self", "cls"} for argument in arguments)


def _shell(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    if name in {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}:
        yield name
    for keyword in call.keywords:
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield "shell=True"


def test_no_file_holds_what_is_never_allowed() -> None:
    """No bare except, no shell, no function over 60 lines or with six nameless arguments, no file over 400."""
    found = [f"{path}:{what}" for path, text in _files().items() for what in never_allowed(text)]

    assert found == []


def test_the_number_of_exemptions_is_exactly_what_is_written_here() -> None:
    """An exemption more is argued here, in EXEMPTIONS; one less lowers the number."""
    counts = {folder: Counter(dict.fromkeys(EXEMPTIONS[folder], 0)) for folder in FOLDERS}
    for path, text in _files().items():
        counts[path.split("/", maxsplit=1)[0]].update(kind for kind, _ in exemptions(text))

    assert {folder: dict(count) for folder, count in counts.items()} == EXEMPTIONS


def test_each_exemption_says_why() -> None:
    """`# noqa: PLC0415 - costs 45 ms` and not `# noqa`: the next reader must be able to judge it."""
    bare = [
        f"{path}: {comment}"
        for path, text in _files().items()
        for kind, comment in exemptions(text)
        if not has_reason(kind, comment)
    ]

    assert bare == []


def test_broad_excepts_stand_at_process_edges_alone() -> None:
    """An edge turns whatever happened into an exit code, an answer or a status; nothing else may swallow it."""
    counts = {path: count for path, text in _files().items() if (count := broad_excepts(text))}

    assert counts == BROAD_EXCEPTS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("try:\n    f()\nexcept:\n    pass", ["3: bare except"]),
        ("import os\nos.system('x')", ["2: os.system"]),
        ("subprocess.run('x', shell=True)", ["1: shell=True"]),
        ("subprocess.run('x', shell=flag)", ["1: shell=True"]),
        ("def f():\n" + "    x = 1\n" * 60, ["1: function f of 61 lines"]),
        ("x = 1\n" * 401, ["1: file of 401 lines"]),
        ("def f(self, a, b, c, d, e, g): ...", ["1: function f with 6 arguments by position"]),
        ("def f(self, a, b, c, d, e, *, g): ...", []),
        ('def f(a):\n    """F.\n\n    Arguments:\n        a: x.\n    """', ["4: docstring section Arguments:"]),
        ("def f():\n" + "    x = 1\n" * 59, []),
        ("try:\n    f()\nexcept OSError:\n    pass\nsubprocess.run(['x'], shell=False)", []),
    ],
)
def test_the_checker_finds_what_is_never_allowed(text: str, found: list[str]) -> None:
    """The checker itself is shown to fail."""
    assert list(never_allowed(text)) == found


def test_the_checker_counts_comments_and_not_strings() -> None:
    """An exemption in a string exempts nothing."""
    text = "a = '# noqa'\nb = 1  # noqa: E501 - long address\nc = 2  # type: ignore[misc] # noqa: X1\n"

    assert [kind for kind, _ in exemptions(text)] == ["noqa", "type: ignore", "noqa"]


@pytest.mark.parametrize(
    ("kind", "comment", "good"),
    [
        ("noqa", "# noqa", False),
        ("noqa", "# noqa: PLC0415", False),
        ("noqa", "# noqa: ANN401, PLC0415 - any record of ours", True),
        ("noqa", "# noqa: SLF001 argparse names it no better", True),
        ("type: ignore", "# type: ignore", False),
        ("type: ignore", "# type: ignore[arg-type]", False),
        ("type: ignore", "# type: ignore[arg-type]  # JSON by construction", True),
        ("type: ignore", "# type: ignore[no-untyped-def]  # noqa: ANN201 - replaced below", True),
    ],
)
def test_a_reason_is_more_than_a_code(kind: str, comment: str, *, good: bool) -> None:
    """Rule and reason stand in the line itself."""
    assert has_reason(kind, comment) is good


@pytest.mark.parametrize(
    ("handler", "count"),
    [
        ("Exception:\n    pass", 1),
        ("(OSError, BaseException):\n    pass", 1),
        ("Exception:\n    raise ValueError", 1),
        ("BaseException:\n    f()\n    raise", 0),
        ("OSError:\n    pass", 0),
    ],
)
def test_the_checker_finds_broad_excepts(handler: str, count: int) -> None:
    """In tuples too; not those that clean up and raise the same again."""
    assert broad_excepts(f"try:\n    f()\nexcept {handler}") == count
