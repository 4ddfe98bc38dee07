"""From an address to the tree, the store or the service behind it (setting `configServiceUri`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aliecs.configuration.file import FileTree
from aliecs.configuration.remote import RemoteConfigurationService
from aliecs.configuration.service import LocalConfigurationService
from aliecs.configuration.sqlite import SqliteTree
from aliecs.configuration.store import ThreadedStore
from aliecs.configuration.tree import Tree
from aliecs.errors import SettingsError
from aliecs.interfaces import IConfigurationService

DEFAULT_FILE = "configuration.db"
"""Name of the embedded store in the working folder."""

_SUFFIXES = (".yaml", ".yml", ".json")


def open_tree(uri: str, working_dir: Path) -> Tree:
    """The tree at `uri`, not opened yet.

    `sqlite://` is the embedded store in `working_dir`, `sqlite:///path` one elsewhere,
    `file://path` a YAML or JSON file. Raises `SettingsError` for any other address.
    """
    scheme, separator, path = uri.partition("://")
    if scheme == "sqlite" and separator:
        return SqliteTree(Path(path).absolute() if path else working_dir / DEFAULT_FILE)
    if scheme == "file" and separator:
        if not path.endswith(_SUFFIXES):
            raise SettingsError(
                f"configServiceUri: {uri}: a configuration file ends in {', '.join(_SUFFIXES)}"
            )
        return FileTree(Path(path).absolute())
    if scheme == "consul" and separator:
        raise SettingsError(
            f"configServiceUri: {scheme}:// is not available in this version; use sqlite:// or "
            "file:///path.yaml"
        )
    raise SettingsError(
        f"configServiceUri: {uri!r} is no address of a configuration service; use sqlite://, "
        "sqlite:///path, file:///path.yaml or apricot://host:port"
    )


def is_remote(uri: str) -> bool:
    """True for the address of a service in another process."""
    return uri.startswith("apricot://")


def open_configuration(
    uri: str, working_dir: Path, reactor: Any, trim_space: bool = True
) -> IConfigurationService:
    """The configuration service at `uri`, not started yet: `apricot://host:port` is one in another
    process, other addresses and errors are those of `open_tree`. `reactor` is where answers come
    back to; see `LocalConfigurationService` for `trim_space`."""
    if is_remote(uri):
        return RemoteConfigurationService(uri)
    store = ThreadedStore(open_tree(uri, working_dir), reactor)
    return LocalConfigurationService(store, reactor, trim_space)
