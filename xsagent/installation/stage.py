"""The source tree and wheels -> the private part of an installation below DESTDIR. Effects; `make install` runs it.

Needs no network and no package but this one. What stood in LIBRARY before is replaced as a whole: a new folder is
filled beside it and takes its place when it is complete, so that a full disk or a kill leaves the old one whole.
Before it: wheels (`make wheels`). After it: `take_over`.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

from xsagent.errors import CommandError, FileError, InputError, NotFoundError
from xsagent.installation.layout import BIN, LIBRARY, PUBLIC_COMMANDS, render_command, with_interpreter

_PACKAGES: Final = ("xsagent", "plugins", "udev", "initscripts")
"""Folders of the tree that LIBRARY has too."""
_NOT_INSTALLED: Final = shutil.ignore_patterns("__pycache__", "*.pyc", "share")
_SHARED: Final[Mapping[str, tuple[str, str]]] = {
    "*.5": ("man", "/usr/share/man/man5"),
    "*.8": ("man", "/usr/share/man/man8"),
    "xsagent.conf": ("", "/etc/xsagent"),
}
"""Files of xsagent/share: pattern -> (folder there, folder on the host)."""
_COMPLETIONS: Final = "/usr/share/bash-completion/completions"
_DOCUMENTS: Final = "/usr/share/doc/xsagent"
_PROBE: Final = "import sys; print(sys.version_info >= (3, 11), 'python%d.%d' % sys.version_info[:2])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """One staging run.

    Attributes:
        tree: the source tree.
        destdir: what is put before every path; ``/`` for this very host.
        wheels: folder with a wheel of each dependency.
        python: the host's interpreter, absolute; every shebang names it.
        completion: text of bash's completion file; empty: none is written.
        completed: commands that it is for.
    """

    tree: Path
    destdir: Path
    wheels: Path
    python: str
    completion: str = ""
    completed: tuple[str, ...] = ()

    def below(self, path: str) -> Path:
        """The place of a host's path below `destdir`."""
        return self.destdir / path.lstrip("/")


def stage(staging: Staging) -> None:
    """Put everything of our own in place; idempotent.

    Raises:
        InputError, NotFoundError: a wheel or the tree is not what it must be; nothing was changed.
        FileError: something could not be written; LIBRARY is as it was.
    """
    wheels = _checked_wheels(staging.wheels)
    scripts = read_scripts(staging.tree)
    library = staging.below(LIBRARY)
    fresh, old = library.with_name(".xsagent.new"), library.with_name(".xsagent.old")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        _finish_earlier(library, old)
        shutil.rmtree(fresh, ignore_errors=True)
        _fill(fresh, staging, wheels, scripts)
        _swap(fresh, library, old)
        _put_shared(staging)
        _link_commands(staging, scripts)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        what, why = _what_and_why(error)
        raise FileError(
            f"{what or library} could not be installed: {why}; {library} is as it was, or whole and new"
        ) from error


def _what_and_why(error: OSError) -> tuple[str, str]:
    """The file, if it is known, and the reason; copytree gathers all its failures, of which the first must do."""
    if isinstance(error, shutil.Error) and error.args and error.args[0]:
        _source, target, why = error.args[0][0]
        return str(target), str(why).partition("] ")[2].partition(": ")[0] or str(why)
    return str(error.filename or ""), error.strerror or str(error)


def find_system_python(name: str) -> str:
    """The absolute path of an interpreter with its version, for example ``/usr/bin/python3.11``.

    Raises:
        InputError: it is older than 3.11 or of a virtual environment.
        NotFoundError: there is none.
        CommandError: it does not run.
    """
    found = shutil.which(name)
    if found is None:
        raise NotFoundError(f"there is no Python interpreter {name}; nothing was installed")
    path = Path(found).absolute()  # not resolve(), which would follow the link python3 -> python3.11
    if (path.parent.parent / "pyvenv.cfg").exists():
        raise InputError(f"{path} is of a virtual environment, which the host does not have; nothing was installed")
    done = subprocess.run([path, "-I", "-c", _PROBE], check=False, capture_output=True, text=True, timeout=30)
    new_enough, _, versioned = done.stdout.strip().partition(" ")
    if done.returncode or not versioned:
        raise CommandError(f"{path} does not run: {done.stderr.strip()[-200:]}; nothing was installed")
    if new_enough != "True":
        raise InputError(f"{path} is {versioned}; xsagent needs Python 3.11 or later; nothing was installed")
    beside = path.with_name(versioned)
    return str(beside if beside.exists() else path)


def read_scripts(tree: Path) -> dict[str, str]:
    """The commands of pyproject.toml: name -> ``package.module:function``.

    Raises:
        NotFoundError: `tree` is no source tree of ours.
    """
    try:
        table = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))
        return dict(table["project"]["scripts"])
    except (OSError, KeyError, ValueError) as error:
        raise NotFoundError(f"{tree} is not a source tree of xsagent: {error}; nothing was installed") from error


def _checked_wheels(folder: Path) -> list[Path]:
    """All wheels; each fits any machine, since what we install does."""
    wheels = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    if not wheels:
        raise NotFoundError(f"no wheels in {folder} (make wheels fetches them); nothing was installed")
    for wheel in wheels:
        if not wheel.name.endswith("-none-any.whl"):
            raise InputError(f"{wheel.name} is built for one kind of machine; nothing was installed")
    return wheels


def _finish_earlier(library: Path, old: Path) -> None:
    """A run that was killed between its two renames left no LIBRARY but the old one beside its place."""
    if old.exists() and not library.exists():
        old.rename(library)
    shutil.rmtree(old, ignore_errors=True)


def _fill(fresh: Path, staging: Staging, wheels: list[Path], scripts: Mapping[str, str]) -> None:
    fresh.mkdir()
    for name in _PACKAGES:
        if (staging.tree / name).is_dir():
            shutil.copytree(staging.tree / name, fresh / name, symlinks=True, ignore=_NOT_INSTALLED)
    for wheel in wheels:
        _unpack(wheel, fresh)
    commands = fresh / Path(BIN).relative_to(LIBRARY)
    commands.mkdir()
    for name, entry in scripts.items():
        (commands / name).write_text(render_command(name, entry), "utf-8")
        (commands / name).chmod(0o755)
    for script in _scripts_in(fresh):
        text = script.read_text("utf-8")
        if (changed := with_interpreter(text, staging.python)) != text:
            script.write_text(changed, "utf-8")
    _compile(fresh, staging)
    for path in (fresh, *fresh.rglob("*")):  # whatever the umask, everyone may read and nobody but root write
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _unpack(wheel: Path, folder: Path) -> None:
    """A wheel's packages; its scripts and data (``*.data/``) are for people's PATH and stay out."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".data/" not in name]
        archive.extractall(folder, names)


def _scripts_in(folder: Path) -> Iterator[Path]:
    for name in ("bin", "plugins", "udev", "initscripts"):
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o100:
                yield path


def _compile(folder: Path, staging: Staging) -> None:
    """Byte code for the host's interpreter, where it is ours too; it names the files as the host will see them."""
    if Path(staging.python).resolve() != Path("/proc/self/exe").resolve():
        return
    compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(folder),
        prependdir=LIBRARY,
        invalidation_mode=PycInvalidationMode.TIMESTAMP,
    )


def _swap(fresh: Path, library: Path, old: Path) -> None:
    os.sync()
    if library.exists():
        library.rename(old)
    fresh.rename(library)
    shutil.rmtree(old, ignore_errors=True)


def _put_shared(staging: Staging) -> None:
    share = staging.tree / "xsagent/share"
    for pattern, (folder, target) in _SHARED.items():
        for source in sorted((share / folder).glob(pattern)):
            _copy(source, staging.below(target) / source.name, keep=target.startswith("/etc"))
    _put_completion(staging)
    for source in sorted(staging.tree.glob("*.md")):
        _copy(source, staging.below(_DOCUMENTS) / source.name)
    _copy(staging.tree / "LICENSE", staging.below("/usr/share/licenses/xsagent/LICENSE"))
    for source in sorted((staging.tree / "initscripts").glob("*.sysconfig")):
        _copy(source, staging.below(_DOCUMENTS) / source.name)


def _put_completion(staging: Staging) -> None:
    """One file; bash looks for one of the command's name, so the others are links to it."""
    if not staging.completion:
        return
    folder = staging.below(_COMPLETIONS)
    folder.mkdir(parents=True, exist_ok=True)
    first, *others = staging.completed
    scratch = folder / f".{first}.new"
    scratch.write_text(staging.completion, "utf-8")
    scratch.chmod(0o644)
    scratch.replace(folder / first)
    for name in others:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(first)


def _copy(source: Path, target: Path, *, keep: bool = False) -> None:
    """Put a file in place by rename; with `keep` one that is there (an admin's) stays."""
    if keep and target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(source, scratch)
        scratch.chmod(0o644)
        shutil.copystat(source, scratch)
        scratch.chmod(0o644)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _link_commands(staging: Staging, scripts: Mapping[str, str]) -> None:
    for path in PUBLIC_COMMANDS:
        place = staging.below(path)
        target = f"{BIN}/{place.name}"
        if place.name in scripts:
            place.parent.mkdir(parents=True, exist_ok=True)
            relative = os.path.relpath(target, Path(path).parent)
            scratch = place.with_name(f".{place.name}.new")
            scratch.unlink(missing_ok=True)
            scratch.symlink_to(relative)
            scratch.replace(place)
