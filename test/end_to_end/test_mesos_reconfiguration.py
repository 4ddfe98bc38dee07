"""Other variables for an environment on a cluster: most processes go on, others are launched anew
where they were, and their peers find them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from twisted.internet.threads import deferToThread

from aliecs.protocol import aliecs_v1_pb2
from test.end_to_end.core import CALL_DEADLINE_S, RunningCore
from test.end_to_end.mesos_case import MesosCoreCase
from test.end_to_end.workflows import BASE, DUO

pytestmark = pytest.mark.end_to_end


def is_told_other_variables(core: RunningCore) -> None:
    environment_id = core.create(core.template("duo"), host="flp001").id
    names = ("needed", "other")
    before = {name: core.task(environment_id, f"duo.{name}") for name in names}
    request = aliecs_v1_pb2.ReconfigureEnvironmentRequest(
        environment_id=environment_id, variables={"needed_options": "--late 0.1"}
    )
    reply = core.extended.ReconfigureEnvironment(request, deadline_s=CALL_DEADLINE_S)
    assert reply.operation.kind == "RECONFIGURE"
    after = {name: core.task(environment_id, f"duo.{name}") for name in names}
    assert after["other"].pid == before["other"].pid
    assert after["needed"].taskId != before["needed"].taskId
    was, now = before["needed"].deploymentInfo, after["needed"].deploymentInfo
    assert now.hostname == was.hostname
    assert core.control(environment_id, "START_ACTIVITY").state == "RUNNING"
    assert core.task_log(after["needed"].taskId) == ["configure", "start"]
    core.destroy(environment_id, allowInRunningState=True)
    assert core.tasks() == []


class MesosReconfigurationTest(MesosCoreCase):
    workflows: ClassVar[Mapping[str, str]] = {
        **BASE,
        "workflows/duo.yaml": DUO.replace("value: two", "value: flp002"),
    }

    async def test_an_environment_is_told_other_variables(self) -> None:
        await deferToThread(is_told_other_variables, self.core)
