"""Servers that tests talk to and that no Python package brings: fetched once into a folder.

    python -m test.tools

Consul comes from Debian's own packages, without root: the machine's package sources, with the suite
that has Consul, in a folder of their own. The Kafka broker is a set of Java archives that Maven
fetches; it runs on the machine's own Java. The gRPC libraries of the reference's graphical
interface come from npm, as `test/grpc_js` names them, for the machine's own Node. What cannot be
had is told in one line and is not tested; nothing else depends on it. The folder is
`ALIECS_TEST_TOOLS`, or `~/.cache/aliecs-test-tools`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SUITE = "bullseye"
"""The last suite of Debian with Consul in it."""

KAFKA = "3.9.1"
"""A broker that runs on Java 11 and later, without ZooKeeper."""

_KAFKA_PROJECT = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-reload4j</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""
GRPC_JS = Path(__file__).parent / "grpc_js"
"""Which libraries of JavaScript, in which versions."""

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

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


def kafka() -> Path | None:
    """The folder with the broker's archives, None where there are none or no Java runs them."""
    fetched = folder() / f"kafka-{KAFKA}"
    return fetched if fetched.is_dir() and shutil.which("java") else None


def fetch_kafka() -> None:
    """Fetch the broker. Raises `OSError` or `subprocess.SubprocessError` where that cannot be."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise OSError(f"there is no program {program}")
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder()) as name:
        work = Path(name)
        (work / "pom.xml").write_text(_KAFKA_PROJECT)
        command = ["mvn", "--quiet", "--batch-mode", _COPY, "-DincludeScope=runtime"]
        _run([*command, f"-DoutputDirectory={work / 'archives'}"], work, dict(os.environ))
        target = folder() / f"kafka-{KAFKA}"
        shutil.rmtree(target, ignore_errors=True)
        (work / "archives").rename(target)


def grpc_js() -> Path | None:
    """The folder with the gRPC client in JavaScript and its libraries, None where there are none or
    no Node runs them."""
    fetched = folder() / f"grpc_js-{_digest(GRPC_JS)}"
    return fetched if fetched.is_dir() and shutil.which("node") else None


def fetch_grpc_js() -> None:
    """Fetch the libraries. Raises `OSError` or `subprocess.SubprocessError` where that cannot
    be."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise OSError(f"there is no program {program}")
    folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder()) as name:
        work = Path(name) / "libraries"
        work.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(GRPC_JS / file, work)
        # Nothing of what is fetched may run anything while it is installed.
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(["npm", "ci", *quiet], work, dict(os.environ))
        target = folder() / f"grpc_js-{_digest(GRPC_JS)}"
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)


def _digest(place: Path) -> str:
    """What libraries are asked for, in a few letters: others are fetched anew."""
    return hashlib.sha256((place / "package-lock.json").read_bytes()).hexdigest()[:12]


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
    _obtain("Consul", consul, fetch_consul)
    _obtain("Kafka", kafka, fetch_kafka)
    _obtain("gRPC for JavaScript", grpc_js, fetch_grpc_js)
    return 0


def _obtain(name: str, find: Callable[[], Path | None], fetch: Callable[[], None]) -> None:
    if find() is not None:
        return
    sys.stdout.write(f"Fetching {name} for the tests ...\n")
    try:
        fetch()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or getattr(error, "stdout", None) or b""
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        reason = last[0] if last else str(error)
        sys.stdout.write(f"{name} cannot be had and is not tested with: {reason}\n")


if __name__ == "__main__":
    raise SystemExit(main())
