"""All of the experiment's own workflow repository, with 200 hosts and every switch on and off."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from aliecs.language.declaration import merge_channels
from aliecs.language.expression import Compiler
from aliecs.language.functions import Scope, make_library
from aliecs.task.taskclass import TaskIdentity, parse_task_class
from aliecs.workflow.loader import LoadRequest, TemplateCache, Workflow, load
from aliecs.workflow.role import CallRole, LeafRole, TaskRole

from .control_workflows import CONFIGURED, HOSTS, REPOSITORY, ControlWorkflows, install_programs
from .dataflow_model import CTP_HOST, ROOT, Leaf, leaves

CACHE = TemplateCache(Compiler())
TABLE = Path(__file__).parent / "readout-dataflow.tsv"
PLUGINS = {
    "odc": {
        "GenerateEPNWorkflowScript": lambda: "script",
        "GenerateEPNTopologyFullname": lambda: "topology",
    }
}
CTP = {"ctp_readout_enabled": "true", "ctp_readout_host": CTP_HOST}
EVERYTHING = {
    f"{name}_enabled": "true"
    for name in (
        "dcs", "dd", "epn", "qc_remote", "trg", "trg_global_run", "ccdb", "bookkeeping", "lhc",
        "kafka", "drop_caches", "roc_cleanup", "roc_ctp_emulator",
    )
}  # fmt: skip

SETTINGS: dict[str, dict[str, str]] = {
    "as it is": {},
    "dd off": {"dd_enabled": "false"},
    "standalone": {"stfb_standalone": "true"},
    "qc": {"qc_remote_enabled": "true"},
    "ctp": CTP,
    "ctp, dd off": {**CTP, "dd_enabled": "false"},
    "epn": {"epn_enabled": "true"},
    "epn, dd off": {"epn_enabled": "true", "dd_enabled": "false"},
    "epn, partitions stay": {"epn_enabled": "true", "odc_partitions_cleanup": "false"},
    "dcs": {"dcs_enabled": "true"},
    "trg": {"trg_enabled": "true"},
    "ccdb": {"ccdb_enabled": "true"},
    "bookkeeping over kafka": {"bookkeeping_enabled": "true"},
    "bookkeeping": {"bookkeeping_enabled": "true", "bookkeeping_consuming_kafka": "false"},
    "lhc": {"lhc_enabled": "true"},
    "kafka": {"kafka_enabled": "true"},
    "no cleaning": {"fmq_initial_shm_cleanup_enabled": "false", "fmq_cleanup_enabled": "false"},
    "all cleaning": {"roc_cleanup_enabled": "true", "drop_caches_enabled": "true"},
    "emulators": {"roc_ctp_emulator_enabled": "true"},
    "dd, qc, ctp, epn": {**CTP, "qc_remote_enabled": "true", "epn_enabled": "true"},
    "dd off, qc, ctp, epn": {
        **CTP, "qc_remote_enabled": "true", "epn_enabled": "true", "dd_enabled": "false",
    },
    "everything": {**EVERYTHING, **CTP, "bookkeeping_consuming_kafka": "false"},
}  # fmt: skip


def loaded(
    switches: Mapping[str, str],
    hosts: list[str] = HOSTS,
    name: str = ROOT,
    sources: ControlWorkflows | None = None,
) -> Workflow:
    variables = {"hosts": json.dumps(hosts), **switches}
    request = LoadRequest(name, "2abcdef", variables, CONFIGURED, {}, PLUGINS)
    return load(request, sources or ControlWorkflows(), CACHE)


def leaf(role: LeafRole) -> Leaf:
    if isinstance(role, TaskRole):
        what = role.class_identifier.rsplit("/", 1)[-1].split("@")[0]
    else:
        assert isinstance(role, CallRole)
        what = role.func
    return Leaf(role.path, what, role.trigger, role.await_, role.timeout, role.critical)


@pytest.mark.parametrize("setting", SETTINGS)
def test_leaves_are_those_of_the_survey(setting: str) -> None:
    switches = SETTINGS[setting]
    workflow = loaded(switches)
    found = [leaf(role) for role in workflow.root.of_kind(LeafRole)]
    assert found == leaves(HOSTS, switches)
    disabled = [w for w in workflow.warnings if "is disabled, because" in w.text]
    assert disabled == []


def counted(workflow: Workflow) -> str:
    """One line of the table: roles, tasks, hooks, calls, and channels by their two ends."""
    classes = {
        identifier: parse_task_class(text) for identifier, text in workflow.class_texts.items()
    }
    ends: Counter[str] = Counter()
    for role in workflow.task_roles:
        task_class = classes[role.class_identifier]
        for channel in merge_channels(role.effective_bind(), task_class.bind):
            ends[f"{channel.name}>"] += 1
        for channel in merge_channels(role.effective_connect(), task_class.connect):
            ends[f">{channel.name}"] += 1
    numbers = (
        sum(1 for _ in workflow.root.walk()),
        sum(1 for role in workflow.task_roles if not role.trigger),
        sum(1 for role in workflow.task_roles if role.trigger),
        len(workflow.call_roles),
    )
    channels = " ".join(f"{name}:{count}" for name, count in sorted(ends.items()))
    return "\t".join([*map(str, numbers), channels])


def table() -> str:
    """The whole table."""
    lines = ["setting\troles\ttasks\thooks\tcalls\tends of channels"]
    lines += [f"{setting}\t{counted(loaded(SETTINGS[setting]))}" for setting in SETTINGS]
    return "\n".join(lines) + "\n"


def test_the_table() -> None:
    told = "made anew by: python -m test.workflow.test_control_workflows"
    assert table() == TABLE.read_text(), told


def test_every_task_has_a_command_and_every_target_an_end() -> None:
    workflow = loaded({**SETTINGS["everything"]})
    library = make_library(CACHE.compiler)
    bound: set[str] = set()
    targets: set[str] = set()
    classes = {
        identifier: parse_task_class(text) for identifier, text in workflow.class_texts.items()
    }
    for role in workflow.task_roles:
        task_class = classes[role.class_identifier]
        (constraint,) = role.effective_constraints()
        host = role.path.split(".")[1].removeprefix("host-").replace("readout-ctp", CTP_HOST)
        assert (constraint.attribute, constraint.value) == ("machine_id", host)
        identity = TaskIdentity("n", "t", role.class_identifier, host, "2abcdef", role.path)
        command = task_class.build_command(
            Scope(role.stack(), library), identity, role.trigger, role.timeout
        )
        assert "{{" not in " ".join([command.value, *command.arguments, *command.environment])
        for channel in merge_channels(role.effective_bind(), task_class.bind):
            bound.add(f"{role.path}:{channel.name}")
        for channel in merge_channels(role.effective_connect(), task_class.connect):
            targets.add(channel.target)
    assert targets <= bound
    assert len(targets) == 2 * (len(HOSTS) + 1)


def test_detectors_come_from_the_inventory() -> None:
    workflow = loaded({"dcs_enabled": "true"}, ["flp001", "flp002", "flp009"])
    assert workflow.root.variable("detectors") == '["MCH","TPC"]'


# --- workflows that are generated ----------------------------------------------------------------


@pytest.fixture(scope="module")
def dpl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_programs(tmp_path_factory.mktemp("dpl"))


def generating(dpl: Path) -> ControlWorkflows:
    return ControlWorkflows(generates_in=dpl)


def test_a_generated_workflow_on_readout_hosts(dpl: Path) -> None:
    switches = {"tof_dpl_workflow": "tof-compressor", "its_dpl_workflow": "none"}
    workflow = loaded(switches, ["flp005", "flp008"], sources=generating(dpl))
    base = f"{ROOT}.host-flp005.data-distribution-dpl"
    found = {role.path: leaf(role).what for role in workflow.task_roles}
    assert found[f"{base}.stfb"] == "stfbuilder"
    devices = [path for path in found if path.startswith(f"{base}.dpl.")]
    assert len(devices) == 3
    assert f"{ROOT}.host-flp008.data-distribution.stfb" in found
    by_path = {role.path: role for role in workflow.task_roles}
    proxy = by_path[devices[0]].effective_connect()
    assert [channel.target for channel in proxy] == ["::readout-proxy-flp005"]
    (stfb,) = by_path[f"{base}.stfb"].effective_bind()
    assert (stfb.global_alias, stfb.send_buffer_size, stfb.addressing) == (
        "readout-proxy-flp005", 4, "ipc",
    )  # fmt: skip
    (sender,) = by_path[f"{base}.stfs"].effective_connect()
    assert sender.target == "::downstream-flp005"
    last = by_path[devices[-1]].effective_bind()
    assert [channel.global_alias for channel in last] == ["downstream-flp005"]


def test_a_template_in_place_of_a_command(dpl: Path) -> None:
    """`tpc-idc-sac-full-split` is a workflow, which chooses by the name of the host."""
    switches = {
        "tpc_dpl_workflow": "tpc-idc-sac-full-split",
        "hosts": '["alio2-cr1-flp072", "alio2-cr1-flp073", "alio2-cr1-flp145"]',
    }
    sources = generating(dpl)
    for host in json.loads(switches["hosts"]):
        sources.detectors[host] = "TPC"
    workflow = loaded(switches, sources=sources)
    inner = {
        role.path.split(".")[1]: role.name
        for role in workflow.root.walk()
        if role.path.count(".") == 4 and ".dpl." in role.path
    }
    assert inner == {
        "host-alio2-cr1-flp072": "tpc-idc-a",
        "host-alio2-cr1-flp073": "tpc-idc-c",
        "host-alio2-cr1-flp145": "tpc-sac",
    }


def test_quality_control_servers(dpl: Path) -> None:
    switches = {
        "qc_remote_enabled": "true",
        "tof_qc_remote_workflow": "tof-full-qcmn-remote",
        "tof_qc_remote_machine": "qc01",
        "glo_vtx_qc_enabled": "true",
    }
    workflow = loaded(switches, ["flp005", "flp008"], sources=generating(dpl))
    base = f"{ROOT}.qc-servers"
    prefix = f"{base}.qc-remote-workflow-TOF."
    tof = [role for role in workflow.task_roles if role.path.startswith(prefix)]
    assert {c.attribute: c.value for c in tof[0].effective_constraints()} == {
        "machine_type": "qcserver",
        "machine_id": "qc01",
    }
    assert tof[-1].name == "fairmq-shmmonitor"
    paths = [role.path for role in workflow.root.walk()]
    assert f"{base}.qc-remote-workflow-glo.glo-vtx" in paths


SMALL = sorted(
    path.stem for path in (REPOSITORY / "workflows").glob("*.yaml") if path.stem != ROOT
)


@pytest.mark.parametrize("name", SMALL)
def test_the_other_workflows(name: str, dpl: Path) -> None:
    switches = {"host": "flp001", "detector": "TPC", "extra_env_vars": ""}
    switches |= {"it": "alio2-cr1-flp145", "pdp_n_hbf_per_tf": "128"}
    workflow = loaded(switches, name=name, sources=generating(dpl))
    assert [w for w in workflow.warnings if "is disabled, because" in w.text] == []
    tasks = len(workflow.task_roles)
    expected = {"o2-roc-config": 200, "resources-cleanup": 400}
    assert tasks == expected.get(name, tasks)
    assert tasks > 0


def test_every_command_can_be_evaluated() -> None:
    variables = {
        **CONFIGURED,
        "it": "flp001", "detector": "TPC", "run_type": "PHYSICS", "pdp_beam_type": "pp",
        "pdp_n_hbf_per_tf": "128", "ctp_readout_enabled": "false", "tpc_sac_threads": "1",
        "qc_shm_metadata_msg_size": "1", "tpc_idc_pedestal_timestamp": "1",
        "tpc_sac_try_realign": "0", "cru_config_uri": "x", "merger_node": "x",
        "qc_json_file": "x", "merger_port": "1", "merger_port_idc": "1",
        "merger_port_cmv": "1", "tpc_trigger_per_flp": "1",
        **{f"tpc_trigger_threshold_{name}": "1" for name in (
            "cmv", "cmvMeanMax", "cmvMeanMin", "timeBinMin", "timeBinMax", "cmv_timeBinMin",
            "cmv_timeBinMax",
        )},
    }  # fmt: skip
    scope = Scope(variables, make_library(CACHE.compiler))
    commands = sorted((REPOSITORY / "jit").iterdir())
    assert len(commands) > 100
    for path in commands:
        assert "{{" not in scope.render(path.read_text()), path.name


if __name__ == "__main__":
    TABLE.write_text(table())
    sys.stdout.write(f"{TABLE} made anew\n")
