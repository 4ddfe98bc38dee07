"""Sources over sources: which one wins, and what is told of what is wrong in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from aliecs.errors import SettingsError
from aliecs.settings import Settings, Sources, describe, read_text
from aliecs.settings.core import BY_NAME, TABLE

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> str:
        path = tmp_path / "settings.yaml"
        path.write_text(text)
        return str(path)

    return write


def gather(
    config: str = "",
    options: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    return Sources.gather(config=config, options=options, environment=environment).settings()


def fault(**sources: object) -> str:
    with pytest.raises(SettingsError) as caught:
        gather(**sources)  # type: ignore[arg-type]
    return caught.value.message


def test_defaults() -> None:
    settings = gather()
    assert settings == Settings()
    assert settings.control_port == 32102
    assert settings.listen_address == "127.0.0.1"
    assert settings.config_service_uri == "sqlite://"
    assert settings.task_class_cache_ttl_s == 168 * 3600


def test_every_layer_ranks_above_the_one_before(write: Write) -> None:
    config = write("controlPort: 1\ninstanceName: file\nverbose: true\nmetrics: {port: 2}\n")
    sources = Sources.gather(
        config=config,
        options={"controlPort": "6"},
        environment={"ALIECS_CONTROLPORT": "5", "ALIECS_INSTANCENAME": "variable", "PORT0": "9"},
    )
    entry = read_text("controlPort: 4\ninstanceName: tree\nrestPort: 44", "tree")

    settings = sources.settings(entry)
    assert settings.control_port == 6
    assert settings.instance_name == "variable"
    assert settings.rest_port == 44
    assert settings.verbose is True
    assert settings.metrics_port == 2

    assert sources.settings().rest_port == 32103


def test_the_tree_ranks_above_the_file(write: Write) -> None:
    sources = Sources.gather(config=write("restPort: 1"))
    assert sources.settings(read_text("restPort: 2", "tree")).rest_port == 2


def test_plain_variables_give_defaults_only(write: Write) -> None:
    assert gather(environment={"EXEC_CPU": "0.5"}).executor_cpu == 0.5
    assert gather(write("executorCPU: 2"), environment={"EXEC_CPU": "0.5"}).executor_cpu == 2
    assert "environment variable EXEC_CPU: executorCPU: expected a number" in fault(
        environment={"EXEC_CPU": "many"}
    )


@pytest.mark.parametrize("name", ["controlport", "CONTROLPORT", "control_port", "control-port"])
def test_case_and_marks_do_not_count_in_names(write: Write, name: str) -> None:
    assert gather(write(f"{name}: 7")).control_port == 7
    assert gather(options={name: "7"}).control_port == 7


def test_variables_of_nested_names_can_be_set_from_a_shell() -> None:
    assert gather(environment={"ALIECS_METRICS_PORT": "7"}).metrics_port == 7
    assert gather(environment={"ALIECS_METRICS.PORT": "7"}).metrics_port == 7


def test_an_empty_variable_and_an_empty_value_set_nothing(write: Write) -> None:
    assert gather(write("controlPort:\n"), environment={"ALIECS_RESTPORT": ""}) == Settings()


def test_values_are_read_as_they_are_written(write: Write) -> None:
    settings = gather(
        write(
            """
            instanceName: 017
            globalDefaultRevision: on
            integrationPlugins:
              - dcs
              - ddsched
            kafkaEndpoints: [ "one:9092", "two:9092" ]
            mesosApiTimeout: 1m30s
            hosts:
              - name: flp001
                attributes: { machine_id: flp001 }
              - epn001
            """
        )
    )
    assert settings.instance_name == "017"
    assert settings.global_default_revision == "on"
    assert settings.integration_plugins == ("dcs", "ddsched")
    assert settings.kafka_endpoints == ("one:9092", "two:9092")
    assert settings.mesos_api_timeout_s == 90
    assert [host.name for host in settings.hosts] == ["flp001", "epn001"]


def test_an_unknown_key_is_told_with_its_line_and_the_closest_name(write: Write) -> None:
    config = write("verbose: true\ncontrolprot: 1\n")
    assert fault(config=config) == (
        f"{config}:2: there is no setting 'controlprot'; did you mean 'controlPort'?"
    )


def test_an_unknown_key_like_nothing_else_gets_no_suggestion(write: Write) -> None:
    config = write("zzz: 1\n")
    assert fault(config=config) == f"{config}:1: there is no setting 'zzz'"


def test_unknown_names_of_variables_and_options() -> None:
    assert "environment variable ALIECS_CONTROLPROT: there is no setting" in fault(
        environment={"ALIECS_CONTROLPROT": "1"}
    )
    assert "option --controlprot: there is no setting" in fault(options={"controlprot": "1"})
    assert gather(environment={"ALIECS_CONTROL_WORKFLOWS": "/x", "HOME": "/y"}) == Settings()


def test_all_faults_are_told_at_once(write: Write) -> None:
    config = write("controlPort: many\nlogFormat: xml\nmetrics:\n  prot: 1\n")
    lines = fault(config=config, environment={"ALIECS_RESTPORT": "70000"}).splitlines()
    assert sorted(lines) == sorted(
        [
            f"{config}:1: controlPort: expected a whole number, not 'many'",
            f"{config}:2: logFormat: expected text or json, not 'xml'",
            f"{config}:4: there is no setting 'metrics.prot'; did you mean 'metrics.port'?",
            "environment variable ALIECS_RESTPORT: restPort: 70000 is not a number from 0 to 65535",
        ]
    )


def test_a_value_that_a_higher_layer_replaces_is_checked_too(write: Write) -> None:
    assert "controlPort" in fault(config=write("controlPort: x"), options={"controlPort": "1"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", ":1: settings are a map"),
        ("just text", ":1: settings are a map"),
        ("a: [1\nb: 2", ":2:2: not YAML"),
        ("controlPort: 1\nrestPort: 2\ncontrolport: 3", ":3: controlPort was set at "),
        ("? [a]\n: b", ":1: a name is needed"),
        ("hosts: &a [*a]", ":1: values are nested too deeply"),
        ("hosts: [{name: a, name: b}]", ":1: 'name' is there twice"),
        ("controlPort: [1]", ":1: controlPort: expected a whole number, not a list"),
        ("controlPort: {a: 1}", ":1: controlPort: expected a whole number, not a map"),
    ],
)
def test_files_that_cannot_be_understood(write: Write, text: str, told: str) -> None:
    config = write(text)
    assert config + told in fault(config=config)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "nowhere.yaml: the settings file cannot be read: No such file" in fault(
        config=str(tmp_path / "nowhere.yaml")
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_sets_nothing(write: Write, text: str) -> None:
    assert gather(write(text)) == Settings()


def test_the_file_may_be_named_by_its_address(write: Write) -> None:
    config = write("controlPort: 9")
    address = f"file://{config}"
    assert gather(options={"coreConfigurationUri": address}).control_port == 9
    assert gather(environment={"ALIECS_CORECONFIGURATIONURI": address}).control_port == 9
    assert "name a file each" in fault(config=config, options={"coreConfigurationUri": address})
    assert "is not a file:// address" in fault(options={"coreConfigurationUri": "consul://a/b"})


def test_unknown_names_in_the_tree_are_warnings_and_wrong_values_are_not() -> None:
    sources = Sources.gather()
    entry = read_text("restPort: 5\nnovelty: 1\n", "aliecs/ANY/any/settings")
    assert sources.settings(entry).rest_port == 5
    assert entry.faults == ["aliecs/ANY/any/settings:2: there is no setting 'novelty'"]
    with pytest.raises(SettingsError, match="settings:1: restPort"):
        sources.settings(read_text("restPort: many", "aliecs/ANY/any/settings"))


def test_a_settings_file_of_the_reference_loads(write: Write) -> None:
    settings = gather(
        write(
            """
            controlport: 47102
            executor: /opt/executor
            mesosurl: http://127.0.0.1:5050/api/v1/scheduler
            verbose: true
            veryverbose: true
            mesosLabels: [ { key: a, value: b } ]
            mesosCredentials: { username: me, passwordFile: /etc/secret }
            integrationPlugins: [ dcs, ddsched, odc ]
            dcsServiceEndpoint: some-host:50051
            ddschedStatusTimeout: 5s
            """
        )
    )
    assert settings.control_port == 47102
    assert settings.mesos_credentials_password_file == "/etc/secret"
    assert settings.dcs_service_endpoint == "some-host:50051"


def test_secrets_are_not_shown() -> None:
    settings = gather(options={"bookkeepingToken": "hush"})
    assert settings.bookkeeping_token == "hush"
    assert "hush" not in repr(settings)
    assert BY_NAME["bookkeepingtoken"].show("hush") == "(not shown)"


def test_every_setting_is_described() -> None:
    page = describe()
    for setting in TABLE:
        assert f"| `{setting.key}` |" in page
    assert len(BY_NAME) == len(TABLE)


def test_the_page_in_the_documentation_is_the_tables() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == describe(), "run: python -m aliecs.settings > docs/settings.md"


def test_every_default_is_a_value_of_its_kind() -> None:
    for setting in TABLE:
        if isinstance(setting.default, tuple) and not setting.default:
            assert setting.kind.parse([]) == ()
        else:
            assert setting.kind.parse(setting.show(setting.default)) == setting.default or (
                setting.secret
            )
