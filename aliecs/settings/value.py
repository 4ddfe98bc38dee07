"""How the text of a setting becomes a value: one `Kind` for each type of setting.

Every source (file, environment variable, option) delivers text, lists of text and maps, never
typed values, so that a setting means the same wherever it comes from. A kind's `parse` raises
`ValueError` with the fault alone; whoever knows where the text came from (`layer`) adds the place.
"""

from __future__ import annotations

import ipaddress
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from attrs import Factory, frozen

from aliecs.interfaces import is_access_word

Raw = str | list["Raw"] | dict[str, "Raw"]
"""What a source delivers: scalars as their source text."""

T_co = TypeVar("T_co", covariant=True)


@frozen
class Kind(Generic[T_co]):
    """A type of setting: its name for people, how to read it, and whether it may stand alone as an
    option (`--verbose` for `--verbose=true`)."""

    name: str
    parse: Callable[[Raw], T_co]
    is_flag: bool = False


@frozen
class Host:
    """One embedded host of the local backend. `attributes` are what constraints compare with;
    `cpus` is in cores."""

    name: str
    attributes: Mapping[str, str] = Factory(dict)
    cpus: float = 16.0
    memory_mb: float = 16384.0


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class TrustedClient:
    """A program that is trusted with the words of an access list: one with a certificate that has
    the name `certificate`, or one at an address of `network`."""

    access: Sequence[str]
    certificate: str = ""
    network: Network | None = None

    def __str__(self) -> str:
        return f"{self.certificate or self.network}: {' '.join(self.access)}"


# Go's units, which the reference's settings and templates use.
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration such as `20s`, `1h30m` or `1.5h`; never negative.

    Raises `ValueError`. A number without a unit is refused, because the reference takes it for
    nanoseconds and nobody who writes it means that; only `0` needs none.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(parts) != text:
        hint = f" (a unit is missing: {text}s?)" if re.fullmatch(r"\d+(\.\d+)?", text) else ""
        raise ValueError(f"{text!r} is not a duration such as 20s, 1m30s or 2h{hint}")
    return math.fsum(_part_s(part) for part in parts)


def _part_s(part: str) -> float:
    number = part.rstrip("nuµμmsh")
    return float(number) * _UNIT_S[part[len(number) :]]


def format_duration(seconds: float) -> str:
    """A duration as people write it; the inverse of `parse_duration` for whole milliseconds."""
    if seconds % 1:
        return f"{round(seconds * 1000)}ms"
    text = ""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(int(seconds), size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _scalar(raw: Raw, what: str) -> str:
    if not isinstance(raw, str):
        found = "a list" if isinstance(raw, list) else "a map"
        raise ValueError(f"expected {what}, not {found}")
    return raw.strip()


def _text(raw: Raw) -> str:
    return _scalar(raw, "text")


def _flag(raw: Raw) -> bool:
    text = _scalar(raw, "true or false")
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f"expected true or false, not {text!r}")


def _float(raw: Raw) -> float:
    text = _scalar(raw, "a number")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected a number, not {text!r}") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{text} is not a number of 0 or more")
    return value


def integer(least: int, most: int | None = None, name: str = "integer") -> Kind[int]:
    """Whole numbers from `least` to `most`."""

    def parse(raw: Raw) -> int:
        text = _scalar(raw, "a whole number")
        if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            raise ValueError(f"expected a whole number, not {text!r}")
        value = int(text)
        if value < least or (most is not None and value > most):
            limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise ValueError(f"{value} is not a number {limits}")
        return value

    return Kind(name, parse)


def choice(*values: str) -> Kind[str]:
    """One of a few words, upper and lower case alike."""

    def parse(raw: Raw) -> str:
        text = _scalar(raw, "text")
        for value in values:
            if value.lower() == text.lower():
                return value
        raise ValueError(f"expected {' or '.join(values)}, not {text!r}")

    return Kind(" or ".join(f"`{value}`" for value in values), parse)


def _words(raw: Raw) -> tuple[str, ...]:
    """A list of words: a list, or one text split at commas and white space."""
    if isinstance(raw, str):
        return tuple(word for word in re.split(r"[,\s]+", raw) if word)
    if isinstance(raw, dict):
        raise ValueError("expected a list, not a map")
    return tuple(_scalar(item, "text in a list") for item in raw)


def _command(raw: Raw) -> tuple[str, ...]:
    """A program and its arguments: a list, or one text split as a shell would split it."""
    return tuple(shlex.split(raw)) if isinstance(raw, str) else _words(raw)


def _duration(raw: Raw) -> float:
    return parse_duration(_scalar(raw, "a duration"))


def _port_range(raw: Raw) -> tuple[int, int]:
    text = _scalar(raw, "a range of ports such as 20000-31999")
    match = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", text)
    if match is None:
        raise ValueError(f"expected a range of ports such as 20000-31999, not {text!r}")
    first, last = int(match[1]), int(match[2])
    if not 1024 <= first < last <= 65535:
        raise ValueError(f"{text} is not an ascending range between 1024 and 65535")
    return first, last


def _file(raw: Raw) -> str:
    """An absolute path, or nothing; a relative one counts from where the process was started."""
    text = _scalar(raw, "a path")
    return str(Path(text).expanduser().absolute()) if text else ""


def _folder(raw: Raw) -> str:
    path = _file(raw)
    if not path:
        raise ValueError("a path is needed")
    return path


def _structure(raw: Raw) -> Raw:
    """A structured value; from an option or a variable it comes as one text in YAML or JSON."""
    if not isinstance(raw, str):
        return raw
    try:
        return _as_text(yaml.load(raw, yaml.BaseLoader))  # noqa: S506 (makes text, lists and maps)
    except yaml.YAMLError as error:
        raise ValueError(f"is neither YAML nor JSON: {' '.join(str(error).split())}") from None


def _as_text(value: object) -> Raw:
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _as_text(item) for key, item in value.items()}
    return "" if value is None else str(value)


def _hosts(raw: Raw) -> tuple[Host, ...]:
    if isinstance(raw, str) and not raw.lstrip().startswith(("[", "-")):
        raw = list(_words(raw))
    structure = _structure(raw)
    if not isinstance(structure, list):
        raise ValueError("expected a list of hosts, each with name, attributes, cpus, memory")
    hosts = tuple(_host(item) for item in structure)
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"there are two hosts named {name!r}")
    return hosts


def _host(raw: Raw) -> Host:
    if isinstance(raw, str):
        raw = {"name": raw}
    if not isinstance(raw, dict):
        raise ValueError("a host is a name, or a map with name, attributes, cpus, memory")
    unknown = sorted(set(raw) - {"name", "attributes", "cpus", "memory"})
    if unknown:
        raise ValueError(f"a host has name, attributes, cpus, memory, but not {unknown[0]!r}")
    name = _scalar(raw.get("name", ""), "a host's name")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise ValueError(f"{name!r} is not a host's name" if name else "a host has no name")
    attributes = raw.get("attributes", {})
    if not isinstance(attributes, dict):
        raise ValueError(f"the attributes of host {name!r} are not a map")
    given = {"cpus": raw.get("cpus"), "memory_mb": raw.get("memory")}
    amounts = {key: _float(value) for key, value in given.items() if value is not None}
    texts = {key: _scalar(value, f"text for {key}") for key, value in attributes.items()}
    return Host(name, texts, **amounts)


def _labels(raw: Raw) -> tuple[tuple[str, str], ...]:
    structure = _structure(raw) or []
    if not isinstance(structure, list):
        raise ValueError("expected a list of labels, each `key=value` or a map with key and value")
    return tuple(_label(item) for item in structure)


def _label(item: Raw) -> tuple[str, str]:
    if isinstance(item, str):
        found = re.fullmatch(r"\s*([^=:]*?)\s*(?:[=:]\s*(.*?)\s*)?", item, re.DOTALL)
        key, value = (found[1], found[2] or "") if found else ("", "")
    elif isinstance(item, dict) and set(item) == {"key", "value"}:
        key, value = _text(item["key"]), _text(item["value"])
    else:
        raise ValueError("a label is `key=value` or a map with key and value")
    if not key:
        raise ValueError("a label has no key")
    return key, value


def _trusted_clients(raw: Raw) -> tuple[TrustedClient, ...]:
    structure = _structure(raw) or []
    if not isinstance(structure, list):
        raise ValueError(
            "expected a list of clients, each a map with `certificate` or `address`, and `access`"
        )
    return tuple(_trusted_client(item) for item in structure)


def _trusted_client(item: Raw) -> TrustedClient:
    if not isinstance(item, dict) or not set(item) <= {"certificate", "address", "access"}:
        raise ValueError("a trusted client is a map with `certificate` or `address`, and `access`")
    certificate, address = _text(item.get("certificate", "")), _text(item.get("address", ""))
    if bool(certificate) == bool(address):
        raise ValueError("a trusted client has either a `certificate` or an `address`")
    access = _words(item.get("access", ""))
    unknown = [word for word in access if not is_access_word(word)]
    if unknown or not access:
        found = f" {unknown[0]!r}" if unknown else " nothing"
        raise ValueError(
            f"the access of {certificate or address} has{found}; it can be admin, global, guest, "
            "det-<name>"
        )
    network = None
    if address:
        try:
            network = ipaddress.ip_network(address)
        except ValueError as error:
            raise ValueError(f"{address!r} is no address or network: {error}") from None
    return TrustedClient(access, certificate, network)


TEXT = Kind("text", _text)
FLAG = Kind("boolean", _flag, is_flag=True)
NUMBER = Kind("number", _float)
DURATION = Kind("duration", _duration)
PORT = integer(0, 65535, "port")
WORDS: Kind[Sequence[str]] = Kind("list", _words)
COMMAND: Kind[Sequence[str]] = Kind("command", _command)
FILE = Kind("path", _file)
FOLDER = Kind("path", _folder)
PORT_RANGE = Kind("port range", _port_range)
HOSTS = Kind("list of hosts", _hosts)
LABELS = Kind("list of labels", _labels)
TRUSTED_CLIENTS = Kind("list of clients", _trusted_clients)
