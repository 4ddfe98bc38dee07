"""Why a call to a task failed, and what whoever called can do about it."""

from __future__ import annotations

import re
import socket

from attrs import frozen

from aliecs.cli.peanut.mode import mode_of
from aliecs.occ.blocking import BlockingOccClient
from aliecs.occ.call import OccError
from aliecs.occ.codec import Codec

# Answers of a task that understood what it was asked.
UNDERSTOOD = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "DEADLINE_EXCEEDED")
PROBE_S = 2.0

UNREACHABLE = "UNREACHABLE"
WRONG_MODE = "WRONG MODE"
SPOKEN = {Codec.PROTOBUF: "protobuf", Codec.JSON: "the JSON dialect of FairMQ devices"}
CHECK = (
    "is the task running, and is this its control port (OCC_CONTROL_PORT, or its option"
    " --control-port, else 47100)?"
)


@frozen
class Trouble:
    """What became of a call: `word` is a state's worth of it, `error` tells the rest."""

    word: str
    error: OccError


def trouble(error: OccError, client: BlockingOccClient) -> Trouble:
    """Look into a call that failed: is there somebody, and do they speak the other encoding?"""
    if error.status == "UNAVAILABLE":
        return Trouble(UNREACHABLE, OccError(error.status, _unavailable(error, client.target)))
    if error.status == "DEADLINE_EXCEEDED":
        reason = f"{client.target} did not answer in time; -timeout sets the limit"
        return Trouble(UNREACHABLE, OccError(error.status, reason))
    if error.status not in UNDERSTOOD and not _answers(client.target, client.codec):
        other = next(codec for codec in Codec if codec is not client.codec)
        if _answers(client.target, other):
            reason = (
                f"the task at {client.target} speaks {SPOKEN[other]}, not {SPOKEN[client.codec]}:"
                f" try -mode {mode_of(other).value}"
            )
            return Trouble(WRONG_MODE, OccError(error.status, reason))
    return Trouble(UNREACHABLE, error)


def _answers(target: str, codec: Codec) -> bool:
    with BlockingOccClient(target, codec) as client:
        try:
            client.get_state(PROBE_S)
        except OccError:
            return False
    return True


def _unavailable(error: OccError, target: str) -> str:
    """What is behind a connection that cannot be had. The library tells that in words of its own,
    which change; an attempt without it tells what can be relied on."""
    address = re.fullmatch(r"\[?(.+?)\]?:(\d+)", target)
    if address is None:
        return f"{target}: {error.reason}"
    try:
        socket.create_connection((address[1], int(address[2])), PROBE_S).close()
    except ConnectionRefusedError:
        return f"nothing listens at {target}: {CHECK}"
    except socket.gaierror as problem:
        return f"{target}: the host is not known ({problem.strerror})"
    except OSError as problem:
        return f"{target} cannot be reached ({problem.strerror or problem}): {CHECK}"
    if "HTTP/2" in error.reason:
        return f"what listens at {target} is no task, it does not speak gRPC: {CHECK}"
    return f"{target}: {error.reason}"
