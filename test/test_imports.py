"""Who may know whom: the rooms of the house and the lines between them.

Every import counts, those inside functions too. A room imports only what stands below it; the rooms
of one row do not import each other, the lowest row apart.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import aliecs

PACKAGE = Path(aliecs.__file__).parent

ROWS: list[list[str]] = [
    ["service", "apricot", "cli"],
    ["api", "web"],
    ["environment"],
    ["integration"],
    ["task", "workflow"],
    ["backend", "configuration", "repository", "executor"],
    ["access", "language", "occ"],
    ["event", "journal"],
    [
        *("settings", "interfaces", "errors", "log", "infologger", "daemon", "garbage"),
        *("txgrpc", "tls", "protocol"),
    ],
]
LOWEST = frozenset(ROWS[-1])
ROW_OF = {room: index for index, row in enumerate(ROWS) for room in row}

# Stricter than the rows.
ALLOWED: dict[str, frozenset[str]] = {
    "integration": frozenset({"event"}) | LOWEST,
    "executor": frozenset({"occ"}) | LOWEST,
    "web": frozenset(),
}
FORBIDDEN_OUTSIDE: dict[str, tuple[str, ...]] = {
    "workflow": ("twisted.internet",),
    "language": ("twisted.internet",),
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield name, path


def imports(name: str, path: Path) -> Iterator[tuple[str, int]]:
    """All modules that a module imports, with the line of the import."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(package[: len(package) - node.level + 1] + ([base] if base else []))
            yield base, node.lineno
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def room(module: str) -> str | None:
    parts = module.removesuffix(".__init__").split(".")
    if parts[0] != "aliecs" or len(parts) < 2:
        return None
    return parts[1]


def faults(name: str, path: Path) -> Iterator[str]:
    mine = room(name)
    if mine is None or mine == "__init__":
        return
    if mine not in ROW_OF:
        yield f"{name}: the room {mine!r} is not in the plan of the house"
        return
    for target, line in imports(name, path):
        where = f"{name}:{line} imports {target}"
        for prefix in FORBIDDEN_OUTSIDE.get(mine, ()):
            if target == prefix or target.startswith(prefix + "."):
                yield f"{where}: {mine} is pure"
        if target.split(".")[0] in ("grpc", "grpc_health", "grpc_reflection") and mine != "txgrpc":
            yield f"{where}: only txgrpc speaks to grpc"
        other = room(target)
        if other is None or other == mine or other not in ROW_OF:
            continue
        if other in ("service", "apricot"):
            yield f"{where}: nothing imports the place where the parts are wired"
        elif mine in ALLOWED and other not in ALLOWED[mine]:
            yield f"{where}: {mine} may know only {', '.join(sorted(ALLOWED[mine])) or 'nothing'}"
        elif other in LOWEST:
            continue
        elif ROW_OF[other] <= ROW_OF[mine]:
            yield f"{where}: {other} does not stand below {mine}"


def test_every_import_goes_downwards() -> None:
    found = [fault for name, path in modules() for fault in faults(name, path)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("module", "text", "fault"),
    [
        ("aliecs.workflow.loader", "def f():\n    import aliecs.task", "not stand below"),
        ("aliecs.task.roster", "import aliecs.workflow.role", "not stand below"),
        ("aliecs.language.document", "from twisted.internet import reactor", "pure"),
        ("aliecs.integration.dcs", "from aliecs.backend import local", "may know only"),
        ("aliecs.api.rest", "from aliecs.service import make", "wired"),
        ("aliecs.executor.main", "from ..backend import local", "may know only"),
        ("aliecs.api.rest", "import grpc", "only txgrpc"),
    ],
)
def test_a_wrong_import_is_seen(tmp_path: Path, module: str, text: str, fault: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert any(fault in found for found in faults(module, path))
