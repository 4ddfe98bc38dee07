"""The control messages on the wire: names and numbers that clients elsewhere depend on."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import common_pb2, events_pb2, o2control_pb2

VECTORS: list[tuple[Message, str]] = [
    (
        events_pb2.Event(
            timestamp=1,
            timestampNano=2,
            coreStartEvent=events_pb2.Ev_MetaEvent_CoreStart(frameworkId="z"),
        ),
        "08011002ba06030a017a",
    ),
    (
        events_pb2.Event(
            timestamp=5,
            beamModeEvent=events_pb2.Ev_BeamModeEvent(
                timestamp=7,
                beamInfo=common_pb2.BeamInfo(fillNumber=9000, beamMode=common_pb2.BEAM_DUMP),
            ),
        ),
        "0805c20c090807120518a846300f",
    ),
    (
        events_pb2.Event(
            timestamp=1700000000123,
            timestampNano=1700000000123456789,
            environmentEvent=events_pb2.Ev_EnvironmentEvent(
                environmentId="2oDvieFrVTi",
                state="RUNNING",
                runNumber=42,
                message="transition starting",
                transition="STOP_ACTIVITY",
                transitionStatus=events_pb2.STARTED,
                lastRequestUser=common_pb2.User(
                    externalId=common_pb2.SpecialUserId.LHC, name="LHC"
                ),
            ),
        ),
        "08fbd095ffbc3110959a97ece39fe7cb175a470a0b326f447669654672565469120752554e4e494e47182a2a1"
        "37472616e736974696f6e207374617274696e67320d53544f505f414354495649545940015207083c1a034c48"
        "43",
    ),
    (
        o2control_pb2.ControlEnvironmentRequest(
            id="2oDvieFrVTi",
            type=o2control_pb2.ControlEnvironmentRequest.START_ACTIVITY,
            requestUser=common_pb2.User(externalId=0, name="flp"),
        ),
        "0a0b326f44766965467256546910011a0708001a03666c70",
    ),
]


@pytest.mark.parametrize(("message", "encoded"), VECTORS)
def test_encoding(message: Message, encoded: str) -> None:
    assert message.SerializeToString(deterministic=True).hex() == encoded
    assert type(message).FromString(bytes.fromhex(encoded)) == message


METHODS = """
GetFrameworkInfo GetEnvironments NewAutoEnvironment NewEnvironment GetEnvironment
ControlEnvironment DestroyEnvironment GetActiveDetectors GetAvailableDetectors NewEnvironmentAsync
GetTasks GetTask CleanupTasks GetRoles GetWorkflowTemplates ListRepos AddRepo RemoveRepo
RefreshRepos SetDefaultRepo SetGlobalDefaultRevision SetRepoDefaultRevision Subscribe
GetIntegratedServices Teardown ModifyEnvironment
"""


def test_the_control_service_has_its_methods_under_their_names() -> None:
    service = o2control_pb2.DESCRIPTOR.services_by_name["Control"]
    assert service.full_name == "o2control.Control"
    assert sorted(service.methods_by_name) == sorted(METHODS.split())
    streaming = [method.name for method in service.methods if method.server_streaming]
    assert streaming == ["Subscribe"]
    assert service.methods_by_name["Subscribe"].output_type.full_name == "events.Event"
    assert service.methods_by_name["RefreshRepos"].output_type.full_name == "o2control.Empty"


def test_files_are_known_by_the_names_that_reflection_clients_ask_for() -> None:
    assert o2control_pb2.DESCRIPTOR.name == "protos/o2control.proto"
    assert events_pb2.DESCRIPTOR.name == "protos/events.proto"
    assert common_pb2.DESCRIPTOR.name == "protos/common.proto"


FIELDS = {
    "o2control.EnvironmentInfo": (
        "id createdWhen state tasks rootRole currentRunNumber defaults vars userVars numberOfFlps "
        "includedDetectors description numberOfHosts integratedServicesData numberOfTasks "
        "currentTransition numberOfActiveTasks numberOfInactiveTasks"
    ),
    "o2control.ShortTaskInfo": (
        "name locked taskId status state className deploymentInfo pid sandboxStdout claimable "
        "critical"
    ),
    "o2control.RoleInfo": (
        "name status state fullPath taskIds roles defaults vars userVars consolidatedStack "
        "description"
    ),
    "o2control.VarSpecMessage": (
        "defaultValue type label description widget panel allowedValues index visibleIf enabledIf "
        "rows"
    ),
    "o2control.GetFrameworkInfoReply": (
        "frameworkId environmentsCount tasksCount state hostsCount instanceName version "
        "configurationEndpoint detectorsInInstance activeDetectors availableDetectors timestamp"
    ),
    "o2control.ControlEnvironmentReply": (
        "id state currentRunNumber startOfTransition endOfTransition transitionDuration timestamp"
    ),
    "o2control.DestroyEnvironmentRequest": "id keepTasks allowInRunningState force requestUser",
    "events.Ev_EnvironmentEvent": (
        "environmentId state runNumber error message transition transitionStep transitionStatus "
        "vars lastRequestUser workflowTemplateInfo"
    ),
    "events.Ev_TaskEvent": (
        "name taskid state status hostname className traits environmentId path"
    ),
    "events.Ev_CallEvent": "func callStatus return traits output error environmentId path",
    "events.Ev_IntegratedServiceEvent": (
        "name error operationName operationStatus operationStep operationStepStatus environmentId "
        "payload"
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_numbered_from_one_in_this_order(name: str) -> None:
    package, message = name.split(".")
    module = {"o2control": o2control_pb2, "events": events_pb2}[package]
    fields = module.DESCRIPTOR.message_types_by_name[message].fields
    assert {field.name: field.number for field in fields} == {
        field: number for number, field in enumerate(FIELDS[name].split(), start=1)
    }


def test_fields_with_gaps_in_their_numbers() -> None:
    def numbers(module: object, message: str) -> dict[str, int]:
        fields: list[FieldDescriptor] = module.DESCRIPTOR.message_types_by_name[message].fields  # type: ignore[attr-defined]
        return {field.name: field.number for field in fields}

    assert numbers(o2control_pb2, "TaskInfo") == {
        "shortInfo": 1,
        "inboundChannels": 3,
        "outboundChannels": 4,
        "commandInfo": 5,
        "taskPath": 6,
        "envId": 7,
        "properties": 9,
    }
    assert numbers(events_pb2, "Ev_RunEvent")["lastRequestUser"] == 8
    payloads = {name: number for name, number in numbers(events_pb2, "Event").items() if number > 2}
    assert payloads == {
        "environmentEvent": 11,
        "taskEvent": 12,
        "roleEvent": 13,
        "callEvent": 14,
        "integratedServiceEvent": 15,
        "runEvent": 16,
        "frameworkEvent": 101,
        "mesosHeartbeatEvent": 102,
        "coreStartEvent": 103,
        "beamModeEvent": 200,
    }


def test_enumerations() -> None:
    assert o2control_pb2.ControlEnvironmentRequest.Optype.items() == [
        ("NOOP", 0),
        ("START_ACTIVITY", 1),
        ("STOP_ACTIVITY", 2),
        ("CONFIGURE", 3),
        ("RESET", 4),
        ("GO_ERROR", 5),
        ("DEPLOY", 6),
    ]
    assert o2control_pb2.EnvironmentOperation.Optype.items() == [
        ("NOOP", 0),
        ("REMOVE_ROLE", 3),
        ("ADD_ROLE", 4),
    ]
    assert events_pb2.OpStatus.keys() == [
        "NULL",
        "STARTED",
        "ONGOING",
        "DONE_OK",
        "DONE_ERROR",
        "DONE_TIMEOUT",
    ]
    assert common_pb2.BeamMode.Value("NO_BEAM") == 21


def test_an_asker_with_identifier_zero_is_told_from_one_without() -> None:
    assert common_pb2.User(externalId=0).SerializeToString() == b"\x08\x00"
    assert not common_pb2.User().HasField("externalId")


def test_our_own_service_stands_in_its_own_package() -> None:
    service = aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]
    assert service.full_name == "aliecs.v1.Control"
    # It may show the reference's messages; the reference's never know of it.
    theirs = o2control_pb2.DESCRIPTOR
    assert list(aliecs_v1_pb2.DESCRIPTOR.dependencies) == [theirs]
    assert aliecs_v1_pb2.DESCRIPTOR not in theirs.dependencies
