"""Hosts: what they have, and whether they get new tasks."""

from __future__ import annotations

from twisted.web.server import Request

from aliecs.api.mapping import to_value
from aliecs.api.permission import LONGEST_REASON
from aliecs.api.request import call_of, json_answer
from aliecs.api.rest.face import Face
from aliecs.api.rest.kind import MOST_IN_QUERY, Flag, Text, Texts
from aliecs.api.rest.route import Body, Field, Parameter, Part, Section
from aliecs.protocol import aliecs_v1_pb2

HOSTS = Section("hosts", "The machines that tasks run on.", [Part("name", "name of a host")])

NAME = Parameter("name", Texts(MOST_IN_QUERY), "only these hosts", [])

CHANGE = Body(
    [
        Field("drained", Flag(), "true: no new tasks from now on; false: new tasks again"),
        Field("reason", Text(LONGEST_REASON, has_lines=True), "why", ""),
        Field("user", Text(), "who asks", ""),
    ]
)


@HOSTS.route("GET", "/hosts", reply=aliecs_v1_pb2.ListHostsReply, parameters=[NAME], problems=[404])
async def hosts(face: Face, request: Request) -> bytes:
    """Hosts, by name."""
    asked = aliecs_v1_pb2.ListHostsRequest(names=NAME.of(request))
    return await face.answer(request, face.extended.ListHosts, asked)


@HOSTS.route("GET", "/hosts/<name>", reply=aliecs_v1_pb2.Host)
async def host(face: Face, request: Request, name: str) -> bytes:
    """One host."""
    asked = aliecs_v1_pb2.ListHostsRequest(names=[name])
    reply = await face.extended.ListHosts(asked, call_of(request))
    return json_answer(request, to_value(reply.hosts[0]))


@HOSTS.route("PATCH", "/hosts/<name>", reply=aliecs_v1_pb2.Host, body=CHANGE, problems=[409])
async def change_host(face: Face, request: Request, name: str) -> bytes:
    """Drain a host, or resume it.

    What runs on a drained host goes on; it gets no new tasks, also from the next core.
    """
    body = CHANGE.of(request)
    if body["drained"]:
        drain = aliecs_v1_pb2.DrainHostRequest(
            name=name, reason=body["reason"], requested_by=body["user"]
        )
        return await face.answer(request, face.extended.DrainHost, drain)
    resume = aliecs_v1_pb2.ResumeHostRequest(name=name, requested_by=body["user"])
    return await face.answer(request, face.extended.ResumeHost, resume)
