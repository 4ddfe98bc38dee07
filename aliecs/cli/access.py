"""`coconut lock`, `audit`, `whoami` and `token`: whose a detector is just now, who did what, and
who you are for the core."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from aliecs.access.token import entry_for, new_token
from aliecs.api.mapping import to_value
from aliecs.cli.option import Group
from aliecs.cli.output import Output, local_time
from aliecs.cli.session import Session, session, user_name
from aliecs.errors import InvalidInput
from aliecs.interfaces import is_access_word
from aliecs.language.duration import parse_duration
from aliecs.protocol import aliecs_v1_pb2

group = Group("lock", help="Look at the locks of detectors, take them and give them back.")

_RESULTS = {"done": "green", "refused": "red", "failed": "red", "left": "yellow"}
ALL = "ALL"


@click.argument("detectors", metavar="[DETECTOR]...", nargs=-1)
@click.option("-a", "--all", "show_all", is_flag=True, help="those that are free, too")
def list_(detectors: tuple[str, ...], show_all: bool) -> None:
    """List the locks that are held, or those of the detectors named."""
    with session() as here:
        request = aliecs_v1_pb2.ListLocksRequest(detectors=detectors)
        reply = here.ask_extended("ListLocks", request)
        locks = [lock for lock in reply.locks if lock.owner or detectors or show_all]
        if not here.output.is_text:
            here.output.value([to_value(lock) for lock in locks])
        elif not locks:
            here.output.line("no detector is locked")
        else:
            _print_locks(here.output, locks)


@click.argument("detectors", metavar="DETECTOR...", nargs=-1, required=True)
@click.option("-r", "--reason", default="", help="why, for others to read")
@click.option(
    "-l", "--lasts", metavar="DURATION", default="", help="it ends by itself, such as after 8h"
)
@click.option("-f", "--force", is_flag=True, help="also from its owner")
def take(detectors: tuple[str, ...], reason: str, lasts: str, force: bool) -> None:
    """Take the locks of detectors; ALL takes those that are free."""
    lasts_s = round(parse_duration(lasts)) if lasts else 0
    if not 0 <= lasts_s < 2**31:
        raise InvalidInput(f"--lasts {lasts!r} is no time that a lock can last")

    def request(detector: str) -> Any:
        return aliecs_v1_pb2.TakeLockRequest(
            detector=detector,
            reason=reason,
            lasts_s=lasts_s,
            force=force,
            requested_by=user_name(),
        )

    _change("TakeLock", detectors, request)


@click.argument("detectors", metavar="DETECTOR...", nargs=-1, required=True)
@click.option("-r", "--reason", default="", help="why, for the audit")
@click.option("-f", "--force", is_flag=True, help="also from its owner")
def release(detectors: tuple[str, ...], reason: str, force: bool) -> None:
    """Give locks back; ALL gives back all that are yours."""

    def request(detector: str) -> Any:
        return aliecs_v1_pb2.ReleaseLockRequest(
            detector=detector, reason=reason, force=force, requested_by=user_name()
        )

    _change("ReleaseLock", detectors, request)


@click.argument("detectors", metavar="DETECTOR...", nargs=-1, required=True)
@click.option("-t", "--to", metavar="NAME", required=True, help="who is to have them")
@click.option("-r", "--reason", default="", help="why, for others to read")
@click.option("-f", "--force", is_flag=True, help="also those of others")
def give(detectors: tuple[str, ...], to: str, reason: str, force: bool) -> None:
    """Hand locks over to somebody else; ALL hands over all that are yours."""

    def request(detector: str) -> Any:
        return aliecs_v1_pb2.HandOverLockRequest(
            detector=detector, to=to, reason=reason, force=force, requested_by=user_name()
        )

    _change("HandOverLock", detectors, request)


def _change(method: str, detectors: Sequence[str], request: Callable[[str], Any]) -> None:
    """One detector after the other: each is told, also where a later one is refused."""
    with session() as here:
        done: list[Any] = []
        left: list[Any] = []
        for detector in detectors:
            reply = here.ask_extended(method, request(detector))
            done.extend(reply.locks)
            left.extend(reply.left_out)
            if here.output.is_text:
                for lock in reply.locks:
                    here.output.line(_sentence(lock))
                for lock in reply.left_out:
                    here.output.note(f"left out: {_sentence(lock)}")
        if not here.output.is_text:
            here.output.value(
                {"locks": [to_value(one) for one in done], "left_out": [to_value(o) for o in left]}
            )


def _sentence(lock: Any) -> str:
    if not lock.owner:
        return f"{lock.detector} is free"
    text = f"{lock.detector} is locked by {lock.owner}"
    if lock.expires_ms:
        text += f" until {local_time(lock.expires_ms)}"
    return text + (f": {lock.reason}" if lock.reason else "")


def _print_locks(output: Output, locks: Sequence[Any]) -> None:
    output.table(
        ("detector", "owner", "since", "until", "environment", "reason"),
        [
            (
                lock.detector,
                Text(lock.owner or "-", style="green" if lock.mine else ""),
                local_time(lock.since_ms) if lock.since_ms else "",
                local_time(lock.expires_ms) if lock.expires_ms else "",
                lock.environment_id,
                lock.reason,
            )
            for lock in locks
        ],
    )


@click.option("-u", "--user", metavar="NAME", default="", help="only what this user did")
@click.option("-a", "--action", metavar="METHOD", default="", help="only this method")
@click.option("-e", "--environment", metavar="ID", default="", help="only what concerns it")
@click.option("-s", "--since", metavar="DURATION", default="", help="only of late, such as 8h")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
def audit(user: str, action: str, environment: str, since: str, limit: int) -> None:
    """Show who did what, with which result; the newest comes first."""
    since_ms = int((time.time() - parse_duration(since)) * 1000) if since else 0
    with session() as here:
        request = aliecs_v1_pb2.ListAuditRequest(
            user=user, action=action, environment_id=environment, since_ms=since_ms, limit=limit
        )
        reply = here.ask_extended("ListAudit", request)
        if not here.output.is_text:
            here.output.value([to_value(entry) for entry in reply.entries])
        elif not reply.entries:
            here.output.line("nothing was done")
        else:
            here.output.table(
                ("time", "user", "did", "environment", "result", "why or what"),
                [
                    (
                        local_time(one.time_ms),
                        one.user,
                        one.action,
                        one.environment_id,
                        Text(one.result or "goes on", style=_RESULTS.get(one.result, "yellow")),
                        one.error or one.warning or one.reason,
                    )
                    for one in reply.entries
                ],
            )


def whoami() -> None:
    """Show who you are for the core, and what you may do there."""
    with session() as here:
        one = here.ask_extended("GetSession", aliecs_v1_pb2.GetSessionRequest())
        if not here.output.is_text:
            here.output.value(to_value(one))
            return
        _print_session(here, one)


def _print_session(here: Session, one: Any) -> None:
    for name, text in (
        ("name", one.name),
        ("person", one.person),
        ("role", one.role),
        ("detectors", " ".join(one.detectors)),
        ("known by", one.recognised_by),
        ("speaks for", "whom its requests name" if one.speaks_for_others else ""),
        ("roles", "enforced" if one.roles_enforced else "shown, not enforced"),
        ("locks", one.lock_policy if one.roles_enforced else "shown, not enforced"),
    ):
        if text:
            here.output.label(name, text)


@click.argument("name", metavar="NAME")
@click.argument("access", metavar="ACCESS...", nargs=-1, required=True)
@click.option("-x", "--expires", metavar="DATE", default="", help="until when, such as 2027-12-31")
@click.option(
    "-w", "--write", metavar="FILE", default="", help="where the token goes, for its owner alone"
)
def token(name: str, access: tuple[str, ...], expires: str, write: str) -> None:
    """Make a token for somebody: its secret, and the entry for the core's file of tokens.

    ACCESS are words such as admin, global, det-its. Nothing is sent anywhere: the entry, which has
    the token's hash only, is to be put into the file that the core's tokenFile names; the core
    reads it within seconds. Its owner names the file with the token by --token-file.
    """
    unknown = [word for word in access if not is_access_word(word)]
    if unknown:
        raise InvalidInput(f"{unknown[0]!r} is no access: admin, global, guest, det-<name>")
    try:
        ends = date.fromisoformat(expires) if expires else None
    except ValueError:
        raise InvalidInput(f"--expires {expires!r} is no date such as 2027-12-31") from None
    made = new_token()
    if write:
        _write(Path(write), made)
        click.echo(f"# the token is in {write}; this belongs into the core's tokenFile:", err=True)
    else:
        click.echo(made, err=True)
        click.echo("# that was the token, shown once; the core's tokenFile gets:", err=True)
    click.echo(entry_for(name, made, access, str(ends or "")), nl=False)


def _write(path: Path, made: str) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidInput(f"--write: {path} is there already") from None
    except OSError as error:
        raise InvalidInput(f"--write: {path} cannot be written: {error.strerror}") from None
    with os.fdopen(number, "w") as file:
        file.write(made + "\n")


group.add(group.command("list")(list_), "ls", "l")
group.add(group.command("take")(take), "t")
group.add(group.command("release")(release), "free", "r")
group.add(group.command("give")(give), "hand-over", "g")
