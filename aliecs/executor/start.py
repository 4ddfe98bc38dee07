"""What a Mesos agent says to an executor that it starts: environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from aliecs.errors import InvalidInput

UNKEPT_PATIENCE_S = 10.0
"""How long to go on without an agent that keeps nothing of us: when it comes back it has forgotten
us."""
_UNITS_S = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "secs": 1.0, "mins": 60.0, "hrs": 3600.0,
    "days": 86400.0, "weeks": 604800.0,
}  # fmt: skip
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(" + "|".join(_UNITS_S) + ")")


def parse_duration(text: str) -> float:
    """Seconds of a duration as Mesos writes it, such as `5secs` or `1.5hrs` (stout, duration.hpp).
    Raises `ValueError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 5secs or 15mins")
    return float(match[1]) * _UNITS_S[match[2]]


@frozen
class MesosStart:
    """What an agent says in the environment of an executor (Mesos, executor-http-api.md).

    `patience_s` is how long to look for an agent that is away, `token` what proves us to it, empty
    where it wants no proof.
    """

    framework_id: str
    executor_id: str
    directory: Path
    endpoint: str
    is_secure: bool
    patience_s: float
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """Where calls go."""
        return f"http{'s' if self.is_secure else ''}://{self.endpoint}/api/v1/executor"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> MesosStart:
        """Read the environment. Raises `InvalidInput` that names everything that is wrong."""
        wrong: list[str] = []

        def needed(name: str) -> str:
            text = environment.get(name, "")
            if not text:
                wrong.append(f"{name} is not set")
            return text

        def duration(name: str) -> float:
            text = needed(name)
            try:
                return parse_duration(text) if text else 0.0
            except ValueError as error:
                wrong.append(f"{name}: {error}")
                return 0.0

        is_kept = environment.get("MESOS_CHECKPOINT", "") in ("1", "true")
        start = cls(
            framework_id=needed("MESOS_FRAMEWORK_ID"),
            executor_id=needed("MESOS_EXECUTOR_ID"),
            directory=Path(needed("MESOS_SANDBOX")),
            endpoint=needed("MESOS_AGENT_ENDPOINT"),
            is_secure=environment.get("LIBPROCESS_SSL_ENABLED", "") in ("1", "true"),
            patience_s=duration("MESOS_RECOVERY_TIMEOUT") if is_kept else UNKEPT_PATIENCE_S,
            token=environment.get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", ""),
        )
        if wrong:
            raise InvalidInput(
                "this is started by a Mesos agent, or with --socket by a core: " + "; ".join(wrong)
            )
        return start
