"""Roles, tokens, sessions and locks: what no running core is needed for."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from aliecs.access.lock import Locks
from aliecs.access.login import local_path
from aliecs.access.session import LASTS_S, TICKET_LASTS_S, Sessions
from aliecs.access.token import entry_for, hash_of, new_token, read_tokens
from aliecs.api.control import Control
from aliecs.api.extended import ExtendedControl
from aliecs.api.permission import Rule, address_of, number_of_person
from aliecs.errors import LockTaken, SettingsError, Unauthenticated, Unavailable
from aliecs.event.record import LockEvent
from aliecs.interfaces import Caller, Credentials, MemoryFunctions, Role, role_of
from aliecs.protocol import aliecs_v1_pb2
from aliecs.protocol.protos import o2control_pb2


def now(work: Awaitable[Any]) -> Any:
    """The result of something that waits for nobody."""

    async def run() -> Any:
        return await work

    results: list[Any] = []
    Deferred.fromCoroutine(run()).addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


@pytest.mark.parametrize(
    ("access", "role", "detectors"),
    [
        (["admin", "det-its"], Role.ADMIN, {"ITS"}),
        (["GLOBAL"], Role.GLOBAL, set()),
        (["det-its", "DET-TPC"], Role.DETECTOR, {"ITS", "TPC"}),
        (["default-role", "guest", "det-"], Role.GUEST, set()),
        ([], Role.GUEST, set()),
    ],
)
def test_a_role_comes_from_an_access_list(
    access: list[str], role: Role, detectors: set[str]
) -> None:
    assert role_of(access) == (role, detectors)


@given(st.lists(st.text()))
def test_words_that_nobody_knows_give_nothing(words: list[str]) -> None:
    role, detectors = role_of(words)
    known = {word.strip().lower() for word in words}
    assert (role is Role.ADMIN) == ("admin" in known)
    assert all(f"det-{name.lower()}" in {word.lower() for word in known} for name in detectors)


def test_every_operation_has_a_rule() -> None:
    for servicer, service in (
        (Control, o2control_pb2.DESCRIPTOR.services_by_name["Control"]),
        (ExtendedControl, aliecs_v1_pb2.DESCRIPTOR.services_by_name["Control"]),
    ):
        for method in service.methods:
            rule = getattr(getattr(servicer, method.name), "rule", None)
            assert isinstance(rule, Rule), method.full_name
            harmless = ("Get", "List", "Subscribe", "Watch", "Inspect", "Explain", "Preview")
            assert rule.changes != method.name.startswith(harmless), method.full_name


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:4000", "10.0.0.7"),
        ("ipv6:%5B::1%5D:4000", "::1"),
        ("ipv6:[fe80::1]:4000", "fe80::1"),
        ("unix:/tmp/socket", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert address_of(peer) == address


@pytest.mark.parametrize(
    ("person", "number"),
    [("4711", 4711), ("0", 0), ("2147483648", None), ("9" * 5000, None), ("", None), ("a1", None)],
)
def test_the_number_of_a_person(person: str, number: int | None) -> None:
    assert number_of_person(person) == number


def test_a_file_of_tokens_has_hashes_only() -> None:
    token = new_token()
    text = entry_for("alice", token, ["det-its"], "2027-12-31")
    assert token not in text
    caller = read_tokens(text, "here")[hash_of(token)]
    assert (caller.name, caller.role) == ("alice", Role.DETECTOR)
    assert caller.ends_s > 1_800_000_000


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: alice", "a list of tokens"),
        ("- alice", "token 1: a token is a map"),
        ("- {hash: x}", "token 1: it has no name"),
        ("- {name: alice, hash: secret}", "the hash of 'alice'"),
        (f"- {{name: a, hash: 'sha256:{'0' * 64}', access: [king]}}", "'king'"),
        (f"- {{name: a, hash: 'sha256:{'0' * 64}', expires: soon}}", "expires is not a date"),
        (f"- {{name: a, hash: 'sha256:{'0' * 64}'}}\n" * 2, "token 2: its hash is there twice"),
        ("- [", "here:"),
    ],
)
def test_a_wrong_file_of_tokens_is_told(text: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_tokens(text, "here")
    assert what in caught.value.message
    assert "secret" not in caught.value.message


class Time:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.s = time.time()

    def __call__(self) -> float:
        return self.s


def test_a_session_ends(tmp_path: Path) -> None:
    clock = Time()
    sessions = Sessions(tmp_path / "key", clock)
    sessions.load()
    alice = Caller("alice", "4711", Role.DETECTOR, frozenset({"ITS"}), "OpenID Connect")
    cookie = sessions.begin(alice)
    assert now(sessions.recognise(Credentials(session=cookie))) == alice
    others = Sessions(tmp_path / "other key", clock)
    others.load()
    with pytest.raises(Unauthenticated, match="not one of this core"):
        now(others.recognise(Credentials(session=cookie)))
    again = Sessions(tmp_path / "key", clock)
    again.load()
    assert now(again.recognise(Credentials(session=cookie))) == alice
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    clock.s += LASTS_S + 1
    with pytest.raises(Unauthenticated, match="is over"):
        now(again.recognise(Credentials(session=cookie)))


def test_a_ticket_is_good_once_and_not_for_long(tmp_path: Path) -> None:
    clock = Time()
    sessions = Sessions(tmp_path / "key", clock)
    alice = Caller("alice")
    ticket = sessions.ticket(alice)
    assert now(sessions.recognise(Credentials(ticket=ticket))) == alice
    late = sessions.ticket(alice)
    clock.s += TICKET_LASTS_S
    for used in (ticket, late):
        with pytest.raises(Unauthenticated, match="ticket"):
            now(sessions.recognise(Credentials(ticket=used)))


@pytest.mark.parametrize(
    ("back", "path"),
    [
        ("/here?a=b", "/here?a=b"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_a_browser_stays_with_us(back: str, path: str) -> None:
    assert local_path(back) == path


# --- locks ---------------------------------------------------------------------------------


class Memory:
    """What outlives a core, as long as its disk works."""

    def __init__(self) -> None:
        self.text = ""
        self.is_broken = False

    def functions(self) -> MemoryFunctions:
        return MemoryFunctions(self.read, self.write)

    async def read(self, name: str) -> str:
        return self.text

    async def write(self, name: str, text: str) -> None:
        if self.is_broken:
            raise Unavailable("the disk is full")
        self.text = text


ALICE, BOB = Caller("alice", "1"), Caller("bob", "2")


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def told() -> list[LockEvent]:
    return []


@pytest.fixture
def locks(memory: Memory, told: list[LockEvent]) -> Locks:
    return Locks(memory.functions(), told.append)


def test_locks_are_taken_all_or_none(locks: Locks, told: list[LockEvent]) -> None:
    now(locks.take(["ITS"], ALICE, "scan"))
    with pytest.raises(LockTaken, match=r"ITS is held by alice since .* \(scan\)"):
        now(locks.take(["TPC", "ITS"], BOB))
    assert locks.of("TPC") is None
    assert list(now(locks.take(["TPC", "ITS"], BOB, skip_taken=True))) == ["TPC"]
    assert list(locks.missing(["ITS", "TPC", "MFT"], BOB)) == ["ITS", "MFT"]
    assert [(event.detector, event.owner) for event in told] == [("ITS", "alice"), ("TPC", "bob")]


def test_what_cannot_be_written_down_has_not_happened(
    locks: Locks, memory: Memory, told: list[LockEvent]
) -> None:
    memory.is_broken = True
    with pytest.raises(Unavailable):
        now(locks.take(["ITS"], ALICE))
    assert locks.of("ITS") is None
    assert told == []
    memory.is_broken = False
    now(locks.take(["ITS"], ALICE))


def test_another_core_finds_them(locks: Locks, memory: Memory) -> None:
    now(locks.take(["ITS"], ALICE, "scan"))
    next_core = Locks(memory.functions(), lambda event: None)
    now(next_core.load())
    assert next_core.all() == locks.all()
    memory.text = "rubbish"
    with pytest.raises(Unavailable, match="mend or delete it"):
        now(next_core.load())


def test_a_lock_that_is_over_is_free(memory: Memory, told: list[LockEvent]) -> None:
    time_ms = [1_000]
    locks = Locks(memory.functions(), told.append, lambda: time_ms[0])
    now(locks.take(["ITS"], ALICE, lasts_s=10))
    time_ms[0] += 9_999
    assert locks.of("ITS") is not None
    time_ms[0] += 1
    assert locks.of("ITS") is None
    now(locks.sweep())
    assert told[-1] == LockEvent("ITS")
    now(locks.take(["ITS"], BOB))


def test_to_take_a_lock_again_changes_nothing_but_what_is_said(
    locks: Locks, told: list[LockEvent]
) -> None:
    now(locks.take(["ITS"], ALICE, "scan"))
    now(locks.take(["ITS"], ALICE))
    assert len(told) == 1
    now(locks.take(["ITS"], ALICE, "another scan"))
    assert told[-1].reason == "another scan"


def test_a_lock_given_to_a_name_is_that_persons(locks: Locks) -> None:
    now(locks.take(["ITS"], ALICE))
    with pytest.raises(LockTaken, match="only its owner"):
        now(locks.hand_over(["ITS"], BOB, "bob"))
    now(locks.hand_over(["ITS"], ALICE, "Bob"))
    assert locks.missing(["ITS"], BOB) == []
    assert locks.missing(["ITS"], ALICE) == ["ITS"]
