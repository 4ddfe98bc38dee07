"""Where settings come from, and how the sources are laid over one another.

Rising: defaults (some from plain environment variables), the settings file, the entry
`aliecs/ANY/any/<coreConfigEntry>` of the configuration tree, `ALIECS_*` variables, the command
line. The tree can only be read when the other layers have said where it is, so `Sources` makes
settings twice: without its entry, then with it. Every fault names its place, and where it can, what
to write instead.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from attrs import Factory, frozen

from aliecs.errors import Location, SettingsError
from aliecs.settings.core import BY_NAME, CORE, TABLE, Settings
from aliecs.settings.table import Setting, Table, fold
from aliecs.settings.value import Raw

# Variables with our prefix that are no settings of the core.
_OTHER_VARIABLES = frozenset({"ALIECS_CONTROL_WORKFLOWS"})

_MAX_DEPTH = 20
_MAX_FILE_BYTES = 1 << 20


@frozen
class Given:
    """A value as one source gives it, and where it stands there."""

    raw: Raw
    place: str


@frozen
class Layer:
    """One source: what it gives for each setting (by attribute), and its faults, told in full."""

    given: Mapping[str, Given] = Factory(dict)
    faults: Sequence[str] = ()


@frozen
class Sources:
    """All sources of the settings but the configuration tree."""

    plain_variables: Layer
    file: Layer
    variables: Layer
    options: Layer
    table: Table = CORE

    @classmethod
    def gather(
        cls,
        *,
        config: str = "",
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        table: Table = CORE,
    ) -> Sources:
        """Read all sources.

        `config` is the path of the settings file, empty for none; `options` are the command line's
        by name; `environment` the variables of the process; `table` says what can be set. Raises
        `SettingsError` where the file cannot be read; what is wrong inside a source is told by
        `settings`.
        """
        environment = environment or {}
        option_layer = _named_layer((options or {}).items(), "option --{}", table)
        variable_layer = _variable_layer(environment, table)
        named = {**variable_layer.given, **option_layer.given}
        uri = named.get("core_configuration_uri")
        path = _settings_file(config, uri)
        return cls(
            plain_variables=_plain_layer(environment, table),
            file=read_file(path) if path else Layer(),
            variables=variable_layer,
            options=option_layer,
            table=table,
        )

    def settings(self, entry: Layer | None = None) -> Settings:
        """The core's settings of all sources, with the configuration tree's entry where it is
        given. Errors are those of `values`."""
        return Settings(**self.values(entry))

    def values(self, entry: Layer | None = None) -> dict[str, Any]:
        """What all sources give, by attribute, with the configuration tree's entry where it is
        given.

        Raises `SettingsError`, which tells all faults of all sources at once. Unknown names in the
        entry are not among them: whoever read it warns of them (`entry.faults`).
        """
        layers = [self.plain_variables, self.file, self.variables, self.options]
        faults = [fault for layer in layers for fault in layer.faults]
        if entry is not None:
            layers.insert(2, entry)
        values: dict[str, Any] = {}
        for setting in self.table.rows:
            for layer in layers:
                source = layer.given.get(setting.attribute)
                if source is None:
                    continue
                try:
                    values[setting.attribute] = setting.kind.parse(source.raw)
                except ValueError as error:
                    faults.append(f"{source.place}: {setting.key}: {error}")
        if faults:
            raise SettingsError("\n".join(faults))
        return values


def read_file(path: str) -> Layer:
    """The settings of a YAML file. Raises `SettingsError` where it cannot be read at all."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: the settings file cannot be read: {error.strerror}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise SettingsError(f"{path}: no settings file has more than {_MAX_FILE_BYTES} bytes")
    return read_text(content, path)


def read_text(content: str | bytes, name: str) -> Layer:
    """The settings of a YAML text; `name` is what to call it to people."""
    try:
        node = yaml.compose(content, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Location(name, mark.line + 1, mark.column + 1) if mark else Location(name)
        return Layer(faults=[f"{place}: not YAML: {error.problem}"])
    except yaml.YAMLError as error:
        return Layer(faults=[f"{name}: not YAML: {' '.join(str(error).split())}"])
    if node is None:
        return Layer()
    return _Document(name).layer(node)


class _Document:
    """One YAML text on its way to a layer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: dict[str, Given] = {}
        self.faults: list[str] = []

    def layer(self, node: yaml.Node) -> Layer:
        if isinstance(node, yaml.MappingNode):
            try:
                self._take(node, "")
            except _Fault as fault:
                self.faults.append(str(fault))
        elif not (isinstance(node, yaml.ScalarNode) and _is_null(node)):
            self.faults.append(f"{self._place(node)}: settings are a map of names to values")
        return Layer(self.given, self.faults)

    def _place(self, node: yaml.Node) -> str:
        return str(Location(self.name, node.start_mark.line + 1))

    def _take(self, mapping: yaml.MappingNode, prefix: str) -> None:
        """Take a map of settings; maps inside it may be groups, as in `metrics: {port: 1}`."""
        if prefix.count(".") > 1:
            raise _Fault(f"{self._place(mapping)}: no settings are nested so deeply")
        for key, value in _pairs(mapping, self._place):
            name = prefix + key.value
            setting = BY_NAME.get(fold(name))
            if setting is None and isinstance(value, yaml.MappingNode) and _is_group(name):
                self._take(value, f"{name}.")
            elif setting is None:
                self.faults.append(f"{self._place(key)}: {unknown(name)}")
            elif setting.attribute in self.given:
                first = self.given[setting.attribute].place
                self.faults.append(f"{self._place(key)}: {setting.key} was set at {first} already")
            elif not _is_null(value):
                raw = _raw(value, self._place, 0)
                self.given[setting.attribute] = Given(raw, self._place(key))


class _Fault(Exception):
    """A fault with its place, on its way to the list of all faults."""


def _pairs(
    mapping: yaml.MappingNode, place: Callable[[yaml.Node], str]
) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    for key, value in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Fault(f"{place(key)}: a name is needed before the colon")
        yield key, value


def _raw(node: yaml.Node, place: Callable[[yaml.Node], str], depth: int) -> Raw:
    if depth > _MAX_DEPTH:
        raise _Fault(f"{place(node)}: values are nested too deeply")
    if isinstance(node, yaml.SequenceNode):
        return [_raw(item, place, depth + 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Raw] = {}
        for key, value in _pairs(node, place):
            if key.value in result:
                raise _Fault(f"{place(key)}: {key.value!r} is there twice")
            result[key.value] = _raw(value, place, depth + 1)
        return result
    return "" if _is_null(node) else str(node.value)


def _is_null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _is_group(name: str) -> bool:
    return any(
        "." in setting.key and fold(setting.key.partition(".")[0]) == fold(name)
        for setting in TABLE
    )


def _settings_file(config: str, uri: Given | None) -> str:
    """The path of the settings file, from `--config` or `coreConfigurationUri`."""
    if uri is None or not uri.raw:
        return config
    parts = urlsplit(str(uri.raw))
    if parts.scheme != "file":
        raise SettingsError(
            f"{uri.place}: coreConfigurationUri: {uri.raw!r} is not a file:// address; settings in "
            f"the configuration tree are found through configServiceUri and coreConfigEntry"
        )
    if config:
        raise SettingsError(f"{uri.place}: coreConfigurationUri and --config name a file each")
    return parts.netloc + parts.path


def _plain_layer(environment: Mapping[str, str], table: Table) -> Layer:
    given = {
        setting.attribute: Given(
            environment[setting.variable], f"environment variable {setting.variable}"
        )
        for setting in table.rows
        if setting.variable and environment.get(setting.variable)
    }
    return Layer(given)


def _variable_layer(environment: Mapping[str, str], table: Table) -> Layer:
    prefix = table.prefix
    mine = {
        name.removeprefix(prefix): value
        for name, value in sorted(environment.items())
        if name.startswith(prefix) and value and name not in _OTHER_VARIABLES
    }
    return _named_layer(mine.items(), f"environment variable {prefix}{{}}", table)


def _named_layer(items: Iterable[tuple[str, str]], place: str, table: Table) -> Layer:
    given: dict[str, Given] = {}
    faults = []
    for name, value in items:
        setting = table.by_name.get(fold(name))
        if setting is None:
            faults.append(f"{place.format(name)}: {unknown(name, table)}")
        else:
            given[setting.attribute] = Given(value, place.format(name))
    return Layer(given, faults)


def unknown(name: str, table: Table = CORE) -> str:
    """What to tell about a name that is no setting."""
    text = f"there is no setting {name!r}"
    suggestion = closest(name, table)
    return f"{text}; did you mean {suggestion.key!r}?" if suggestion else text


def closest(name: str, table: Table = CORE) -> Setting | None:
    """The setting whose name is most like `name`, if any is."""
    matches = difflib.get_close_matches(fold(name), table.by_name, n=1, cutoff=0.7)
    return table.by_name[matches[0]] if matches else None
