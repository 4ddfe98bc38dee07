"""What is generated is what the `.proto` files say."""

from __future__ import annotations

import importlib
from pathlib import Path

from google.protobuf import descriptor_pb2

from aliecs.protocol import generate


def test_the_committed_modules_are_up_to_date(tmp_path: Path) -> None:
    output = tmp_path / "descriptors"
    generate.compile_protos(generate.ROOT, [f"--descriptor_set_out={output}"])
    files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    assert {"mesos_executor.proto", "protos/o2control.proto"} <= {file.name for file in files}
    for file in files:
        name = file.name.removesuffix(".proto").replace("/", ".")
        module = importlib.import_module(f"{generate.PACKAGE}.{name}_pb2")
        committed = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(committed)
        file.ClearField("source_code_info")
        for message in file.message_type:
            clear_json_names(message)
        assert committed == file, (
            f"{file.name} has changed: run python -m aliecs.protocol.generate"
        )


def clear_json_names(message: descriptor_pb2.DescriptorProto) -> None:
    """The compiler adds these to a descriptor set, but not to what modules carry."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        clear_json_names(nested)


def test_the_generator_writes_every_module(tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    written = {path.relative_to(tmp_path).as_posix() for path in generate.generate(output=tmp_path)}
    assert {"mesos_pb2.py", "mesos_pb2.pyi", "protos/events_pb2.py"} <= written
    text = (tmp_path / "protos" / "o2control_pb2.py").read_text()
    assert "from aliecs.protocol.protos import events_pb2" in text


def test_imports_between_generated_modules_are_absolute() -> None:
    text = "from protos import events_pb2 as e\nimport mesos_pb2 as mesos__pb2\nimport sys as s\n"
    assert generate.relocate_imports(text) == (
        "from aliecs.protocol.protos import events_pb2 as e\n"
        "from aliecs.protocol import mesos_pb2 as mesos__pb2\nimport sys as s\n"
    )
