"""From an address to the tree, the store or the service behind it (setting `configServiceUri`)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from aliecs.configuration.consul import open_session
from aliecs.configuration.consulstore import ConsulStore
from aliecs.configuration.file import FileTree
from aliecs.configuration.remote import RemoteConfigurationService
from aliecs.configuration.service import LocalConfigurationService
from aliecs.configuration.sqlite import SqliteTree
from aliecs.configuration.store import ThreadedStore
from aliecs.configuration.tree import Tree
from aliecs.errors import SettingsError
from aliecs.interfaces import IConfigurationService, IConfigurationStore

DEFAULT_FILE = "configuration.db"
"""Name of the embedded store in the working folder."""

_SUFFIXES = (".yaml", ".yml", ".json")


_CONSUL = "consul://"
_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


def open_tree(uri: str, working_dir: Path) -> Tree:
    """The tree at `uri`, not opened yet, for those that are kept on this machine.

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
    raise SettingsError(
        f"configServiceUri: {uri!r} is no address of a configuration service; use sqlite://, "
        "sqlite:///path, file:///path.yaml, consul://host:port or apricot://host:port"
    )


def open_store(uri: str, working_dir: Path, reactor: Any) -> IConfigurationStore:
    """The store at `uri`, not started yet: what `open_tree` knows, and `consul://host:port`.

    `reactor` is where answers come back to. Raises `SettingsError` for any other address.
    """
    if is_remote(uri):
        raise SettingsError(
            f"configServiceUri: {uri} is a service, and not the place where it keeps its tree"
        )
    if uri.startswith(_CONSUL):
        address = uri.removeprefix(_CONSUL).rstrip("/")
        if not _ADDRESS.fullmatch(address):
            raise SettingsError(f"configServiceUri: {uri}: write {_CONSUL}host:port")
        return ConsulStore(open_session(address, reactor, os.environ), reactor)
    return ThreadedStore(open_tree(uri, working_dir), reactor)


def is_remote(uri: str) -> bool:
    """True for the address of a service in another process."""
    return uri.startswith("apricot://")


def open_configuration(
    uri: str, working_dir: Path, reactor: Any, trim_space: bool = True
) -> IConfigurationService:
    """The configuration service at `uri`, not started yet: `apricot://host:port` is one in another
    process, other addresses and errors are those of `open_store`. See `LocalConfigurationService`
    for `trim_space`."""
    if is_remote(uri):
        return RemoteConfigurationService(uri)
    store = open_store(uri, working_dir, reactor)
    return LocalConfigurationService(store, reactor, trim_space)
