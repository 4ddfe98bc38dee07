"""Channels, constraints, resources and commands as templates declare them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliecs.errors import TemplateError
from aliecs.language.declaration import (
    Channel,
    Constraint,
    Limits,
    Wants,
    merge_channels,
    merge_constraints,
    merge_port_ranges,
    parse_channels,
    parse_command,
    parse_constraints,
    parse_limits,
    parse_wants,
    without_targets,
)
from aliecs.language.document import Document, MappingNode, parse_document


def parse(text: str) -> tuple[Document, MappingNode]:
    document = parse_document(text.encode(), "f.yaml")
    return document, document.mapping(document.root, "the file")


def test_channels_have_defaults() -> None:
    document, node = parse("bind: [{name: a, type: PUSH}]\nconnect: [{name: b, target: ' x '}]")
    assert parse_channels(document, node, "bind") == (Channel("a", "push"),)
    assert parse_channels(document, node, "connect") == (Channel("b", target="x"),)


def test_a_full_channel() -> None:
    text = """bind:
      - name: data
        type: pull
        transport: shmem
        sndBufSize: "4"
        rcvBufSize: 5
        rateLogging: "{{ rate }}"
        target: tcp://*:9000
        addressing: IPC
        global: alias-{{ it }}
    """
    document, node = parse(text)
    (channel,) = parse_channels(document, node, "bind")
    assert channel == Channel(
        "data", "pull", "shmem", 4, 5, "{{ rate }}", "tcp://*:9000", "ipc", "alias-{{ it }}"
    )
    assert channel.line == 2
    assert Channel.from_document(channel.to_document()) == channel


@pytest.mark.parametrize(
    "body",
    ["type: pushy", "transport: pigeon", "addressing: udp", "sndBufSize: '{{ n }}'", "name: [a]"],
)
def test_malformed_channels(body: str) -> None:
    document, node = parse(f"bind:\n  - {body}\n")
    with pytest.raises(TemplateError, match=r"f\.yaml:2"):
        parse_channels(document, node, "bind")


def test_outbound_channels_have_no_alias() -> None:
    document, node = parse("connect: [{name: a, global: g, addressing: nonsense}]")
    assert parse_channels(document, node, "connect") == (Channel("a"),)


def test_constraints() -> None:
    document, node = parse("constraints: [{attribute: machine_id, value: flp1, operator: 0}]")
    assert parse_constraints(document, node) == (Constraint("machine_id", "flp1"),)
    for text in ("[{value: x}]", "[{attribute: a, operator: 1}]", "[text]", "text"):
        document, node = parse(f"constraints: {text}")
        with pytest.raises(TemplateError):
            parse_constraints(document, node)


@pytest.mark.parametrize(
    ("attributes", "met"),
    [
        ({"a": "x"}, True),
        ({"a": "w,x"}, True),
        ({"a": "w, x"}, False),
        ({"a": "xy"}, False),
        ({"b": "x"}, False),
        ({}, False),
    ],
)
def test_a_constraint_is_met(attributes: Mapping[str, str], met: bool) -> None:
    assert Constraint("a", "x").is_met(attributes) is met


def test_wants_and_limits() -> None:
    text = (
        "wants: {cpu: '0.5', memory: 128, ports: '8000, 9000-9010,9011 , 8001'}\nlimits: {cpu: 0}"
    )
    document, node = parse(text)
    assert parse_wants(document, node) == Wants(0.5, 128.0, ((8000, 8001), (9000, 9011)))
    assert parse_limits(document, node) == Limits(None, None)
    assert parse_wants(*parse("a: 1")) == Wants()


@pytest.mark.parametrize("ports", ["x", "9010-9000", "0", "70000", "1-2-3"])
def test_malformed_ports(ports: str) -> None:
    document, node = parse(f"wants: {{ports: '{ports}'}}")
    with pytest.raises(TemplateError, match="range such as"):
        parse_wants(document, node)


def test_commands() -> None:
    text = """value: run
shell: " TRUE "
arguments: [a, 1.50, ~]
env: [A=b]
log: all
"""
    command = parse_command(*parse(text))
    assert command.shell
    assert [argument.text for argument in command.arguments] == ["a", "1.50", ""]
    assert (command.stdout.text, command.stderr.text) == ("all", "none")
    assert not parse_command(*parse("shell: yes")).shell
    assert parse_command(*parse("log: all\nstdout: none")).stdout.text == "none"


def test_the_nearest_channel_of_a_name_is_taken_whole() -> None:
    own, parents, classes = (Channel(n, t) for n, t in (("a", "push"), ("b", ""), ("a", "pull")))
    assert merge_channels((own,), (parents,), (classes,)) == (own, parents)


def test_later_constraints_take_the_place_of_earlier_ones() -> None:
    merged = merge_constraints(
        (Constraint("a", "class"), Constraint("b", "class")), (), (Constraint("a", "role"),)
    )
    assert merged == (Constraint("a", "role"), Constraint("b", "class"))


def test_targets_of_classes_mean_nothing() -> None:
    assert without_targets((Channel("a", target="x:y"),)) == (Channel("a"),)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda t: (t[0], sum(t)))))
def test_merged_ranges_hold_the_same_ports(ranges: list[tuple[int, int]]) -> None:
    merged = merge_port_ranges(ranges)
    ports = {port for begin, end in ranges for port in range(begin, end + 1)}
    assert [p for begin, end in merged for p in range(begin, end + 1)] == sorted(ports)
    assert all(first[1] + 1 < second[0] for first, second in itertools.pairwise(merged))
