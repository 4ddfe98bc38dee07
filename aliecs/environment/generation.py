"""Workflows that are generated while a workflow is loaded: DPL commands and what they depend on.

The name of what a command generates stands for all that its result depends on: the command itself,
the installed software, the environment it runs in, and the payloads of configuration that it names;
so the same is generated once. The rules are upstream's, but for this: all addresses in a command
count, not only the first two.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.threads import deferToThread

from aliecs.configuration.parameters import Parameters, parse_parameters
from aliecs.errors import Conflict, InvalidInput
from aliecs.interfaces import IConfigurationService, IRepositories

ENVIRONMENT_FILE = "/etc/profile.d/o2.sh"
"""What makes the programs of DPL known to a shell, where the software is installed as usual."""
PACKAGES = ("o2-O2", "o2-QualityControl")
"""The software whose version the result depends on."""
_PACKAGES_KNOWN_S = 60.0
_PACKAGES_TIMEOUT_S = 10.0

_ADDRESS = re.compile(r"""(["']?)((?:consul-json|apricot)://[^ |\n]+)""")
_COMPONENTS = "components/"


@frozen
class PayloadAddress:
    """A payload that a command names."""

    path: str
    """`component/RUNTYPE/role/entry`"""
    parameters: Parameters


def addresses(command: str) -> Iterator[str]:
    """The addresses of configuration in a command, without quotes around them."""
    for match in _ADDRESS.finditer(command):
        quote, address = match.groups()
        if quote and address.endswith(quote):
            address = address.removesuffix(quote)
        yield address


def parse_address(address: str) -> PayloadAddress:
    """What an address leads to. Raises `InvalidInput`."""
    scheme = address.partition("://")[0]
    _, separator, rest = address.partition(_COMPONENTS)
    if not separator:
        raise InvalidInput(f"{address}: there is no {_COMPONENTS} in it, so no payload is named")
    path, question, text = rest.partition("?")
    if question:
        return PayloadAddress(path, parse_parameters(text))
    return PayloadAddress(path, Parameters(scheme == "apricot", {}))


def workflow_name(command: str, packages: str, environment: str, payloads: list[str]) -> str:
    """What the generated workflow is called."""
    text = "".join([command, packages, environment, *payloads])
    return f"jit-{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}"


@define(eq=False)
class Generator:
    """Generates workflows. `environment_file` is sourced before every command; where it is not
    there, nothing can be generated on this machine."""

    configuration: IConfigurationService
    repositories: IRepositories
    environment_file: Path = Path(ENVIRONMENT_FILE)
    timeout_s: float = 30.0
    _packages: tuple[float, str] = field(init=False, default=(float("-inf"), ""))

    async def generate(self, command: str, environment: str) -> str:
        """Coroutine. Generate the workflow of a command whose expressions are evaluated, unless it
        was generated before; gives its name.

        `environment` are assignments for the command, such as `A=1 B=2`. Raises `Conflict` where
        this machine has no DPL, `InvalidInput` and `NotFound` for payloads that the command names,
        and what `IRepositories.generate` raises.
        """
        if not self.environment_file.is_file():
            raise Conflict(
                f"this machine cannot generate DPL workflows: there is no {self.environment_file} "
                "(setting dplEnvironmentFile); choose a workflow template instead"
            )
        prefixed = f"source {self.environment_file} && {command}"
        payloads = [await self._payload(address) for address in addresses(command)]
        name = workflow_name(prefixed, await self._installed(), environment, payloads)
        export = f"export {environment} && " if environment.strip() else ""
        text = f"{export}{prefixed} --o2-control {name}".replace("\n", " ")
        await self.repositories.generate(name, text, self.timeout_s)
        return name

    async def _payload(self, address: str) -> str:
        wanted = parse_address(address)
        variables = wanted.parameters.variables if wanted.parameters.process else None
        return await self.configuration.component_payload(wanted.path, variables)

    async def _installed(self) -> str:
        """The versions of the software, looked up from time to time."""
        known_until, text = self._packages
        if time.monotonic() > known_until:
            text = await deferToThread(_installed)
            self._packages = (time.monotonic() + _PACKAGES_KNOWN_S, text)
        return text


def _installed() -> str:
    if shutil.which("rpm") is None:
        return ""
    try:
        done = subprocess.run(
            ["rpm", "-qa", *PACKAGES], capture_output=True, text=True, timeout=_PACKAGES_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
