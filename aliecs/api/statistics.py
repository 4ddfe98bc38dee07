"""How long transitions take and how many of them work: `GetTransitionStatistics`, from the records
of all environments that are remembered and of those that live."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

from aliecs.api.core import Core
from aliecs.environment.machine import Event
from aliecs.errors import InvalidInput
from aliecs.journal import EnvironmentRecord
from aliecs.protocol import aliecs_v1_pb2 as v1

PAGE = 200
"""Records that are read at a time: meanwhile the journal writes nothing."""

_LIFE = {event.value: place for place, event in enumerate(Event)}


@define
class _Tally:
    """What became of one kind of transition."""

    failed: int = 0
    durations_ms: list[int] = field(factory=list)
    """Of those that worked."""


async def statistics_reply(
    core: Core, request: v1.GetTransitionStatisticsRequest
) -> v1.GetTransitionStatisticsReply:
    """The statistics that are asked for. Raises `InvalidInput`."""
    if request.from_ms < 0 or request.to_ms < 0:
        raise InvalidInput("from_ms and to_ms are times in Unix milliseconds, or 0")
    tallies: dict[tuple[str, str], _Tally] = {}
    environments = 0
    async for record in _records(core, request.from_ms):
        environments += 1
        for one in _ended(record, request.from_ms, request.to_ms):
            group = _group(record, one, request.group_by)
            tally = tallies.setdefault((group, one["event"]), _Tally())
            if one.get("error"):
                tally.failed += 1
            else:
                tally.durations_ms.append(one["ended_ms"] - one["started_ms"])
        await core.roster.pace.breathe()
    return v1.GetTransitionStatisticsReply(
        statistics=_messages(tallies),
        environments=environments,
        timestamp=core.now_ms(),
    )


async def _records(core: Core, from_ms: int) -> AsyncIterator[Mapping[str, Any]]:
    """The records of environments that live, and of those that ended after that time."""
    living = [one.history.record(one.state.value) for one in core.manager.environments()]
    for record in living:
        yield record
    journal = core.manager.facilities.journal
    page: Sequence[EnvironmentRecord] = await journal.ended(PAGE)
    while page:
        for one in page:
            if (one.ended_ms or 0) < from_ms:
                return
            yield one.record
        page = await journal.ended(PAGE, page[-1])


def _ended(record: Mapping[str, Any], from_ms: int, to_ms: int) -> Iterator[Mapping[str, Any]]:
    transitions: Sequence[Mapping[str, Any]] = record.get("transitions", ())
    for one in transitions:
        started_ms = one["started_ms"]
        if one.get("ended_ms") and started_ms >= from_ms and (not to_ms or started_ms < to_ms):
            yield one


def _group(record: Mapping[str, Any], transition: Mapping[str, Any], grouping: int) -> str:
    if grouping == v1.STATISTICS_GROUPING_WORKFLOW:
        return str(record.get("workflow_template", ""))
    if grouping == v1.STATISTICS_GROUPING_DAY:
        return f"{datetime.fromtimestamp(transition['started_ms'] / 1000, UTC):%Y-%m-%d}"
    if grouping == v1.STATISTICS_GROUPING_ENVIRONMENT:
        return str(record.get("id", ""))
    return ""


def _messages(tallies: Mapping[tuple[str, str], _Tally]) -> Iterable[v1.TransitionStatistics]:
    for group, event in sorted(tallies, key=lambda one: (one[0], _LIFE.get(one[1], len(_LIFE)))):
        tally = tallies[group, event]
        durations = tally.durations_ms
        count = len(durations) + tally.failed
        message = v1.TransitionStatistics(
            group=group,
            event=event,
            count=count,
            failed=tally.failed,
            success_rate=len(durations) / count,
        )
        if durations:
            message.shortest_ms, message.longest_ms = min(durations), max(durations)
            message.median_ms = int(statistics.median(durations))
            message.mean_ms = sum(durations) / len(durations)
        yield message
