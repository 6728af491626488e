"""A dom0 in which packages are installed by rpm: the sandbox's root prefix as a root of its own. Effects.

/usr of the machine lies below an overlay, so that rpm writes to a layer that goes with the sandbox; the packages of the
host itself (a base, a toolstack with its own scripts) are built here, with nothing in them but what a test needs.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_records import HostRecords
from xapi_host import XapiHost

from xsagent.sandbox.xenstored import xenstored_service

PROJECT = Path(__file__).parents[3]
BASE = """\
Name: dom0-base
Version: 1
Release: 1
Summary: What a dom0 has
License: none
BuildArch: noarch
Provides: /bin/sh
Provides: /usr/bin/python3.11
Provides: /usr/bin/python3.12
Provides: /usr/bin/python3.13
Provides: openvswitch
%description
Base.
%files
"""
TOOLSTACK = """\
Name: toolstack
Version: @VERSION@
Release: 1
Summary: The host's own scripts
License: none
BuildArch: noarch
%description
Scripts.
%install
cd %{buildroot}
mkdir -p opt/xensource/libexec etc/xensource/scripts usr/libexec/xenopsd etc/xapi.d/plugins etc/udev/rules.d
for script in opt/xensource/libexec/interface-reconfigure etc/xensource/scripts/vif usr/libexec/xenopsd/vif \\
    usr/libexec/xenopsd/vif-real usr/libexec/xenopsd/setup-vif-rules etc/xapi.d/plugins/openvswitch-cfg-update; do
  printf '#!/bin/sh\\n# toolstack @VERSION@\\n' >$script
  chmod 750 $script
done
cat >etc/udev/rules.d/xen-backend.rules <<'TEXT'
SUBSYSTEM=="xen-backend", KERNEL=="vbd*", RUN+="/usr/libexec/xenopsd/block $env{ACTION}"
SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/usr/libexec/xenopsd/vif $env{ACTION} type_if=vif"
TEXT
%files
%attr(0750,root,root) /opt/xensource/libexec/interface-reconfigure
%attr(0750,root,root) /etc/xensource/scripts/vif
%attr(0750,root,root) /usr/libexec/xenopsd/*
%attr(0750,root,root) /etc/xapi.d/plugins/openvswitch-cfg-update
%attr(0644,root,root) /etc/udev/rules.d/xen-backend.rules
"""
_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/opt/xensource/bin"
_ON_DEBIAN = ["--force-debian"] if Path("/etc/debian_version").exists() else []
"""Debian's rpm otherwise warns that it is not the package manager of this machine."""
WATCHED = ("etc", "opt", "usr/libexec/xenopsd", "usr/lib/xsagent", "usr/bin", "usr/sbin", "var/lib")
_MADE_BY_THE_SANDBOX = "var/lib/xsagent"
_NOT_WATCHED = ("etc/ld.so", "etc/xsagent", "var/lib/rpm", "var/lib/xcp", "var/lib/dhcp", "usr/bin/", "usr/sbin/")
_OURS = ("usr/bin/xsagent", "usr/bin/networkd_db", "usr/sbin/xsagent", "usr/sbin/interface-reconfigure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """Packages by file name without ``.noarch.rpm``, in a folder."""

    folder: Path

    def __getitem__(self, name: str) -> str:
        """The file of a package such as ``xsagent-full-0.1.0-1``; without a version the only one that fits."""
        found = sorted(self.folder.glob(f"{name}.noarch.rpm")) or sorted(self.folder.glob(f"{name}-[0-9]*.noarch.rpm"))
        assert found, f"no package {name} in {sorted(path.name for path in self.folder.iterdir())}"
        return str(found[0])


def build_small(spec: str, folder: Path) -> None:
    """Build one of the host's own packages."""
    file = folder / "small.spec"
    file.write_text(spec)
    defines = ["--define", f"_topdir {folder}/top", "--define", f"_rpmdir {folder}"]
    defines += ["--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"]
    subprocess.run(["rpmbuild", "-bb", "--quiet", *defines, str(file)], check=True, capture_output=True)


class PackageRoot(XapiHost):
    """A host with XAPI whose root prefix is a root that rpm installs into, as a context manager."""

    def __init__(self, records: HostRecords, **fields: Any) -> None:
        super().__init__(records, services=(xenstored_service(),), **fields)
        self.root = self.sandbox.root

    def make_root(self) -> None:
        """Make the root prefix a root: /usr of the machine below an overlay, the links to it, devices."""
        layer = self.sandbox.directory / "layer"
        script = [
            f"mkdir -p {layer}",
            f"cd {self.root}; mkdir -p usr dev tmp opt",
            f"mount -t tmpfs tmpfs {layer}",
            f"mkdir {layer}/upper {layer}/work",
            f"mount -t overlay -o lowerdir=/usr,upperdir={layer}/upper,workdir={layer}/work overlay {self.root}/usr",
            f"mount --rbind /dev {self.root}/dev",
            f"cp -L /etc/passwd /etc/group /etc/ld.so.cache {self.root}/etc/",
        ]
        for link in filter(Path.is_symlink, map(Path, ("/bin", "/sbin", "/lib", "/lib64"))):
            script += [f"ln -s {link.readlink()} {self.root}{link}"]
        self.sandbox.run(["sh", "-ec", "\n".join(script)])

    def rpm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run rpm on this root."""
        # the sandbox's variables (OVS_RUNDIR ...) name paths that are not there in a root
        command = ["env", "-i", _PATH, "rpm", *_ON_DEBIAN, "--root", str(self.root), "--dbpath", "/var/lib/rpm"]
        return self.sandbox.run([*command, *arguments], check=check, timeout=120)

    def inside(self, *words: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this root, as a shell of the host does."""
        environment = [
            "env",
            "-i",
            _PATH,
            *(f"{key}={text}" for key, text in env.items()),
        ]
        return self.sandbox.run(["chroot", str(self.root), *environment, *words], check=check, timeout=120)

    def put(self, path: str, text: str) -> None:
        """Write a file of this root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def installed(self) -> set[str]:
        """Names of the packages that rpm has in this root."""
        return set(self.rpm("-qa", "--queryformat", "%{NAME}\n").stdout.split())

    def tree(self) -> dict[str, str]:
        """Everything that an installation may touch, as find(1) and sha256sum(1) tell it."""
        places = [place for place in WATCHED if (self.root / place).exists() or place.startswith("usr")]
        # seen from inside: the overlay is mounted there alone
        find = ["find", *places, "-printf", "%p|%y|%m|%U:%G|%l|%T@\n"]
        shown = self.sandbox.run(["env", "-C", str(self.root), *find], check=False).stdout
        sums = self.sandbox.run(
            [
                "sh",
                "-c",
                f"cd {self.root}; find etc opt usr/libexec/xenopsd -type f -exec sha256sum {{}} + 2>/dev/null; :",
            ]
        ).stdout
        found = {}
        for line in shown.splitlines():
            name, kind, rest = line.split("|", 2)
            if name != _MADE_BY_THE_SANDBOX and (name.startswith(_OURS) or not name.startswith(_NOT_WATCHED)):
                found[name] = f"{kind}|{rest if kind != 'd' else ''}"
        for line in sums.splitlines():
            digest, name = line.split(maxsplit=1)
            if name in found:
                found[name] += f"|{digest}"
        return found
