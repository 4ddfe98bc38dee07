"""The settings of the configuration service on its own."""

from __future__ import annotations

import pytest
from twisted.python.usage import UsageError

from aliecs.errors import SettingsError
from aliecs.settings.apricot import ApricotOptions, ApricotSettings


def settings(*arguments: str, **environment: str) -> ApricotSettings:
    options = ApricotOptions()
    options.parseOptions(arguments)
    return options.apricot_settings(environment)


def test_the_defaults_are_those_of_the_reference() -> None:
    found = settings()
    assert (found.listen_port, found.http_listen_port) == (32101, 32188)
    assert found.backend_uri == "consul://127.0.0.1:8500"
    assert found.working_dir == "/var/lib/o2/apricot"
    assert found.trim_space_in_vars_from_consul_kv
    assert found.listen_address == "127.0.0.1"


def test_the_command_line_ranks_above_variables() -> None:
    found = settings(
        "--listenport=1",
        "--verbose",
        APRICOT_LISTENPORT="2",
        APRICOT_HTTPLISTENPORT="3",
        APRICOT_TRIMSPACEINVARSFROMCONSULKV="false",
        ALIECS_CONTROLPORT="4",
    )
    assert (found.listen_port, found.http_listen_port, found.verbose) == (1, 3, True)
    assert not found.trim_space_in_vars_from_consul_kv


def test_what_the_reference_does_not_use_is_accepted() -> None:
    assert settings("--runtimeBasePath", "o2/other").runtime_base_path == "o2/other"


@pytest.mark.parametrize("name", ["APRICOT_CONFIG_ENDPOINT", "APRICOT_CONFIGSERVICEURI"])
def test_no_other_name_changes_where_the_tree_is(name: str) -> None:
    """In the reference these override `backendUri` in silence."""
    with pytest.raises(SettingsError, match=f"{name}: there is no setting"):
        settings(**{name: "consul://elsewhere:8500"})


def test_what_cannot_be() -> None:
    with pytest.raises(SettingsError, match="APRICOT_LISTENPORT: listenPort: expected a whole"):
        settings(APRICOT_LISTENPORT="x")
    for arguments in (("--listenPrt=1",), ("--controlPort=1",), ("--config=x",), ("extra",)):
        with pytest.raises(UsageError):
            settings(*arguments)
