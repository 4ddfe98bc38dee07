"""Generates the protobuf modules of this package from its `.proto` files.

Run by hand (`python -m aliecs.protocol.generate`, or `make protocol`) after a change of a `.proto`
file; what it writes is committed, so that neither an installation nor a user needs the compiler. It
takes every `.proto` of this folder and of `protos/`, and writes `<name>_pb2.py` and its types
`<name>_pb2.pyi` beside each. Service stubs are not generated: `aliecs.txgrpc` makes them from the
service descriptors. Needs `grpcio-tools` (the extra `protocol`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PACKAGE = "aliecs.protocol"

# The compiler writes imports as if ROOT were on the path: `from protos import x_pb2 as y`, for
# public imports `from protos.x_pb2 import *`, and `import x_pb2 as y` for files in ROOT itself.
_NESTED_IMPORT = re.compile(r"^from protos import (\w+_pb2)", re.MULTILINE)
_PUBLIC_IMPORT = re.compile(r"^from protos\.(\w+_pb2) import", re.MULTILINE)
_TOP_IMPORT = re.compile(r"^import (\w+_pb2) as", re.MULTILINE)


def proto_files(root: Path = ROOT) -> list[Path]:
    """All `.proto` files below `root`, in a stable order."""
    return sorted([*root.glob("*.proto"), *root.glob("protos/*.proto")])


def relocate_imports(text: str) -> str:
    """Make the imports between generated modules absolute, inside this package."""
    text = _NESTED_IMPORT.sub(rf"from {PACKAGE}.protos import \1", text)
    text = _PUBLIC_IMPORT.sub(rf"from {PACKAGE}.protos.\1 import", text)
    return _TOP_IMPORT.sub(rf"from {PACKAGE} import \1 as", text)


def compile_protos(root: Path, outputs: Sequence[str]) -> None:
    """Run the protobuf compiler over every `.proto` file below `root`; `outputs` are its options.

    Raises `RuntimeError` where it refuses a file; its own message is on standard error.
    """
    from grpc_tools import protoc

    names = [path.relative_to(root).as_posix() for path in proto_files(root)]
    well_known = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        ["protoc", f"--proto_path={root}", f"--proto_path={well_known}", *outputs, *names]
    )
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status} on: {', '.join(names)}")


def generate(root: Path = ROOT, output: Path | None = None) -> list[Path]:
    """Compile every `.proto` file below `root`.

    `output` is the folder to write to, `root` itself by default. Gives the files written. Errors
    are those of `compile_protos`.
    """
    output = output or root
    compile_protos(root, [f"--python_out={output}", f"--pyi_out={output}"])
    written = []
    for path in proto_files(root):
        name = path.relative_to(root).as_posix()
        for suffix in ("_pb2.py", "_pb2.pyi"):
            module = output / (name.removesuffix(".proto") + suffix)
            module.write_text(relocate_imports(module.read_text()))
            written.append(module)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m aliecs.protocol.generate`; takes no arguments."""
    if arguments if arguments is not None else sys.argv[1:]:
        sys.stderr.write("usage: python -m aliecs.protocol.generate\n")
        return 2
    for path in generate():
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
