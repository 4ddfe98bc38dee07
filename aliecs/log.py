"""The log, set up once: readable lines for people, or one JSON object per line for machines.

Everything logs through `twisted.logger`; whoever works for an environment takes its logger from
`environment_logger`, so that every such line carries the environment's id and, while there is a
run, its number. What the standard library's `logging` is told (asyncio, gRPC) comes out here too.
Passwords in addresses and values named like secrets are masked whatever the message.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from constantly import NamedConstant  # type: ignore[import-untyped]
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure
from zope.interface import implementer

_ADDRESS_PASSWORD = re.compile(r"(://[^/@:\s]*):[^@/\s]+@")
_NAMED_SECRET = re.compile(r"(?i)\b((?:\w*_)?(?:token|password|secret)\s*[=:]\s*)\S+")

_COLOURS = {
    LogLevel.debug: "\x1b[2m",
    LogLevel.warn: "\x1b[33m",
    LogLevel.error: "\x1b[31m",
    LogLevel.critical: "\x1b[1;31m",
}
_PLAIN = "\x1b[0m"

# What a terminal or a reader of lines could take for something else, and what cannot be encoded.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def mask_secrets(text: str) -> str:
    """`text` without passwords in addresses and values named `token`, `password` or `secret`."""
    return _NAMED_SECRET.sub(r"\1***", _ADDRESS_PASSWORD.sub(r"\1:***@", text))


class EnvironmentLogger(Logger):
    """A logger whose every line carries an environment's id, and its run number in a run."""

    def __init__(
        self,
        environment_id: str,
        run_number: Callable[[], int],
        namespace: str,
        observer: ILogObserver | None = None,
    ) -> None:
        super().__init__(namespace=namespace, observer=observer)
        self.environment_id = environment_id
        self.run_number = run_number

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: object) -> None:
        """Emit one event. Also what `info`, `failure` and the others end in."""
        context = {"environment_id": self.environment_id, "run_number": self.run_number()}
        super().emit(level, format, **{**context, **kwargs})


def environment_logger(
    environment_id: str,
    run_number: Callable[[], int] = lambda: 0,
    namespace: str = "aliecs.environment",
    observer: ILogObserver | None = None,
) -> EnvironmentLogger:
    """A logger for everything about one environment.

    `run_number` gives the number of the present run, 0 outside a run. `namespace` is the module
    that speaks. `observer` takes the place of the process's log in tests.
    """
    return EnvironmentLogger(environment_id, run_number, namespace, observer)


def make_observer(
    stream: TextIO,
    log_format: str = "text",
    *,
    verbose: bool = False,
    very_verbose: bool = False,
) -> ILogObserver:
    """What writes the log to `stream`.

    `log_format` is `text` or `json`. Details (level debug) are left out; `verbose` keeps ours,
    `very_verbose` also those of the libraries. Text is coloured where `stream` is a terminal.
    """
    levels = levels_for(verbose=verbose, very_verbose=very_verbose)
    line = _JsonLine() if log_format == "json" else _TextLine(coloured=stream.isatty())
    observer: ILogObserver = FilteringLogObserver(_StreamObserver(stream, line), [levels])
    return observer


def levels_for(*, verbose: bool = False, very_verbose: bool = False) -> LogLevelFilterPredicate:
    """Which events are logged: see `make_observer`."""
    levels = LogLevelFilterPredicate(LogLevel.debug if very_verbose else LogLevel.info)
    if not very_verbose:
        # Each of its connections would be told as a factory that starts and stops.
        levels.setLogLevelForNamespace("twisted.web.client", LogLevel.warn)
    if verbose:
        levels.setLogLevelForNamespace("aliecs", LogLevel.debug)
    return levels


def begin(observer: ILogObserver) -> None:
    """Send the process's log to `observer`, from now on. For programs that `twistd` does not run;
    under `twistd` the application carries the observer."""
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    forward_standard_logging()


def forward_standard_logging() -> None:
    """Let the standard library's `logging` and `warnings` come out in our log."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Forward) for handler in root.handlers):
        root.handlers[:] = [_Forward()]
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        warnings.simplefilter("default", ResourceWarning)


class _Forward(logging.Handler):
    _LEVELS = (
        (logging.CRITICAL, LogLevel.critical),
        (logging.ERROR, LogLevel.error),
        (logging.WARNING, LogLevel.warn),
        (logging.INFO, LogLevel.info),
    )

    def emit(self, record: logging.LogRecord) -> None:
        level = next((ours for theirs, ours in self._LEVELS if record.levelno >= theirs), None)
        logger = Logger(namespace=record.name)
        if record.exc_info and record.exc_info[1] is not None:
            failure = Failure(record.exc_info[1])
            logger.failure("{text}", failure, level or LogLevel.debug, text=record.getMessage())
        else:
            logger.emit(level or LogLevel.debug, "{text}", text=record.getMessage())


@implementer(ILogObserver)
class _StreamObserver:
    """Writes each event as the lines that `render` makes of it."""

    def __init__(self, stream: TextIO, render: Callable[[dict[str, Any]], str]) -> None:
        self.stream = stream
        self.render = render

    def __call__(self, event: dict[str, Any]) -> None:
        self.stream.write(self.render(event))
        self.stream.flush()


def message_text(event: dict[str, Any]) -> str:
    """The event's message alone; a traceback is told apart from it."""
    text = eventAsText(event, includeTraceback=False, includeTimestamp=False, includeSystem=False)
    failure = event.get("log_failure")
    if failure is not None and not text.strip():
        text = failure.getErrorMessage()
    return mask_secrets(text)


def _traceback(event: dict[str, Any]) -> str:
    failure = event.get("log_failure")
    return mask_secrets(failure.getTraceback().rstrip()) if failure is not None else ""


class _TextLine:
    """One event as text: time, level, environment and run, message; more lines are indented, so
    that no message can pass for another line of the log."""

    def __init__(self, coloured: bool) -> None:
        self.coloured = coloured

    def __call__(self, event: dict[str, Any]) -> str:
        time = datetime.fromtimestamp(event.get("log_time", 0)).astimezone()
        level = event.get("log_level", LogLevel.info)
        head = f"{time.isoformat(' ', 'milliseconds')} {level.name:<8} "
        environment = event.get("environment_id")
        if environment:
            head += f"[{environment}"
            head += f" run {event['run_number']}] " if event.get("run_number") else "] "
        body = message_text(event)
        traceback = _traceback(event)
        if traceback:
            body = f"{body}\n{traceback}"
        body = _CONTROL.sub(lambda mark: f"\\x{ord(mark[0]):02x}", body).replace("\n", "\n    ")
        if self.coloured and level in _COLOURS:
            return f"{_COLOURS[level]}{head}{body}{_PLAIN}\n"
        return f"{head}{body}\n"


class _JsonLine:
    """One event as a JSON object: `time` (UTC, ISO 8601), `level`, `module`, `message`, and where
    they apply `environment`, `run` and `traceback`."""

    def __call__(self, event: dict[str, Any]) -> str:
        time = datetime.fromtimestamp(event.get("log_time", 0), UTC)
        line: dict[str, str | int] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": event.get("log_level", LogLevel.info).name,
            "module": str(event.get("log_namespace", "-")),
            "message": message_text(event),
        }
        if event.get("environment_id"):
            line["environment"] = str(event["environment_id"])
        if event.get("run_number"):
            line["run"] = int(event["run_number"])
        if traceback := _traceback(event):
            line["traceback"] = traceback
        return json.dumps(line) + "\n"
