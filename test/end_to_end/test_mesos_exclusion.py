"""A part of an environment leaves a run on a cluster, dies, and comes back into it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import ClassVar

import pytest
from twisted.internet.threads import deferToThread

from aliecs.protocol import aliecs_v1_pb2
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.mesos_case import MesosCoreCase
from test.end_to_end.test_exclusion import DEMO, DETECTORS, reports
from test.end_to_end.workflows import BASE

pytestmark = pytest.mark.end_to_end


def modify(core: RunningCore, environment_id: str, **wanted: list[str]) -> None:
    request = aliecs_v1_pb2.ModifyEnvironmentRequest(environment_id=environment_id, **wanted)
    core.extended.ModifyEnvironment(request, deadline_s=CALL_DEADLINE_S)


def leaves_and_comes_back(core: RunningCore) -> None:
    environment_id = core.create(DEMO, **DETECTORS, listen_address="*").id
    run = core.control(environment_id, "START_ACTIVITY").currentRunNumber
    time.sleep(0.3)
    modify(core, environment_id, exclude_detectors=["TST"])
    readout = core.task(environment_id, "demo.flp-flp002.readout")
    first = reports(core, environment_id, "demo.flp-flp002.readout", run)
    os.kill(int(readout.pid), signal.SIGKILL)
    core.wait_until(lambda: core.record(environment_id).warnings, 10, "its end is told")
    modify(core, environment_id, include_detectors=["TST"])
    again = core.task(environment_id, "demo.flp-flp002.readout")
    assert again.taskId != readout.taskId
    assert again.deploymentInfo.hostname == readout.deploymentInfo.hostname
    time.sleep(0.3)
    assert core.control(environment_id, "STOP_ACTIVITY").state == "CONFIGURED"
    other = reports(core, environment_id, "demo.flp-flp001.readout", run)
    second = reports(core, environment_id, "demo.flp-flp002.readout", run)
    assert (len(other), len(first), len(second)) == (1, 1, 1)
    assert reports(core, environment_id, "demo.sender", run) == other + first + second
    assert len(reports(core, environment_id, "demo.flp-flp002.builder", run)) == 2
    core.destroy(environment_id)
    assert core.tasks() == []


class MesosExclusionTest(MesosCoreCase):
    workflows: ClassVar[Mapping[str, str]] = BASE

    async def test_a_detector_leaves_a_run_dies_and_comes_back(self) -> None:
        await deferToThread(leaves_and_comes_back, self.core)
