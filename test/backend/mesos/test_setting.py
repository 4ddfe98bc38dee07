"""From settings to options, and to what the master is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from aliecs.backend.mesos.setting import options_of
from aliecs.errors import SettingsError
from aliecs.settings.core import Settings


def settings(**changes: object) -> Settings:
    return Settings(**{"executor": "/opt/executor", **changes})  # type: ignore[arg-type]


def test_the_defaults_make_a_framework() -> None:
    options = options_of(settings())
    assert [one.url for one in options.masters] == ["http://127.0.0.1:5050/api/v1/scheduler"]
    assert (options.executor.cpus, options.executor.memory_mb) == (0.01, 256.0)
    info = options.framework("f-1")
    assert (info.id.value, info.user, info.name) == ("f-1", "root", "aliecs")
    assert info.failover_timeout == 3_600_000.0 and info.checkpoint
    assert not info.HasField("role") and not info.HasField("principal")


def test_everything_can_be_said(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    options = options_of(
        settings(
            mesos_auth_mode="basic",
            mesos_credentials_username="ecs",
            mesos_credentials_password=str(password),
            mesos_principal="ecs",
            mesos_framework_role="flp",
            mesos_framework_hostname="core.example",
            mesos_failover_timeout_s=0.0,
            mesos_labels=(("a", "b"), ("c", "")),
            mesos_gpu_cluster_compat=True,
        )
    )
    assert (options.user_name, options.password) == ("ecs", "secret")
    assert "secret" not in repr(options)
    info = options.framework("")
    assert (info.principal, info.role, info.hostname) == ("ecs", "flp", "core.example")
    assert not info.HasField("failover_timeout") and not info.HasField("id")
    assert len(info.capabilities) == 3
    assert not info.labels.labels[1].HasField("value")


def test_our_own_executor_is_told_what_the_settings_say_about_tasks() -> None:
    options = options_of(
        settings(
            executor="",
            executor_command=("/opt/aliecs/bin/aliecs-executor",),
            executor_shell="/bin/bash",
            shm_cleaner=("/bin/clean", "a b"),
            task_log_stream_mb=1,
            task_log_total_mb=2,
        )
    )
    assert list(options.executor.command) == [
        "/opt/aliecs/bin/aliecs-executor",
        "--shell=/bin/bash",
        "--shm-cleaner=/bin/clean 'a b'",
        "--stream-bytes=1048576",
        "--total-bytes=2097152",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"executor": ""}, "set `executor`"),
        ({"mesos_url": "zk://one:2181/mesos"}, "ZooKeeper"),
        ({"mesos_auth_mode": "basic"}, "needs mesosCredentials.username"),
        (
            {
                "mesos_auth_mode": "basic",
                "mesos_credentials_username": "ecs",
                "mesos_credentials_password_file": "/nowhere/password",
            },
            "mesosCredentials.passwordFile: '/nowhere/password' cannot be read",
        ),
        ({"mesos_ca_file": "/nowhere/ca.pem"}, "mesosCaFile: .* cannot be read"),
    ],
)
def test_what_does_not_suffice_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        options_of(settings(**changes))


def test_containers_are_refused_by_the_name_of_the_setting() -> None:
    with pytest.raises(SettingsError, match="mesosExecutorImage: 'alice/executor:1' is refused"):
        options_of(settings(mesos_executor_image="alice/executor:1"))
