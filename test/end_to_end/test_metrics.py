"""Metrics of a real core: what Prometheus reads, and what InfluxDB does."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from test.end_to_end.core import RunningCore

pytestmark = pytest.mark.end_to_end


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text: str = answer.read().decode()
        return text


def numbers(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_of_a_run(tmp_path: Path) -> None:
    with RunningCore(tmp_path, settings={"metricsEndpoint": "0000/ecsmetrics-of-a-test"}) as core:
        environment = core.create("builtin/workflows/demo@main")
        core.control(environment.id, "START_ACTIVITY")
        found = numbers(read(core.addresses["rest"] + "/metrics"))
        assert found[("aliecs_tasks", "RUNNING")] >= 5
        assert found[("aliecs_environments", "RUNNING")] == 1
        assert found[("aliecs_events_total", "task")] > 10
        # Labels are in the order of their names: result, step, transition.
        key = ("aliecs_transition_seconds_count", "success", "all", "START_ACTIVITY")
        assert found[key] == 1
        steps = {k[2] for k in found if k[0] == "aliecs_transition_seconds_count"}
        assert steps == {"all", "before", "leave", "tasks", "enter", "after"}
        calls = {key[1:] for key in found if key[0] == "aliecs_call_seconds_count"}
        assert calls
        assert all(name.startswith("testplugin.") for name, result in calls)
        assert found[("aliecs_reactor_delay_seconds_count",)] > 1
        assert ("aliecs_queue_length", "journal") in found
        assert found[("process_resident_memory_bytes",)] > 1e6
        launched = found[("o2control_scheduler_tasks_launched",)]
        assert (
            launched
            == numbers(read(core.addresses["metrics"]))[("o2control_scheduler_tasks_launched",)]
        )
        assert launched >= 6

        address = core.addresses["ecsmetrics"]
        assert address.endswith("/ecsmetrics")
        lines = read(address).splitlines()
        wanted = f"transition,envId={environment.id},function=try,result=success,subsystem=ECS"
        assert any(line.startswith(f"{wanted},transition=START_ACTIVITY ") for line in lines)
        assert any(line.startswith(f"hooks,envId={environment.id},runtype=") for line in lines)
        assert read(address) == ""
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(address.replace("ecsmetrics", "other"))


def test_ports_that_others_have_keep_nobody_from_starting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"metrics.port": port, "metricsEndpoint": f"{port:04d}/ecsmetrics"}
        with RunningCore(tmp_path, settings=settings) as core:
            assert "metrics" not in core.addresses
            assert f"metrics.port: there are no metrics on 127.0.0.1:{port}" in core.log()
            assert "metricsEndpoint: there are no metrics" in core.log()
            assert "aliecs_info" in read(core.addresses["rest"] + "/metrics")


def test_an_endpoint_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with RunningCore(tmp_path, settings={"metricsEndpoint": "metrics"}) as core:
        assert "metricsEndpoint: 'metrics' is not a port" in core.log()
