"""Servers that tests talk to and that no Python package brings: fetched once into a folder.

    python -m test.tools

Consul comes from Debian's own packages, without root: the machine's package sources, with the suite
that has Consul, in a folder of their own. What cannot be had is told in one line and is not tested;
nothing else depends on it. The folder is `ALIECS_TEST_TOOLS`, or `~/.cache/aliecs-test-tools`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SUITE = "bullseye"
"""The last suite of Debian with Consul in it."""

_SOURCES = Path("/etc/apt")
_TIME_LIMIT_S = 300


def folder() -> Path:
    """Where the tools are."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ALIECS_TEST_TOOLS") or default / "aliecs-test-tools")


def consul() -> Path | None:
    """The Consul program, None where there is none."""
    fetched = folder() / "consul" / "usr" / "bin" / "consul"
    if fetched.is_file():
        return fetched
    installed = shutil.which("consul")
    return Path(installed) if installed else None


def fetch_consul() -> None:
    """Fetch Consul. Raises `OSError` or `subprocess.SubprocessError` where that cannot be."""
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder()) as name:
        work = Path(name)
        environment = {**os.environ, "APT_CONFIG": str(_apt_configuration(work))}
        _run(["apt-get", "update", "--quiet"], work, environment)
        _run(["apt-get", "download", "--quiet", "consul"], work, environment)
        (package,) = work.glob("consul_*.deb")
        _run(["dpkg", "-x", str(package), "consul"], work, environment)
        target = folder() / "consul"
        shutil.rmtree(target, ignore_errors=True)
        (work / "consul").rename(target)


def _run(command: list[str], work: Path, environment: dict[str, str]) -> None:
    subprocess.run(
        command,
        cwd=work,
        env=environment,
        check=True,
        capture_output=True,
        timeout=_TIME_LIMIT_S,
    )


def _apt_configuration(work: Path) -> Path:
    """A configuration under which apt uses and changes nothing but the folder `work`."""
    for inner in ("state/lists/partial", "cache/archives/partial", "sources"):
        (work / inner).mkdir(parents=True)
    stanzas = list(_stanzas())
    if not stanzas:
        raise OSError("no package source of Debian in /etc/apt")
    (work / "sources" / "tools.sources").write_text("\n\n".join(stanzas) + "\n")
    configuration = work / "apt.conf"
    configuration.write_text(
        f'Dir::State "{work}/state";\n'
        f'Dir::Cache "{work}/cache";\n'
        f'Dir::Etc::SourceList "{work}/none";\n'
        f'Dir::Etc::SourceParts "{work}/sources";\n'
        'Dir::State::status "/var/lib/dpkg/status";\n'
        'Acquire::Languages "none";\n'
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
    )
    return configuration


def _stanzas() -> Iterator[str]:
    """The machine's own sources of its own suite, with the suite replaced."""
    own = _own_suite()
    for file in sorted(_SOURCES.rglob("*.sources")):
        for stanza in file.read_text().split("\n\n"):
            fields = dict(
                line.split(":", 1) for line in stanza.splitlines() if ":" in line and line[0] != "#"
            )
            if own in fields.get("Suites", "").split():
                fields["Suites"] = f" {SUITE}"
                fields["Components"] = " main"
                yield "\n".join(f"{name}:{value}" for name, value in fields.items())
    for file in sorted(_SOURCES.rglob("*.list")):
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] == ["deb"] and own in words:
                address = words[words.index(own) - 1]
                yield f"Types: deb\nURIs: {address}\nSuites: {SUITE}\nComponents: main"


def _own_suite() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    return "stable"


def main() -> int:
    """Fetch what is missing; always 0, since what cannot be had is only not tested."""
    if consul() is None:
        sys.stdout.write("Fetching Consul for the tests ...\n")
        try:
            fetch_consul()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            output = getattr(error, "stderr", None)
            last = output.decode(errors="replace").strip().splitlines()[-1:] if output else []
            reason = last[0] if last else str(error)
            sys.stdout.write(f"Consul cannot be had and is not tested with: {reason}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
