"""Loader sources that hold everything in dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from attrs import Factory, define
from zope.interface import implementer

from aliecs.errors import Conflict, NotFound
from aliecs.interfaces import ILoaderSources, TemplateText


@implementer(ILoaderSources)
@define
class DictSources:
    repository: str = "example.org/team/Workflows"
    revision: str = "0123456789abcdef0123456789abcdef01234567"
    workflows: dict[str, str] = Factory(dict)
    tasks: dict[str, str] = Factory(dict)
    payloads: dict[str, str] = Factory(dict)
    runtime: dict[tuple[str, str], str] = Factory(dict)
    detectors: dict[str, str] = Factory(dict)
    cards: dict[str, dict[str, list[str]]] = Factory(dict)
    jit: dict[str, str] = Factory(dict)
    generated: list[tuple[str, str]] = Factory(list)
    asked: list[str] = Factory(list)
    _ids: itertools.count[int] = Factory(itertools.count)

    def workflow(self, expression: str) -> TemplateText:
        self.asked.append(expression)
        name = expression.split("/workflows/")[-1].split("@")[0]
        if name not in self.workflows:
            raise NotFound(f"there is no workflow {name}")
        return self._template(f"workflows/{name}.yaml", self.workflows[name])

    def task_class(self, identifier: str) -> TemplateText:
        self.asked.append(identifier)
        name = identifier.split("/tasks/")[-1].split("@")[0]
        if name not in self.tasks:
            raise NotFound(f"there is no task template {name}")
        return self._template(f"tasks/{name}.yaml", self.tasks[name])

    def _template(self, path: str, text: str) -> TemplateText:
        return TemplateText(self.repository, self.revision, path, text.encode())

    def new_id(self) -> str:
        return f"id{next(self._ids)}"

    def configuration_payload(self, path: str, variables: Mapping[str, str] | None) -> str:
        if path not in self.payloads:
            raise NotFound(f"no entry {path}")
        return self.payloads[path] if variables is None else self.payloads[path].upper()

    def resolve_component(self, path: str) -> str:
        component, _, role, entry = path.split("/")
        return f"{component}/ANY/any/{entry}" if role != "missing" else self._nothing(path)

    def _nothing(self, what: str) -> str:
        raise NotFound(f"nothing at {what}")

    def runtime_get(self, component: str, key: str) -> str:
        if (component, key) not in self.runtime:
            raise NotFound(f"no runtime entry {component}/{key}")
        return self.runtime[component, key]

    def runtime_set(self, component: str, key: str, value: str) -> None:
        self.runtime[component, key] = value

    def detector_for_host(self, host: str) -> str:
        if host not in self.detectors:
            raise NotFound(f"no detector has the host {host}")
        return self.detectors[host]

    def cards_for_host(self, host: str) -> Sequence[str]:
        if host not in self.cards:
            raise NotFound(f"no host {host}")
        return sorted(self.cards[host])

    def endpoints_for_card(self, host: str, serial: str) -> Sequence[str]:
        if host not in self.cards:
            raise NotFound(f"no host {host}")
        return self.cards[host].get(serial, [])

    def jit_file(self, repository: str, revision: str, name: str) -> str | None:
        return self.jit.get(name)

    def generate_dpl(self, command: str, environment: str) -> str:
        if "broken" in command:
            raise Conflict("failed to run the DPL command")
        self.generated.append((command, environment))
        return f"jit-{len(self.generated)}"
