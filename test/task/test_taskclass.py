"""Task templates, and what they become for one task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aliecs.errors import DeadlineExceeded, TemplateError
from aliecs.interfaces import TemplateText
from aliecs.language.declaration import Channel, Constraint, Limits, Wants
from aliecs.language.expression import Compiler
from aliecs.language.functions import PTREE_FUNCTIONS, Scope, make_library
from aliecs.protocol.message import ControlMode
from aliecs.task.taskclass import (
    FairmqPlugin,
    ResolvedCommand,
    TaskClass,
    TaskIdentity,
    parse_task_class,
)

from ..language.sources import DictSources

COMPILER = Compiler()
LIBRARY = make_library(COMPILER)
PROPERTY_LIBRARY = make_library(COMPILER, None, PTREE_FUNCTIONS)
IDENTITY = TaskIdentity("cls#t1", "t1", "cls", "flp001", "env1", "root.a")


def parse(text: str, name: str = "cls") -> TaskClass:
    if "command:" not in text:
        text += "\ncommand: {value: run}\n"
    source = f"name: {name}\n{text}".encode()
    return parse_task_class(
        TemplateText("example.org/a/b", "1234567", f"tasks/{name}.yaml", source)
    )


def command(text: str, stack: dict[str, str] | None = None, **more: Any) -> ResolvedCommand:
    return parse(text).build_command(Scope(stack or {}, LIBRARY), IDENTITY, **more)


def test_a_full_class() -> None:
    task_class = parse(
        """
control: {mode: fairmq}
wants: {cpu: 0.15, memory: 128, ports: 9000-9010}
limits: {memory: 256}
bind: [{name: in, addressing: ipc}]
connect: [{name: out, target: somewhere}]
constraints: [{attribute: a, value: b}]
properties: {p: "{{ x }}", q: ~}
defaults: {d: 1}
vars: {v: 2}
"""
    )
    assert task_class.identifier == "example.org/a/b/tasks/cls@1234567"
    assert task_class.control_mode is ControlMode.FAIRMQ
    assert task_class.wants == Wants(0.15, 128.0, ((9000, 9010),))
    assert task_class.limits == Limits(None, 256.0)
    assert task_class.bind == (Channel("in", addressing="ipc"),)
    assert task_class.connect == (Channel("out"),)
    assert task_class.constraints == (Constraint("a", "b"),)
    assert [(name, field.text) for name, field in task_class.properties] == [
        ("p", "{{ x }}"),
        ("q", ""),
    ]
    (warning,) = task_class.warnings
    assert "tasks/cls.yaml@1234567:7: the target of 'out' is ignored" in warning
    document = json.loads(json.dumps(task_class.to_document()))
    assert TaskClass.from_document(document) == task_class


def test_defaults_of_a_class() -> None:
    task_class = parse("")
    assert task_class.control_mode is ControlMode.DIRECT
    assert (task_class.wants, task_class.limits) == (Wants(), Limits())
    assert any("'wants' is missing" in warning for warning in task_class.warnings)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("control: {mode: kubectl_direct}", "cls.yaml@1234567:2: the control mode"),
        ("control: {mode: KUBERNETES_FAIRMQ}", "is not supported"),
        ("command: ~", "needs a 'command'"),
        ("command: text", "must be a mapping"),
        ("defaults: {a: [1]}", "'a' in 'defaults'"),
        ("vars: {a: !public {value: x}}", "'a' in 'vars'"),
        ("wants: {cpu: much}", "must be a number"),
        ("wants: {ports: many}", "range such as"),
        ("bind: [{type: x}]", "must be one of"),
    ],
)
def test_malformed_classes(text: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert reason in str(caught.value)


def test_the_name_is_that_of_the_file() -> None:
    text = TemplateText("r", "1", "tasks/other.yaml", b"name: cls\ncommand: {}")
    with pytest.raises(TemplateError, match="'cls' differs from that of the file, 'other'"):
        parse_task_class(text)


def test_an_unknown_mode_is_direct() -> None:
    task_class = parse("control: {mode: whatever}")
    assert task_class.control_mode is ControlMode.DIRECT
    assert any("'whatever' is unknown" in warning for warning in task_class.warnings)


def test_a_basic_task_with_a_trigger_is_a_hook() -> None:
    basic = parse("control: {mode: basic}")
    assert basic.effective_mode("") is ControlMode.BASIC
    assert basic.effective_mode("DESTROY") is ControlMode.HOOK
    assert parse("").effective_mode("DESTROY") is ControlMode.DIRECT


# --- commands ------------------------------------------------------------------------------------


def test_the_roles_stack_hides_all_that_the_class_says() -> None:
    resolved = command(
        """
defaults: {a: default, b: default, c: "{{ x }}{{ task_id }}"}
vars: {b: var, d: "{{ a }}+{{ c }}", e: var}
command: {value: "{{ a }} {{ b }} {{ c }} {{ d }} {{ e }}"}
""",
        {"a": "role", "x": "y"},
    )
    assert resolved.value == "role default yt1 role+yt1 var"


def test_special_variables_are_hidden_by_nothing() -> None:
    names = ("task_name", "task_id", "task_class_name", "task_hostname", "environment_id",
             "task_parent_role")  # fmt: skip
    text = " ".join(f"{{{{ {name} }}}}" for name in names)
    resolved = command(f'defaults: {{task_id: x}}\ncommand: {{value: "{text}"}}', {"task_id": "y"})
    assert resolved.value == "cls#t1 t1 cls flp001 env1 root.a"


def test_every_text_of_a_class_is_evaluated() -> None:
    with pytest.raises(TemplateError, match=r"cls\.yaml@1234567:2: d: unknown name nope.*root\.a"):
        command("defaults: {d: '{{ nope }}'}")


def test_all_fields_of_a_command() -> None:
    resolved = command(
        """
control: {mode: basic}
command:
  value: "{{ v }}"
  shell: true
  arguments: ["{{ v }}", plain, "{{ v == 'x' ? '' : 'y' }}"]
  env: ["A={{ v }}"]
  user: "{{ v }}"
  stdout: " {{ out }}"
  stderr: all
""",
        {"v": "x", "out": "STDOUT "},
        timeout="1m",
    )
    assert resolved == ResolvedCommand(
        "x", True, ("x", "plain", ""), ("A=x",), "x", "stdout", "all", ControlMode.BASIC, 60.0,
        "flp001",
    )  # fmt: skip
    assert ResolvedCommand.from_document(json.loads(json.dumps(resolved.to_document()))) == resolved


def test_one_task_does_not_fix_the_output_of_the_next() -> None:
    task_class = parse("command: {value: x, stdout: '{{ out }}'}")
    outputs = [
        task_class.build_command(Scope({"out": out}, LIBRARY), IDENTITY).stdout
        for out in ("all", "none")
    ]
    assert outputs == ["all", "none"]


@pytest.mark.parametrize(
    ("text", "more", "reason"),
    [
        ("command: {stdout: '{{ upper(\"x\") }}'}", {}, "stdout must be one of none, stdout, all"),
        ("control: {mode: basic}", {"timeout": "soon"}, "timeout of the role: 'soon' is not"),
        ("command: {value: '{{ 1 + }}'}", {}, "command value: the expression ends too early"),
        ("command: {env: ['A={{ b }}']}", {}, "env: unknown name b"),
    ],
)
def test_commands_that_cannot_be_built(text: str, more: dict[str, str], reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        command(text, **more)
    assert reason in str(caught.value)
    assert "(role root.a)" in str(caught.value)


def test_a_controllable_task_has_no_time_limit() -> None:
    assert command("", timeout="soon").timeout_s == 0.0
    assert command("control: {mode: basic}", trigger="DESTROY", timeout="2s").timeout_s == 2.0


def test_the_payload_of_a_direct_task() -> None:
    payload = command("command: {value: run, env: [A=b], arguments: [x]}").payload(30001)
    assert json.loads(payload.encode()) == {
        "env": ["A=b", "OCC_CONTROL_PORT=30001", "O2_ROLE=flp001", "O2_SYSTEM=FLP"],
        "shell": False,
        "value": "run",
        "user": "",
        "arguments": ["x"],
        "stdout": "none",
        "stderr": "none",
        "controlPort": 30001,
        "controlMode": "direct",
    }


def test_the_payload_of_a_fairmq_device() -> None:
    resolved = command("control: {mode: fairmq}\ncommand: {value: dev, arguments: [--id, mine]}",
                       plugin=FairmqPlugin("OCC", "/lib/"))  # fmt: skip
    payload = resolved.payload(30002)
    assert payload.arguments == (
        "--id", "mine", "-S", "/lib/", "-P", "OCC", "--color", "false", "--control-port", "30002",
    )  # fmt: skip
    plain = command("control: {mode: fairmq}")
    assert plain.arguments == (
        "--id", "t1", "-S", "$CONTROL_OCCPLUGIN_ROOT/lib/", "-P", "OCClite", "--color", "false",
    )  # fmt: skip


def test_the_payload_of_a_hook() -> None:
    hook = command("control: {mode: basic}", trigger="DESTROY", timeout="1.5s").payload(30003)
    assert (hook.control_port, hook.timeout_ns) == (0, 1_500_000_000)
    assert hook.control_mode is ControlMode.HOOK
    assert "OCC_CONTROL_PORT=30003" not in hook.environment


def test_only_the_whole_name_takes_the_place_of_a_default() -> None:
    payload = command("command: {env: [O2_ROLE_X=1, O2_SYSTEM=ECS]}").payload(1)
    assert "O2_ROLE=flp001" in payload.environment
    assert "O2_SYSTEM=FLP" not in payload.environment


# --- properties ----------------------------------------------------------------------------------


def properties(
    text: str, stack: dict[str, str] | None = None, channels: dict[str, str] | None = None
) -> dict[str, str]:
    scope = Scope(stack or {}, PROPERTY_LIBRARY)
    return parse(text).build_properties(scope, IDENTITY, channels or {})


def test_properties() -> None:
    result = properties(
        """
defaults: {a: "{{ task_id }}", b: default}
vars: {b: "{{ a }}-var"}
properties: {x: "{{ b }} {{ c }}", y: ~, environment_id: mine}
""",
        {"c": "role", "rate": "3"},
        {"chans.c.0.rateLogging": "{{ rate }}"},
    )
    assert result == {
        "environment_id": "mine",
        "x": "t1-var role",
        "y": "",
        "chans.c.0.rateLogging": "3",
    }


def test_the_start_time_is_passed_on() -> None:
    stack = {"pdp_override_run_start_time": ""}
    assert properties("", stack) == {"environment_id": "env1", "orbit-reset-time": ""}


def test_basic_classes_have_no_properties_and_hooks_no_channels() -> None:
    channels = {"chans.c.numSockets": "1"}
    assert properties("control: {mode: basic}\nproperties: {a: b}", channels=channels) == {}
    hook = properties("control: {mode: hook}\nproperties: {a: b}", channels=channels)
    assert hook == {"environment_id": "env1", "a": "b"}


def test_property_trees() -> None:
    text = "properties: {qc: \"{{ ToPtree('a=1', 'ini') }}\"}"
    assert properties(text)["__ptree__:ini:qc"] == "a=1"


def test_a_property_that_fails() -> None:
    with pytest.raises(TemplateError, match=r"cls\.yaml@1234567:2: p: unknown name nope"):
        properties("properties: {p: '{{ nope }}'}")


def test_a_transition_that_is_out_of_time() -> None:
    class Slow(DictSources):
        def runtime_get(self, component: str, key: str) -> str:
            raise DeadlineExceeded("too long")

    scope = Scope({}, PROPERTY_LIBRARY, Slow())
    with pytest.raises(DeadlineExceeded):
        parse("properties: {p: \"{{ runtime.Get('a', 'b') }}\"}").build_properties(
            scope, IDENTITY, {}
        )


def test_an_output_that_is_none_is_refused_before_anything_runs() -> None:
    with pytest.raises(TemplateError, match=r":\d+: stdout must be one of .*, not 'loud'"):
        parse("command: {value: x, stdout: loud}")
