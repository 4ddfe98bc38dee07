"""What the reference's executor takes from its environment, and what it says is wrong there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "secs": 1.0, "mins": 60.0, "hrs": 3600.0,
            "days": 86400.0, "weeks": 604800.0}  # fmt: skip


class Unusable(Exception):
    """The environment is not that of a Mesos agent; the text has all reasons."""


@frozen
class Start:
    """The variables of an agent, all of them needed unless nothing is checkpointed."""

    framework_id: str
    executor_id: str
    directory: str
    endpoint: str
    is_checkpointed: bool
    recovery_timeout_s: float
    backoff_s: float


def read(environment: Mapping[str, str]) -> Start:
    """Read the environment. Raises `Unusable`."""
    wrong: list[str] = []

    def text(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            wrong.append(f"missing {name}")
        return value

    def seconds(name: str) -> float:
        value = text(name)
        match = re.fullmatch(r"([0-9.]+)([a-z]+)", value)
        if match is None or match[2] not in _UNITS_S:
            if value:
                wrong.append(f"bad duration {name}")
            return 0.0
        return float(match[1]) * _UNITS_S[match[2]]

    is_checkpointed = environment.get("MESOS_CHECKPOINT", "") in ("1", "t", "true", "TRUE", "True")
    text("MESOS_SANDBOX")
    seconds("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD")
    start = Start(
        framework_id=text("MESOS_FRAMEWORK_ID"),
        executor_id=text("MESOS_EXECUTOR_ID"),
        directory=text("MESOS_DIRECTORY"),
        endpoint=text("MESOS_AGENT_ENDPOINT"),
        is_checkpointed=is_checkpointed,
        recovery_timeout_s=seconds("MESOS_RECOVERY_TIMEOUT") if is_checkpointed else 0.0,
        backoff_s=seconds("MESOS_SUBSCRIPTION_BACKOFF_MAX") if is_checkpointed else 0.0,
    )
    if wrong:
        raise Unusable("; ".join(wrong))
    return start
