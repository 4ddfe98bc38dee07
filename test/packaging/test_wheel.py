"""The wheel: built from the sources alone, installed into an empty environment, and a core in it.

What the package needs from others comes from the environment of the tests, which the new one sees
behind its own packages; nothing of the checkout can be seen from there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from test.docs.documents import ROOT, Reader

pytestmark = pytest.mark.end_to_end

BUILD_DEADLINE_S = 120.0

NOT_SOURCES = (".*", "build", "dist", "test", "bench", "*.egg-info", "__pycache__", "dropin.cache")
EXPECTED = (
    "aliecs/py.typed",
    "aliecs/service/parts.py",
    "aliecs/protocol/aliecs_v1.proto",
    "aliecs/protocol/aliecs_v1_pb2.py",
    "aliecs/protocol/aliecs_v1_pb2.pyi",
    "aliecs/protocol/aliecs_v1_configuration.proto",
    "aliecs/protocol/protos/apricot.proto",
    "aliecs/protocol/protos/o2control.proto",
    "aliecs/protocol/protos/o2control_pb2.pyi",
    "twisted/plugins/aliecs_plugins.py",
)

TWISTD = """#!{python}
from twisted.scripts.twistd import run
run()
"""


@pytest.fixture(scope="module", name="wheel")
def build_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    sources = folder / "sources"
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", str(sources), cwd=folder)
    (wheel,) = (sources / "dist").glob("*.whl")
    shutil.rmtree(sources / "aliecs")
    return wheel


@pytest.fixture(scope="module", name="programs")
def install_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; gives the folder of its programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    run(sys.executable, "-m", "pip", "--python", str(python), *install, cwd=folder)
    own = run(
        str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # A plain line of a .pth file: what the other folder's own .pth files say is not looked at.
    (Path(own.strip()) / "others.pth").write_text("\n".join(sorted(others)) + "\n")
    twistd = folder / "bin" / "twistd"
    twistd.write_text(TWISTD.format(python=python))
    twistd.chmod(0o755)
    return folder / "bin"


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    assert not [path for path in EXPECTED if path not in names]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "aliecs").rglob("*.py")}
    assert not modules - names
    for folder, place in (("templates", "workflows"), ("tasks", "tasks")):
        for path in (ROOT / folder).glob("*.yaml"):
            assert [n for n in names if n.endswith(f"/share/aliecs/{place}/{path.name}")], path
    assert [name for name in names if name.endswith("/LICENSE")]
    assert not [name for name in names if name.startswith(("test/", "bench/"))]
    assert re.search(r"^License(-Expression)?: GPL-3.0-or-later$", metadata, re.M)


def test_its_programs(programs: Path, tmp_path: Path) -> None:
    for name in ("coconut", "peanut", "aliecs-executor"):
        assert "sage" in run(str(programs / name), "--help", cwd=tmp_path)
    told = run(str(programs / "twistd"), "--reactor=asyncio", "aliecs", "--help", cwd=tmp_path)
    assert "--controlPort=" in told


def test_nothing_comes_from_the_checkout(programs: Path, tmp_path: Path) -> None:
    code = (
        "import aliecs, sys; from aliecs.repository.builtin import find_source;"
        "print(aliecs.__file__); print(find_source().workflows); print(*sys.path, sep='\\n')"
    )
    package, templates, *path = run(str(programs / "python"), "-c", code, cwd=tmp_path).split("\n")
    home = str(programs.parent)
    assert package.startswith(home)
    assert templates.startswith(home)
    assert str(ROOT) not in path


def test_a_core_works_from_it(programs: Path, tmp_path: Path) -> None:
    with Reader(tmp_path / "home", programs) as reader:
        (reader.home / "settings.yaml").write_text(
            "coreWorkingDir: core\nhosts: [flp001]\nrecoveryTimeout: 10s\n"
        )
        reader.start_core(
            "twistd --nodaemon --pidfile= --reactor=asyncio aliecs --config settings.yaml"
        )
        assert "demo" in reader.type("coconut template list")
        assert "CONFIGURED" in reader.type("coconut environment create -w minimal")
        assert "RUNNING" in reader.type("coconut environment control ID -e start")
        assert "teardown complete" in reader.type("coconut environment destroy ID -a")
        reader.type("coconut shutdown")
