"""The functions of the `{{ }}` language that ask somebody: config, inventory, runtime, dpl.

They block, and ask through the `ILoaderSources` of the scope. What fails in config, inventory and
runtime is not an error but the text `{"error": ...}`, as templates in production expect, with a
warning for people; what fails in dpl is an error, because there is nothing to go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aliecs.errors import AliecsError, DeadlineExceeded, InvalidInput
from aliecs.language.value import ExpressionError, Function, Namespace, from_json, to_json


def _told(name: str, function: Callable[..., str]) -> Callable[..., str]:
    """`function`, with its failure turned into a text and a warning."""

    def call(scope: Any, *arguments: str) -> str:
        try:
            return function(scope, *arguments)
        except (DeadlineExceeded, ExpressionError):
            raise
        except AliecsError as error:
            asked = ", ".join(map(repr, arguments))
            scope.warn(f"{name}({asked}) failed: {error}")
            return to_json({"error": str(error)})

    return call


def _get(scope: Any, path: str) -> str:
    text: str = scope.ask("config.Get").configuration_payload(path, dict(scope.variables))
    return text


def _get_legacy(scope: Any, path: str) -> str:
    text: str = scope.ask("config.GetLegacy").configuration_payload(path, None)
    try:
        rendered: str = scope.for_text("config.GetLegacy").render(text)
    except ExpressionError as error:
        scope.warn(f"config.GetLegacy({path!r}): the payload is taken as it is: {error}")
        return text
    return rendered


def _resolve(scope: Any, component: str, run_type: str, role: str, entry: str) -> str:
    path = f"{component}/{run_type}/{role}/{entry}"
    return _resolve_path(scope, path)


def _resolve_path(scope: Any, path: str) -> str:
    resolved: str = scope.ask("config.Resolve").resolve_component(path)
    return resolved


def _runtime_get(scope: Any, component: str, key: str) -> str:
    value: str = scope.ask("runtime.Get").runtime_get(component, key)
    return value


def _runtime_set(scope: Any, component: str, key: str, value: str) -> str:
    scope.ask("runtime.Set").runtime_set(component, key, value)
    return value


def _detector_for_host(scope: Any, host: str) -> str:
    detector: str = scope.ask("inventory.DetectorForHost").detector_for_host(host)
    return detector


def _detectors_for_hosts(scope: Any, hosts: str) -> str:
    try:
        names = from_json(hosts)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"{hosts[:100]!r} is not a JSON list of host names")
    return to_json(sorted({_detector_for_host(scope, name) for name in names}))


def _cards_for_host(scope: Any, host: str) -> str:
    try:
        return to_json(list(scope.ask("inventory.CRUCardsForHost").cards_for_host(host)))
    except (DeadlineExceeded, ExpressionError):
        raise
    except AliecsError as error:
        scope.warn(f"inventory.CRUCardsForHost({host!r}) failed: {error}")
        return to_json([f"error: {error}"])


def _endpoints_for_card(scope: Any, host: str, serial: str) -> str:
    endpoints = scope.ask("inventory.EndpointsForCRUCard").endpoints_for_card(host, serial)
    return " ".join(endpoints)


def _generate(scope: Any, command: str) -> str:
    if command == "none":
        raise ExpressionError("dpl.Generate: the DPL command is 'none'")
    return _generated(scope, command, "dpl.Generate")


def _generate_from_uri(scope: Any, name: str) -> str:
    text = _jit_text(scope, name)
    if text is None:
        raise ExpressionError(f"dpl.GenerateFromUri: there is no file jit/{name}")
    return _generated(scope, text, f"JIT {name} (detector {scope.variables.get('detector', '')})")


def _generate_or_template(scope: Any, name: str) -> str:
    return name if _jit_text(scope, name) is None else _generate_from_uri(scope, name)


def _jit_text(scope: Any, name: str) -> str | None:
    repository, revision = scope.repository
    text: str | None = scope.ask("dpl").jit_file(repository, revision, name)
    return text


def _generated(scope: Any, text: str, what: str) -> str:
    try:
        command = scope.for_text(what).render(text)
    except ExpressionError as error:
        raise ExpressionError(f"{what}: the DPL command cannot be resolved: {error}") from error
    environment = scope.variables.get("jit_env_vars", "")
    name: str = scope.ask(what).generate_dpl(command, environment)
    return name


def _namespace(name: str, members: Mapping[str, tuple[Callable[..., Any], int]]) -> Namespace:
    functions = {
        member: Function(f"{name}.{member}", call, (str,) * count)
        for member, (call, count) in members.items()
    }
    return Namespace(name, functions)


NAMESPACES: Mapping[str, Namespace] = {
    "config": _namespace(
        "config",
        {
            "Get": (_told("config.Get", _get), 1),
            "GetLegacy": (_told("config.GetLegacy", _get_legacy), 1),
            "Resolve": (_told("config.Resolve", _resolve), 4),
            "ResolvePath": (_told("config.ResolvePath", _resolve_path), 1),
        },
    ),
    "inventory": _namespace(
        "inventory",
        {
            "DetectorForHost": (_told("inventory.DetectorForHost", _detector_for_host), 1),
            "DetectorsForHosts": (_told("inventory.DetectorsForHosts", _detectors_for_hosts), 1),
            "CRUCardsForHost": (_cards_for_host, 1),
            "EndpointsForCRUCard": (_told("inventory.EndpointsForCRUCard", _endpoints_for_card), 2),
        },
    ),
    "runtime": _namespace(
        "runtime",
        {
            "Get": (_told("runtime.Get", _runtime_get), 2),
            "Set": (_told("runtime.Set", _runtime_set), 3),
        },
    ),
}
"""Available to every template."""

DPL = _namespace(
    "dpl",
    {
        "Generate": (_generate, 1),
        "GenerateFromUri": (_generate_from_uri, 1),
        "GenerateFromUriOrFallbackToTemplate": (_generate_or_template, 1),
    },
)
"""Available where a workflow repository is known."""


def _deprecated(name: str, namespace: Namespace, member: str) -> Function:
    original = namespace.members[member]

    def call(scope: Any, *arguments: str) -> str:
        scope.warn(f"{name} is deprecated, write {original.name}")
        text: str = original.call(scope, *arguments)
        return text

    return Function(name, call, original.parameters, "string")


DEPRECATED: Mapping[str, Function] = {
    f.name: f
    for f in (
        _deprecated("GetConfig", NAMESPACES["config"], "Get"),
        _deprecated("GetConfigLegacy", NAMESPACES["config"], "GetLegacy"),
        _deprecated("ResolveConfigPath", NAMESPACES["config"], "ResolvePath"),
        _deprecated("DetectorForHost", NAMESPACES["inventory"], "DetectorForHost"),
        _deprecated("DetectorsForHosts", NAMESPACES["inventory"], "DetectorsForHosts"),
        _deprecated("CRUCardsForHost", NAMESPACES["inventory"], "CRUCardsForHost"),
        _deprecated("EndpointsForCRUCard", NAMESPACES["inventory"], "EndpointsForCRUCard"),
        _deprecated("GetRuntimeConfig", NAMESPACES["runtime"], "Get"),
    )
}
"""Bare names of very old templates."""

DEPRECATED_DPL: Mapping[str, Function] = {
    f.name: f
    for f in (
        _deprecated("GenerateDplSubworkflow", DPL, "Generate"),
        _deprecated("GenerateDplSubworkflowFromUri", DPL, "GenerateFromUri"),
    )
}
