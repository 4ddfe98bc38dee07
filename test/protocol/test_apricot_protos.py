"""The messages of the configuration service on the wire."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from aliecs.configuration.query import RUN_TYPES
from aliecs.protocol.protos import apricot_pb2

METHODS = """
NewRunNumber GetDefaults GetVars RawGetRecursive ListDetectors GetHostInventory
GetDetectorsInventory GetDetectorForHost GetDetectorsForHosts GetCRUCardsForHost
GetEndpointsForCRUCard GetLinkIDsForCRUEndpoint GetAliasedLinkIDsForDetector GetRuntimeEntry
SetRuntimeEntry GetRuntimeEntries ListRuntimeEntries ListComponents ListComponentEntries
GetComponentConfiguration GetComponentConfigurationWithLastIndex ResolveComponentQuery
ImportComponentConfiguration InvalidateComponentTemplateCache
"""

VECTORS: list[tuple[Message, str]] = [
    (
        apricot_pb2.ComponentRequest(
            query=apricot_pb2.ComponentQuery(
                component="qc", runType=apricot_pb2.ANY, machineRole="any", entry="e"
            ),
            processTemplate=True,
            varStack={"a": "b"},
        ),
        "120f0a02716310ac021a03616e792201651801" + "22060a0161120162",
    ),
    (apricot_pb2.ComponentRequest(path="qc/ANY/any/e"), "0a0c71632f414e592f616e792f65"),
    (
        apricot_pb2.LinkIDsRequest(
            hostname="h", cardSerial="0228", endpoint="1", onlyEnabled=True
        ),
        "0a0168120430323238" + "1a01312001",
    ),
    (
        apricot_pb2.ImportComponentConfigurationRequest(payload="x", newComponent=True),
        "1201781801",
    ),
    (
        apricot_pb2.DetectorEntriesResponse(
            detectorEntries={"ITS": apricot_pb2.DetectorInventoryResponse(flps=["flp001"])}
        ),
        "0a0f0a03495453" + "12080a06666c70303031",
    ),
    (apricot_pb2.ComponentResponseWithLastIndex(payload="x", lastIndex=300), "0a017810ac02"),
    (apricot_pb2.RunNumberResponse(runNumber=300), "08ac02"),
]


def test_the_service_has_its_methods_under_their_names() -> None:
    service = apricot_pb2.DESCRIPTOR.services_by_name["Apricot"]
    assert service.full_name == "apricot.Apricot"
    assert sorted(service.methods_by_name) == sorted(METHODS.split())


@pytest.mark.parametrize(("message", "encoded"), VECTORS)
def test_encoding(message: Message, encoded: str) -> None:
    assert message.SerializeToString(deterministic=True).hex() == encoded


def test_run_types_are_those_of_paths() -> None:
    assert dict(apricot_pb2.RunType.items()) == RUN_TYPES
