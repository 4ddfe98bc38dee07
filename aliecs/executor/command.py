"""From a command payload to a process: arguments, environment, account, and the codec it speaks.

The rules are upstream's: a shell gets value and arguments joined by single spaces, the payload's
environment goes over the executor's own, an empty user is the executor's, and a program is looked
for where the executor would find it (and before that, where the task itself would).
"""

from __future__ import annotations

import itertools
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from aliecs.executor.process import Account, LaunchRefused, ProcessRequest
from aliecs.occ.codec import Codec
from aliecs.protocol.message import CommandPayload

JSON_PLUGIN = "OCClite"


def build_request(
    payload: CommandPayload,
    task_id: str,
    shell: str,
    environment: Mapping[str, str],
    directory: Path,
    account: Account | None,
) -> ProcessRequest:
    """What to start for a payload. `environment` is what tasks inherit from the executor.

    Raises `LaunchRefused` for a payload that names nothing to execute, or an environment entry
    that is none.
    """
    if not payload.value.strip():
        raise LaunchRefused("the command is empty: the task class has no `value`")
    if payload.shell:
        line = " ".join((payload.value, *payload.arguments))
        arguments: tuple[str, ...] = (shell, "-c", line)
    else:
        arguments = (payload.value, *payload.arguments)
    return ProcessRequest(
        arguments=arguments,
        environment={**environment, **_parse_environment(payload.environment)},
        directory=directory,
        mark=task_id,
        account=account,
        path=environment.get("PATH", ""),
    )


def _parse_environment(entries: tuple[str, ...]) -> dict[str, str]:
    parsed = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise LaunchRefused(f"not NAME=value in the environment of the task: {entry[:100]!r}")
        parsed[name] = value
    return parsed


def codec_of(request: ProcessRequest) -> Codec:
    """How a process will speak OCC: JSON where its command line asks FairMQ for that plugin, in
    one element (through a shell) or in two that follow each other."""
    arguments = request.arguments
    within = any(f"-P {JSON_PLUGIN}" in argument for argument in arguments)
    across = ("-P", JSON_PLUGIN) in itertools.pairwise(arguments)
    return Codec.JSON if within or across else Codec.PROTOBUF


def find_account(user: str) -> Account | None:
    """Whom to run as; None where nothing is to be switched. Asks the account database, which may
    be far away: for a thread.

    Raises `LaunchRefused` for an unknown user, and where the executor may not switch.
    """
    if not user:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise LaunchRefused(f"cannot run as {user!r}: this host has no such user") from None
    own = os.geteuid()
    if entry.pw_uid == own:
        return None
    if own != 0:
        raise LaunchRefused(
            f"cannot run as {user!r}: the executor runs as {_name(own)!r}, and only root may switch"
            " to another user"
        )
    groups = os.getgrouplist(user, entry.pw_gid)
    return Account(user, entry.pw_uid, entry.pw_gid, tuple(groups))


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
