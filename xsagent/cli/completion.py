"""The parsers of our commands -> bash completion. Pure but for importing the parsers; `make install` writes the file.

Made from what parses the words, so it cannot offer what is not there. Comes before `installation/stage`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xsagent.cli import reconfigure_options, setup_host_options, switch_backend_options
from xsagent.cli.main import build_parser

_FILES: Final = frozenset({"FILE", "DIR"})
_BRIDGES: Final = frozenset({"BRIDGE"})
_OPENING: Final = """\
# bash completion of xsagent's commands; made by `make install` from their parsers.

"""
_CLOSING: Final = """\

_xsagent() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} path=${COMP_WORDS[0]##*/} word
    if [[ $current == = ]]; then current=''; elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word != -* && -n $(_xsagent_words "$path $word") ]]; then path="$path $word"; fi
    done
    local values
    values=$(_xsagent_values "$path $before")
    case $values in
        FILES) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        BRIDGES) mapfile -t COMPREPLY < <(compgen -W "$(ovs-vsctl --timeout=2 list-br 2>/dev/null)" -- "$current") ;;
        '') mapfile -t COMPREPLY < <(compgen -W "$(_xsagent_words "$path")" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current") ;;
    esac
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What may follow a command or a verb.

    Attributes:
        path: the command's name and its verbs so far.
        words: options, verbs and fixed words.
        values: option -> words that may follow it, or FILES, or BRIDGES.
    """

    path: str
    words: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)


def render_completion() -> str:
    """The file for /usr/share/bash-completion/completions."""
    found = list(completions())
    words = "".join(f"        {shlex.quote(one.path)}) echo {shlex.quote(' '.join(one.words))} ;;\n" for one in found)
    values = "".join(
        f"        {shlex.quote(f'{one.path} {option}')}) echo {shlex.quote(value)} ;;\n"
        for one in found
        for option, value in one.values.items()
    )
    commands = sorted({one.path.split()[0] for one in found})
    tables = "".join(
        f"{name}() {{\n    case $1 in\n{lines}    esac\n}}\n\n"
        for name, lines in (("_xsagent_words", words), ("_xsagent_values", values))
    )
    return f"{_OPENING}{tables}{_CLOSING}complete -F _xsagent {' '.join(commands)}\n"


def command_names() -> tuple[str, ...]:
    """The commands that have completion."""
    return tuple(sorted({one.path.split()[0] for one in completions()}))


def completions() -> Iterator[Completion]:
    """Every command and verb."""
    yield _of_reconfigure()
    parsers = (
        build_parser(),
        setup_host_options.build_parser(),
        switch_backend_options.build_parser(),
        switch_backend_options.build_get_parser(),
    )
    for parser in parsers:
        yield from _of_parser(parser, parser.prog)


def _of_reconfigure() -> Completion:
    options = reconfigure_options.option_names()
    return Completion(
        path="interface-reconfigure",
        words=(*(f"--{name}" for name in options), "up", "down", "rewrite"),
        values={"--force": "BRIDGES", "--force-interface": "BRIDGES", "--root-prefix": "FILES"},
    )


def _of_parser(parser: argparse.ArgumentParser, path: str) -> Iterator[Completion]:
    words: list[str] = []
    values: dict[str, str] = {}
    below: list[Completion] = []
    for action in vars(parser)["_actions"]:
        long = [word for word in action.option_strings if word.startswith("--")]
        words += long
        words += [] if action.option_strings else _fixed(action.choices) or _spelled(action.metavar)
        values |= {word: value for word in long if (value := _value(action))}
        if isinstance(action.choices, dict):
            for name, verb in action.choices.items():
                below += _of_parser(verb, f"{path} {name}")
    yield Completion(path=path, words=tuple(words), values=values)
    yield from below


def _fixed(choices: object) -> list[str]:
    return [str(choice) for choice in choices] if isinstance(choices, Sequence | dict) else []


def _spelled(metavar: object) -> list[str]:
    """The words of a positional that names them all in its metavar: ``up|down``."""
    return metavar.split("|") if isinstance(metavar, str) and "|" in metavar else []


def _value(action: argparse.Action) -> str:
    """What may follow an option: its choices, a file, a bridge; empty for anything else or nothing."""
    if action.choices is not None:
        return " ".join(_fixed(action.choices))
    if action.metavar in _FILES:
        return "FILES"
    return "BRIDGES" if action.metavar in _BRIDGES else ""
