"""What `readout-dataflow` comes to, by a description of it and not by its template.

For given switches: the task and call roles with their classes or functions, triggers, awaits, time
limits, and what is critical. Written from a survey of the workflow, so that a load can be compared
with something that knows nothing of loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

ROOT = "readout-dataflow"
CTP_HOST = "flp200"

DEFAULTS = {
    "dd_enabled": "true", "dcs_enabled": "false", "epn_enabled": "false",
    "qc_remote_enabled": "false", "trg_enabled": "false", "ctp_readout_enabled": "false",
    "ccdb_enabled": "false", "bookkeeping_enabled": "false", "bookkeeping_consuming_kafka": "true",
    "lhc_enabled": "false", "kafka_enabled": "false", "drop_caches_enabled": "false",
    "fmq_initial_shm_cleanup_enabled": "true", "fmq_cleanup_enabled": "true",
    "roc_cleanup_enabled": "false", "roc_ctp_emulator_enabled": "false",
    "stfb_standalone": "false", "odc_partitions_cleanup": "true",
}  # fmt: skip
DETECTORS = ("ITS", "TPC", "MCH", "MFT", "MID", "TOF", "EMC", "FT0")

TIMEOUTS = {
    "dcs_pfr": "310s", "dcs_sor": "140s", "dcs_eor": "30s", "dcs_cleanup": "30s",
    "ddsched_initialize": "300s", "ddsched_terminate": "300s", "ddsched_cleanup": "60s",
    "drop_caches": "30s", "fmq_initial_shm_cleanup": "30s", "fmq_shmmonitor": "10s",
    "odc": "60s", "roc_cleanup": "10s", "trg_ctp_emulator": "10s", "trg_pfr": "5s",
    "trg_load": "15s", "trg_start": "20s", "trg_stop": "5s", "trg_unload": "5s", "ccdb": "10s",
}  # fmt: skip


@frozen
class Leaf:
    """A task or a call. `what` is the class or the function."""

    path: str
    what: str
    trigger: str = ""
    await_: str = ""
    timeout: str = "0s"
    critical: bool = True


def detector_of(host: str) -> str:
    """The detector of a made-up host `flp<number>`."""
    number = int(host.removeprefix("flp"))
    return "CTP" if host == CTP_HOST else DETECTORS[number % len(DETECTORS)]


def leaves(hosts: list[str], switches: Mapping[str, str]) -> list[Leaf]:
    """All leaves, in the order of the tree."""
    values = {**DEFAULTS, **switches}
    return list(_leaves(hosts, values))


def _leaves(hosts: list[str], values: Mapping[str, str]) -> Iterator[Leaf]:
    def on(name: str) -> bool:
        return values[f"{name}_enabled"] == "true"

    if on("ctp_readout"):
        yield from _readout(f"{ROOT}.readout-ctp", "CTP", values, is_ctp=True)
    for host in hosts:
        yield from _readout(f"{ROOT}.host-{host}", detector_of(host), values, is_ctp=False)
    detectors = sorted({detector_of(host) for host in hosts})
    if on("qc_remote"):
        yield from _quality_control(detectors, values)
    if on("dcs"):
        yield from _calls("dcs", _DCS)
    if on("epn") and on("dd"):
        yield from _calls("dd-scheduler", _DD_SCHEDULER)
    if on("epn"):
        cleans = values["odc_partitions_cleanup"] == "true"
        left_out = ("legacy-cleanup",) if cleans else ("deploy", "cleanup")
        yield from _calls("odc", _ODC, left_out)
    if on("trg"):
        yield from _calls("trg", _TRG, () if "TPC" in detectors else ("pfr",))
    if on("ccdb"):
        yield from _calls("ccdb", _CCDB)
    if on("bookkeeping"):
        consumed = values["bookkeeping_consuming_kafka"] == "true"
        only = [row for row in _BOOKKEEPING if row[0] == "retrievefillinfoatsor"]
        yield from _calls("bookkeeping", only if consumed else _BOOKKEEPING)
    if on("lhc"):
        yield from _calls("lhc", _LHC)
    if on("kafka"):
        yield from _calls("kafka", _KAFKA)


def _readout(path: str, detector: str, values: Mapping[str, str], is_ctp: bool) -> Iterator[Leaf]:
    """One readout host."""

    def on(name: str) -> bool:
        return values[f"{name}_enabled"] == "true"

    def hook(name: str, what: str, trigger: str, timeout: str, critical: bool = False) -> Leaf:
        return Leaf(f"{path}.{name}", what, trigger, trigger, timeout, critical)

    yield Leaf(f"{path}.readout", "readout-ctp" if is_ctp else "readout")
    alone = values["stfb_standalone"] == "true" and not is_ctp
    if on("dd"):
        inner = f"{path}.data-distribution"
        if alone:
            yield Leaf(f"{inner}.stfb-standalone", "stfbuilder-nooutput")
        else:
            yield Leaf(f"{inner}.stfb", "stfbuilder-senderoutput")
            yield Leaf(f"{inner}.stfs", "stfsender")
    if on("roc_ctp_emulator") and not is_ctp:
        yield hook(
            "o2-roc-ctp-emulators.endpoint-#0.o2-roc-ctp-emulator",
            "o2-roc-ctp-emulator",
            "enter_RUNNING",
            TIMEOUTS["trg_ctp_emulator"],
        )
    if on("drop_caches"):
        yield hook("drop-caches", "shell-command", "before_CONFIGURE", TIMEOUTS["drop_caches"])
    if on("fmq_initial_shm_cleanup"):
        timeout = TIMEOUTS["fmq_initial_shm_cleanup"]
        yield hook("fairmq-shmcleanup", "shell-command", "before_DEPLOY", timeout)
    if on("fmq_cleanup"):
        yield hook("fairmq-shmmonitor", "fairmq-shmmonitor", "DESTROY", TIMEOUTS["fmq_shmmonitor"])
    if on("roc_cleanup") and not is_ctp:
        yield hook("o2-roc-cleanup", "o2-roc-cleanup", "DESTROY", TIMEOUTS["roc_cleanup"])
    if detector == "ITS":
        yield hook("its-cru-enable", "shell-command", "DESTROY", "10s", critical=True)


def _quality_control(detectors: list[str], values: Mapping[str, str]) -> Iterator[Leaf]:
    """The servers of quality control, all without a workflow."""
    names = [*detectors]
    if "ITS" in detectors:
        names.append("glo")
    if "MCH" in detectors:
        names.append("fwd")
    if values["ctp_readout_enabled"] == "true":
        names.append("ctp")
    for name in names:
        path = f"{ROOT}.qc-servers.qc-remote-workflow-{name}.dpl-noop-subwf"
        yield Leaf(path, "testplugin.Noop()", "CONFIGURE", "CONFIGURE", "1s", False)


_Row = tuple[str, str, str, str, str, bool]
"""Name, function, trigger, await (empty: the trigger), time limit, critical."""


def _calls(service: str, rows: list[_Row], left_out: tuple[str, ...] = ()) -> Iterator[Leaf]:
    for name, function, trigger, await_, timeout, critical in rows:
        if name not in left_out:
            path = f"{ROOT}.{service}.{name}"
            yield Leaf(path, f"{function}()", trigger, await_ or trigger, timeout, critical)


_DCS: list[_Row] = [
    ("pfr", "dcs.PrepareForRun", "before_CONFIGURE", "after_CONFIGURE-1", "310s", False),
    ("sor", "dcs.StartOfRun", "before_START_ACTIVITY+100", "", "140s", True),
    ("eor", "dcs.EndOfRun", "after_STOP_ACTIVITY-50", "", "30s", True),
    ("error-cleanup", "dcs.Cleanup", "after_GO_ERROR-1", "", "30s", False),
    ("destroy-cleanup", "dcs.Cleanup", "DESTROY", "", "30s", False),
]
_DD_SCHEDULER: list[_Row] = [
    ("initialize", "ddsched.PartitionInitialize", "before_CONFIGURE", "after_CONFIGURE-1", "300s",
     True),
    ("terminate", "ddsched.PartitionTerminate", "after_RESET-1", "", "300s", True),
    ("cleanup", "ddsched.EnsureTermination", "DESTROY", "", "60s", False),
]  # fmt: skip
_ODC: list[_Row] = [
    ("deploy", "odc.PreDeploymentCleanup", "before_DEPLOY-100", "before_DEPLOY-100", "60s", False),
    ("part-init", "odc.PartitionInitialize", "before_DEPLOY", "after_DEPLOY-1", "60s", True),
    ("configure", "odc.Configure", "after_CONFIGURE-1", "after_CONFIGURE-1", "60s", True),
    ("start", "odc.Start", "before_START_ACTIVITY+100", "after_START_ACTIVITY-10", "60s", True),
    ("stop", "odc.Stop", "before_STOP_ACTIVITY", "after_STOP_ACTIVITY-50", "60s", True),
    ("go-error", "odc.EnsureStop", "before_GO_ERROR", "after_GO_ERROR-1", "60s", False),
    ("reset", "odc.Reset", "before_RESET", "after_RESET-1", "60s", True),
    ("part-term", "odc.PartitionTerminate", "after_RESET+100", "after_RESET+100", "60s", True),
    ("cleanup", "odc.EnsureCleanup", "DESTROY", "", "60s", False),
    ("legacy-cleanup", "odc.EnsureCleanupLegacy", "DESTROY", "", "1m", False),
]
_TRG: list[_Row] = [
    ("pfr", "trg.PrepareForRun", "before_START_ACTIVITY-200", "", "5s", True),
    ("load", "trg.RunLoad", "before_START_ACTIVITY+10", "", "15s", True),
    ("start", "trg.RunStart", "after_START_ACTIVITY-10", "", "20s", True),
    ("stop", "trg.RunStop", "before_STOP_ACTIVITY-10", "", "5s", False),
    ("unload", "trg.RunUnload", "after_STOP_ACTIVITY-100", "", "5s", False),
    ("errorensurerunstop", "trg.EnsureRunStop", "before_GO_ERROR-10", "", "5s", False),
    ("errorensurerununload", "trg.EnsureRunUnload", "before_GO_ERROR-9", "", "5s", False),
    ("destroyensurerunstop", "trg.EnsureRunStop", "DESTROY-100", "", "5s", False),
    ("destroyensurerununload", "trg.EnsureRunUnload", "DESTROY-99", "", "5s", False),
]
_CCDB: list[_Row] = [
    ("start", "ccdb.RunStart", "before_START_ACTIVITY+100", "", "10s", False),
    ("stop", "ccdb.RunStop", "after_STOP_ACTIVITY", "", "10s", False),
    ("destroy", "ccdb.RunStop", "DESTROY", "", "10s", False),
    ("error", "ccdb.RunStop", "after_GO_ERROR", "", "10s", False),
]
_BOOKKEEPING: list[_Row] = [
    (name, f"bookkeeping.{function}", trigger, "", "10s", False)
    for name, function, trigger in (
        ("startrun", "StartOfRun", "before_START_ACTIVITY+10"),
        ("retrievefillinfoatsor", "RetrieveFillInfo", "before_START_ACTIVITY+11"),
        ("updaterunstart", "UpdateRunStart", "after_START_ACTIVITY+100"),
        ("updaterunstop", "UpdateRunStop", "after_STOP_ACTIVITY+100"),
        ("updaterungoerror", "UpdateRunStop", "after_GO_ERROR+100"),
        ("updaterundestroy", "UpdateRunStop", "DESTROY"),
        ("startenv", "CreateEnv", "before_DEPLOY"),
        ("deploy", "UpdateEnv", "after_DEPLOY+100"),
        ("configure", "UpdateEnv", "after_CONFIGURE+100"),
        ("reset", "UpdateEnv", "after_RESET+100"),
        ("start", "UpdateEnv", "after_START_ACTIVITY+100"),
        ("stop", "UpdateEnv", "after_STOP_ACTIVITY+100"),
        ("exit", "UpdateEnv", "after_EXIT"),
        ("goerror", "UpdateEnv", "after_GO_ERROR+100"),
        ("recover", "UpdateEnv", "after_RECOVER+100"),
        ("destroy", "UpdateEnv", "DESTROY"),
    )
]
_LHC: list[_Row] = [
    ("deploy", "lhc.UpdateFillInfo", "before_DEPLOY-50", "", "5s", True),
    ("sor", "lhc.UpdateFillInfo", "before_START_ACTIVITY-50", "", "5s", True),
    ("eor", "lhc.UpdateFillInfo", "before_STOP_ACTIVITY-50", "", "5s", True),
    ("error", "lhc.UpdateFillInfo", "before_GO_ERROR-50", "", "5s", False),
]
_KAFKA: list[_Row] = [
    *(
        (name, "kafka.PublishEnterStateUpdate", trigger, "", "5s", False)
        for name, trigger in (
            ("standby", "enter_STANDBY"), ("deployed", "enter_DEPLOYED"),
            ("configured", "enter_CONFIGURED"), ("running", "enter_RUNNING"),
            ("error", "enter_ERROR"), ("destroy", "DESTROY"),
        )
    ),
    *(
        (f"leave_{state}", "kafka.PublishLeaveStateUpdate", f"leave_{state.upper()}", "", "5s",
         False)
        for state in ("standby", "deployed", "configured", "running", "error")
    ),
    ("before_start_activity", "kafka.PublishStartActivityUpdate", "before_START_ACTIVITY+50", "",
     "5s", False),
]  # fmt: skip
