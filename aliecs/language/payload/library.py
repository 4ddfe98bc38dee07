"""The functions that payloads may call: those of workflow templates that need nothing from outside.

Objects `strings`, `json`, `uid` and `util`, and the bare names of old payloads. They are the
functions of `aliecs.language.standard`, with the few that a payload sees otherwise put in their
place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aliecs.language import standard
from aliecs.language.payload import text as texts
from aliecs.language.payload.formatting import default_text
from aliecs.language.payload.value import (
    BlockView,
    CycleValue,
    Loop,
    ValueFault,
    text_bytes,
    without_surrogates,
)
from aliecs.language.value import ExpressionError, Function, Namespace, TextList

_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _unmarshal(scope: Any, text: str) -> Any:
    value = standard.BARE["FromJson"].call(scope, without_surrogates(text))
    return _whole(value) if _HALF.search(text) else value


def _whole(value: Any) -> Any:
    """A value without halves of characters, which JSON can write."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): _whole(item) for key, item in value.items()}
    return value


def _marshal(scope: Any, value: Any) -> str:
    if isinstance(value, (Loop, BlockView, CycleValue)):
        return _object_as_json(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        value = without_surrogates(value)
    text: str = standard.BARE["ToJson"].call(scope, value)
    return text


def _object_as_json(value: Any) -> str:
    if not isinstance(value, Loop):
        return "{}"
    members = []
    for name, member in value.fields().items():
        is_loop = isinstance(member, Loop)
        members.append(f'"{name}":{_object_as_json(member) if is_loop else json.dumps(member)}')
    return f"{{{','.join(members)}}}"


def _sort(scope: Any, value: Any) -> Any:
    if type(value) is not list:
        return value
    try:
        printed = [default_text(item) for item in value]
    except ValueFault as fault:
        raise ExpressionError(str(fault)) from fault
    return TextList(sorted(printed, key=text_bytes))


def _nullable(scope: Any, value: Any) -> str:
    raise ExpressionError("util.Nullable cannot be used in payloads: it takes no string")


_CHANGED = {
    "FromJson": Function("FromJson", _unmarshal, (str,)),
    "ToJson": Function("ToJson", _marshal, (object,)),
    "Nullable": Function("Nullable", _nullable, (object,)),
    "ToLower": Function("ToLower", lambda scope, text: texts.lower(text), (str,)),
    "ToUpper": Function("ToUpper", lambda scope, text: texts.upper(text), (str,)),
    "TrimSpace": Function("TrimSpace", lambda scope, text: texts.strip(text), (str,)),
}
_BARE: Mapping[str, Function] = {**standard.BARE, **_CHANGED}
_MEMBERS = {
    "Unmarshal": _BARE["FromJson"],
    "Deserialize": _BARE["FromJson"],
    "Marshal": _BARE["ToJson"],
    "Serialize": _BARE["ToJson"],
    "Sort": Function("Sort", _sort, (object,)),
}


def _namespace(namespace: Namespace) -> Namespace:
    members = {
        name: _MEMBERS.get(name, _BARE.get(name, function))
        for name, function in namespace.members.items()
    }
    return Namespace(namespace.name, members)


FUNCTIONS: Mapping[str, Function | Namespace] = {
    **_BARE,
    **{name: _namespace(namespace) for name, namespace in standard.NAMESPACES.items()},
}
"""All that can be called, and the objects that it is in. Hides variables of the same name."""
