"""The experiment's own workflow, unchanged, with every outside service off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import frozen

from aliecs.interfaces import TemplateText
from aliecs.language.declaration import Channel, Constraint, merge_channels
from aliecs.language.expression import Compiler
from aliecs.language.functions import PTREE_FUNCTIONS, Scope, make_library
from aliecs.protocol.message import ControlMode
from aliecs.task.taskclass import ResolvedCommand, TaskClass, TaskIdentity, parse_task_class
from aliecs.workflow.channel import BoundTask, channel_properties, make_bind_map
from aliecs.workflow.loader import LoadRequest, TemplateCache, Workflow, load
from aliecs.workflow.role import TaskRole
from aliecs.workflow.schema import describe_template

from ..control_workflows import find_control_workflows
from ..language.sources import DictSources
from .trees import at

REPOSITORY = find_control_workflows()
HOSTS = ["flp001", "flp002"]
# What the repository leaves to the configuration service.
DEFAULTS = {
    "consul_endpoint": "consul:8500",
    "apricot_endpoint": "apricot:32101",
    "modulepath": "",
    "infologger_mode": "stdout",
}


class Files(DictSources):
    """Templates from the folder of the repository."""

    def workflow(self, expression: str) -> TemplateText:
        return self._file("workflows", expression)

    def task_class(self, identifier: str) -> TemplateText:
        return self._file("tasks", identifier)

    def _file(self, folder: str, expression: str) -> TemplateText:
        name = expression.split(f"/{folder}/")[-1].split("@")[0]
        path = f"{folder}/{name}.yaml"
        text = (REPOSITORY / path).read_bytes()
        return TemplateText(self.repository, self.revision, path, text)


COMPILER = Compiler()
LIBRARY = make_library(COMPILER)


@frozen
class Endpoint:
    address: str
    transport: str


@pytest.fixture(scope="module")
def workflow() -> Workflow:
    sources = Files(detectors={"flp001": "TPC", "flp002": "ITS"})
    given = {"hosts": json.dumps(HOSTS), "dd_enabled": "true"}
    request = LoadRequest("readout-dataflow", "2abcdef", given, DEFAULTS)
    return load(request, sources, TemplateCache(COMPILER))


@pytest.fixture(scope="module")
def classes(workflow: Workflow) -> dict[str, TaskClass]:
    return {identifier: parse_task_class(text) for identifier, text in workflow.class_texts.items()}


def name_of(identifier: str) -> str:
    return identifier.rsplit("/", 1)[-1].split("@")[0]


def test_roles(workflow: Workflow) -> None:
    paths = [role.path for role in workflow.root.walk()]
    host = "readout-dataflow.host-{}"
    expected = ["readout-dataflow"]
    for name in HOSTS:
        base = host.format(name)
        expected += [
            base, f"{base}.readout", f"{base}.data-distribution", f"{base}.data-distribution.stfb",
            f"{base}.data-distribution.stfs", f"{base}.fairmq-shmcleanup",
            f"{base}.fairmq-shmmonitor",
        ]  # fmt: skip
    expected.append(f"{host.format('flp002')}.its-cru-enable")
    assert paths == expected
    assert workflow.public
    assert workflow.description == "Main workflow template for ALICE data taking"
    assert [name_of(identifier) for identifier in workflow.class_identifiers] == [
        "readout", "stfbuilder-senderoutput", "stfsender", "shell-command", "fairmq-shmmonitor",
    ]  # fmt: skip


def test_warnings_name_the_two_variables_that_lost_their_tag(workflow: Workflow) -> None:
    assert [warning.text.split("'")[1] for warning in workflow.warnings] == [
        "foc_dpl_workflow",
        "ctp_readout_host",
    ]


def test_variables(workflow: Workflow) -> None:
    stack = at(workflow.root, "readout-dataflow.host-flp002.readout").stack()
    assert stack["detectors"] == '["ITS","TPC"]'
    assert (stack["detector"], stack["it"]) == ("ITS", "flp002")
    assert stack["readout_cfg_uri"] == (
        "consul-ini://consul:8500/o2/components/readout/ANY/any/readout-stfb-flp002"
    )
    assert (stack["dpl_workflow"], stack["dpl_command"]) == ("", "")
    assert (stack["auto_stop_enabled"], stack["ddsched_enabled"]) == ("false", "false")


def test_constraints_and_channels(workflow: Workflow) -> None:
    for host in HOSTS:
        base = f"readout-dataflow.host-{host}"
        for role in at(workflow.root, base).of_kind(TaskRole):
            assert role.effective_constraints() == (Constraint("machine_id", host),)
        builder = at(workflow.root, f"{base}.data-distribution.stfb")
        assert builder.effective_connect() == (
            Channel("readout", "pull", target=f"{base}.readout:readout",
                    rate_logging="{{ fmq_rate_logging }}"),
        )  # fmt: skip
        sender = at(workflow.root, f"{base}.data-distribution.stfs")
        (channel,) = sender.effective_connect()
        assert channel.target == f"{base}.data-distribution.stfb:buildertosender"
        assert sender.stack()["dd_discovery_stfs_id"].startswith(f"stfs-{host}-id")


def test_hooks(workflow: Workflow) -> None:
    _, destroy = workflow.hooks.at("DESTROY")[0]
    assert [role.name for role in destroy] == [
        "fairmq-shmmonitor", "fairmq-shmmonitor", "its-cru-enable",
    ]  # fmt: skip
    _, before = workflow.hooks.at("before_DEPLOY")[0]
    assert {role.timeout for role in before} == {"30s"}
    assert not any(role.critical for role in before)


def build(role: TaskRole, task_class: TaskClass, **more: str) -> ResolvedCommand:
    identity = TaskIdentity(
        f"{role.class_identifier}#t1", "t1", role.class_identifier, "flp001", "2abcdef", role.path
    )
    scope = Scope({**role.stack(), **more}, LIBRARY)
    return task_class.build_command(scope, identity, role.trigger, role.timeout)


def test_commands(workflow: Workflow, classes: dict[str, TaskClass]) -> None:
    base = at(workflow.root, "readout-dataflow.host-flp001")
    commands = {
        role.name: build(role, classes[role.class_identifier]) for role in base.of_kind(TaskRole)
    }
    readout = commands["readout"]
    assert readout.value == "/opt/o2/bin/o2-readout-exe"
    assert readout.arguments == (
        "consul-ini://consul:8500/o2/components/readout/ANY/any/readout-stfb-flp001",
    )
    assert (readout.stdout, readout.stderr, readout.user, readout.shell) == (
        "none", "all", "flp", True,
    )  # fmt: skip
    assert readout.environment == ("O2_DETECTOR=TPC", "O2_PARTITION=2abcdef")
    builder = commands["stfb"]
    assert builder.value == "/opt/o2/bin/StfBuilder"
    assert "--output-channel-name=buildertosender" in builder.arguments
    assert builder.arguments[-6:] == (
        "-S", "$CONTROL_OCCPLUGIN_ROOT/lib/", "-P", "OCClite", "--color", "false",
    )  # fmt: skip
    sender = commands["stfs"]
    assert sender.value == "numactl --cpunodebind=0 --preferred=0 -- /opt/o2/bin/StfSender"
    assert {"--stand-alone", "--input-channel-name=buildertosender"} <= set(sender.arguments)
    cleanup = commands["fairmq-shmcleanup"]
    assert cleanup.control_mode is ControlMode.HOOK
    assert (cleanup.user, cleanup.timeout_s) == ("root", 30.0)
    assert cleanup.value == (
        "source /etc/profile.d/o2.sh && O2_PARTITION=2abcdef O2_ROLE=flp001 o2-aliecs-shmcleaner"
    )
    assert commands["fairmq-shmmonitor"].arguments == ("-c", "-s", "default")


def test_commands_with_modules(workflow: Workflow, classes: dict[str, TaskClass]) -> None:
    role = at(workflow.root, "readout-dataflow.host-flp001.readout")
    resolved = build(role, classes[role.class_identifier], modulepath="/modules")
    assert resolved.value == (
        "source /etc/profile.d/modules.sh && MODULEPATH=/modules module load Readout "
        "Control-OCCPlugin && o2-readout-exe"
    )


def test_properties(workflow: Workflow, classes: dict[str, TaskClass]) -> None:
    base = "readout-dataflow.host-flp001"
    readout = at(workflow.root, f"{base}.readout")
    builder = at(workflow.root, f"{base}.data-distribution.stfb")
    inbound = {
        role.path: merge_channels(role.effective_bind(), classes[role.class_identifier].bind)
        for role in (readout, builder)
    }
    endpoints = {"readout": Endpoint("ipc://@o2ipc-x", "shmem")}
    bind_map = make_bind_map([BoundTask(readout.path, "h", inbound[readout.path], endpoints)])
    channels = channel_properties(
        builder.path, inbound[builder.path], {}, builder.effective_connect(), bind_map
    )
    identity = TaskIdentity("n", "t1", "c", "flp001", "2abcdef", builder.path)
    scope = Scope(builder.stack(), make_library(COMPILER, None, PTREE_FUNCTIONS))
    properties = classes[builder.class_identifier].build_properties(scope, identity, channels)
    assert properties["environment_id"] == "2abcdef"
    assert properties["orbit-reset-time"] == ""
    assert properties["chans.readout.0.address"] == "ipc://@o2ipc-x"
    assert properties["chans.readout.0.transport"] == "shmem"
    assert properties["chans.readout.0.rateLogging"] == "0"
    assert properties["chans.readout.0.type"] == "pull"


def functions_called(switches: dict[str, str]) -> set[str]:
    sources = Files(detectors={"flp001": "TPC", "flp002": "ITS"})
    plugins = {
        "odc": {
            "GenerateEPNWorkflowScript": lambda: "script",
            "GenerateEPNTopologyFullname": lambda: "topology",
        }
    }
    variables = {"hosts": json.dumps(HOSTS), **switches}
    request = LoadRequest("readout-dataflow", "2abcdef", variables, DEFAULTS, {}, plugins)
    return {call.func for call in load(request, sources, TemplateCache(COMPILER)).call_roles}


def test_calls_come_with_their_services() -> None:
    assert functions_called({}) == set()
    assert functions_called({"qc_remote_enabled": "true"}) == {"testplugin.Noop()"}
    switches = (
        "dcs trg trg_global_run ccdb bookkeeping lhc kafka epn roc_cleanup roc_ctp_emulator "
        "drop_caches qc_remote"
    )
    everything = {f"{switch}_enabled": "true" for switch in switches.split()}
    assert functions_called({**everything, "bookkeeping_consuming_kafka": "false"}) >= {
        "dcs.StartOfRun()",
        "odc.Configure()",
        "trg.RunLoad()",
        "ccdb.RunStart()",
        "bookkeeping.UpdateEnv()",
        "lhc.UpdateFillInfo()",
        "kafka.PublishEnterStateUpdate()",
        "ddsched.PartitionInitialize()",
        "testplugin.Noop()",
    }


def test_public_variables() -> None:
    description = describe_template(Files().workflow("readout-dataflow"))
    assert description.public
    assert len(description.variables) > 100
    run_type = description.variables["run_type"]
    assert (run_type.default_value, run_type.widget, run_type.index) == ("PHYSICS", "comboBox", 6)
    assert "TECHNICAL" in run_type.allowed_values
    assert description.variables["pdp_extra_env_vars"].rows == 35
    assert "ctp_readout_host" not in description.variables


@pytest.mark.parametrize("path", sorted((REPOSITORY / "workflows").glob("*.yaml")))
def test_every_workflow_is_understood(path: Path) -> None:
    text = TemplateText("r", "1", f"workflows/{path.name}", path.read_bytes())
    assert TemplateCache(COMPILER).template(text).name == path.stem


@pytest.mark.parametrize("path", sorted((REPOSITORY / "tasks").glob("*.yaml")))
def test_every_task_template_is_understood(path: Path) -> None:
    text = TemplateText("r", "1", f"tasks/{path.name}", path.read_bytes())
    assert parse_task_class(text).name == path.stem


def test_nested_iterators_of_o2_roc_config() -> None:
    sources = Files(
        detectors={"flp001": "TPC"}, cards={"flp001": {"0228": ["0", "1"], "0229": ["0"]}}
    )
    request = LoadRequest("o2-roc-config", "e", {"hosts": '["flp001"]'}, DEFAULTS)
    root = load(request, sources, TemplateCache(COMPILER)).root
    leaf = at(root, "o2-roc-config.host-flp001.card-0228.roc-config-uri")
    assert (leaf.stack()["card"], leaf.stack()["card_endpoints"]) == ("0228", "0 1")
    assert leaf.timeout == "40s"
