"""Putting our own files below DESTDIR: from the tree and from wheels, without a network."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from xsagent.errors import FileError, InputError, NotFoundError, XsagentError
from xsagent.installation.stage import Staging, find_system_python, stage

ROOT = Path(__file__).parents[3]
PYTHON = "/usr/bin/python3"


def wheel(folder: Path, name: str = "little-1.0-py3-none-any.whl") -> Path:
    """A folder with one wheel: a package, and a script that belongs into nobody's PATH."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("little/__init__.py", "ANSWER = 42\n")
        archive.writestr("little-1.0.data/scripts/little", "#!python\n")
    return folder


def staging(tmp_path: Path, destdir: str = "dest") -> Staging:
    """This very tree into a folder."""
    return Staging(
        tree=ROOT, destdir=tmp_path / destdir, wheels=wheel(tmp_path / "wheels"), python=find_system_python(PYTHON)
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation in a directory with blanks and quotes, made under a strict umask."""
    before = os.umask(0o077)
    try:
        run = staging(tmp_path_factory.mktemp("installed"), "dest dir 'x'")
        stage(run)
    finally:
        os.umask(before)
    return run.destdir


def small(tmp_path: Path) -> Staging:
    """A tree with little in it, which is staged in no time."""
    tree = tmp_path / "tree"
    (tree / "xsagent").mkdir(parents=True)
    (tree / "xsagent/__init__.py").write_text("")
    (tree / "LICENSE").write_text("")
    (tree / "pyproject.toml").write_text('[project]\nscripts = { xsagent = "xsagent.cli.main:main" }\n')
    return Staging(tree=tree, destdir=tmp_path / "dest", wheels=wheel(tmp_path / "wheels"), python=PYTHON)


def test_everything_of_ours_lies_apart_from_dom0s_python(installed: Path) -> None:
    """Package and dependencies share one private folder; no site-packages is touched."""
    library = installed / "usr/lib/xsagent"
    assert {"xsagent", "little", "plugins", "udev", "bin"} <= {path.name for path in library.iterdir()}
    assert not list(installed.rglob("site-packages"))
    assert not list(installed.rglob("*.data"))
    assert str((installed / "usr/bin/xsagent").readlink()) == "../lib/xsagent/bin/xsagent"


def test_installed_commands_run_from_a_directory_with_blanks(installed: Path) -> None:
    """DESTDIR may have any name, and what is in it works where it lies."""
    done = subprocess.run(
        [installed / "usr/sbin/xsagent-setup", "--version"], check=True, capture_output=True, text=True, env={}
    )
    assert done.stdout.startswith("xsagent-setup 0.")


def test_every_python_script_names_the_systems_python_with_its_version(installed: Path) -> None:
    """No shebang depends on what python3 will mean tomorrow, nor on the machine that built it."""
    scripts = [path for path in installed.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_IXUSR]
    first_lines = {path.name: path.read_text().partition("\n")[0] for path in scripts if not path.is_symlink()}

    assert {"xsagent", "xsagent-setup", "interface-reconfigure", "hotplug-hook"} <= set(first_lines)
    python = [line.removeprefix("#!").split()[0] for line in first_lines.values() if "python" in line]
    assert len(python) >= 5
    assert set(python) == {find_system_python(PYTHON)}


def test_nobody_but_root_may_write_whatever_the_umask(installed: Path) -> None:
    """All may read and run: XAPI's and xenopsd's users are not always root."""
    library = installed / "usr/lib/xsagent"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in library.rglob("*") if not path.is_symlink()}
    assert modes == {0o755, 0o644}


def test_installing_again_replaces_the_library_as_a_whole(tmp_path: Path) -> None:
    """A file of an older version that is no more is gone; an admin's settings stay."""
    run = small(tmp_path)
    stage(run)
    (run.destdir / "usr/lib/xsagent/xsagent/old.py").write_text("")
    settings = run.destdir / "etc/xsagent/xsagent.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('log_level = "debug"\n')

    stage(run)

    assert not (run.destdir / "usr/lib/xsagent/xsagent/old.py").exists()
    assert settings.read_text() == 'log_level = "debug"\n'


def test_a_run_that_was_killed_between_its_two_renames_is_finished(tmp_path: Path) -> None:
    """The library that stood aside is not lost, and no leftovers stay."""
    run = small(tmp_path)
    stage(run)
    library = run.destdir / "usr/lib/xsagent"
    library.rename(library.with_name(".xsagent.old"))

    stage(run)

    assert sorted(path.name for path in library.parent.iterdir()) == ["xsagent"]


def test_a_failure_leaves_the_old_library_whole(tmp_path: Path) -> None:
    """Here: a file stands where a folder must be."""
    run = small(tmp_path)
    stage(run)
    before = sorted(str(path) for path in (run.destdir / "usr/lib/xsagent").rglob("*"))
    (run.destdir / "usr/lib/.xsagent.new").write_text("in the way")

    with pytest.raises(FileError, match="could not be installed"):
        stage(run)

    assert sorted(str(path) for path in (run.destdir / "usr/lib/xsagent").rglob("*")) == before


def test_a_disk_that_takes_no_more_leaves_the_old_library_whole(tmp_path: Path) -> None:
    """Here a limit on the size of files, which the kernel keeps as it keeps a full disk: one sentence, exit 1."""
    run = small(tmp_path)
    stage(run)
    before = {path: path.read_bytes() for path in run.destdir.rglob("*") if path.is_file()}
    (run.tree / "xsagent/large.py").write_text("#" * 100_000)
    words = [sys.executable, "-m", "xsagent.cli.stage", f"--tree={run.tree}", f"--wheels={run.wheels}"]
    limited = [
        "bash",
        "-c",
        'ulimit -f 40; exec "$@"',
        "bash",
        *words,
        f"--destdir={run.destdir}",
        f"--python={PYTHON}",
    ]

    done = subprocess.run(limited, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "could not be installed: File too large" in done.stderr
    assert {path: path.read_bytes() for path in run.destdir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("little-1.0-cp311-cp311-linux_x86_64.whl", InputError, "one kind of machine"),
        ("x.txt", NotFoundError, "wheels"),
    ],
)
def test_wheels_that_will_not_do_are_refused(tmp_path: Path, name: str, error: type[XsagentError], reason: str) -> None:
    """A compiled one would make the package fit one machine; without any there is nothing to run with."""
    run = Staging(tree=ROOT, destdir=tmp_path / "dest", wheels=wheel(tmp_path / "w", name), python=PYTHON)

    with pytest.raises(error, match=reason):
        stage(run)

    assert not run.destdir.exists()


def test_an_interpreter_of_a_virtual_environment_is_refused(tmp_path: Path) -> None:
    """The host does not have it."""
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to(PYTHON)

    with pytest.raises(InputError, match="virtual environment"):
        find_system_python(str(tmp_path / "bin/python3"))


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    """3.11 is the oldest that will do."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho False python3.9\n")
    old.chmod(0o755)

    with pytest.raises(InputError, match=r"python3\.9; xsagent needs Python 3\.11"):
        find_system_python(str(old))
