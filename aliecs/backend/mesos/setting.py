"""From the settings of a core to what this backend needs to know."""

from __future__ import annotations

import shlex
from pathlib import Path

from aliecs.backend.mesos.address import parse_masters
from aliecs.backend.mesos.option import ExecutorOptions, MesosOptions
from aliecs.errors import SettingsError
from aliecs.protocol.infologger import DAEMON
from aliecs.settings.core import Settings

MEGABYTE = 1024 * 1024


def options_of(settings: Settings) -> MesosOptions:
    """What the settings say. Raises `SettingsError` where they do not suffice, and where a file
    that they name cannot be read."""
    user_name, password = _credentials(settings)
    return MesosOptions(
        masters=parse_masters(settings.mesos_url),
        executor=_executor(settings),
        timeout_s=settings.mesos_api_timeout_s,
        user_name=user_name,
        password=password,
        authority=_content("mesosCaFile", settings.mesos_ca_file),
        user=settings.mesos_framework_user,
        name=settings.mesos_framework_name,
        role=settings.mesos_framework_role,
        host_name=settings.mesos_framework_hostname,
        principal=settings.mesos_principal,
        checkpoint=settings.mesos_checkpoint,
        failover_timeout_s=settings.mesos_failover_timeout_s,
        takes_gpus=settings.mesos_gpu_cluster_compat,
        labels=settings.mesos_labels,
        refuse_s=settings.mesos_max_refuse_seconds,
        revive_burst=settings.mesos_revive_burst,
        revive_wait_s=settings.mesos_revive_wait_s,
    )


def _executor(settings: Settings) -> ExecutorOptions:
    if settings.mesos_executor_image:
        raise SettingsError(
            f"mesosExecutorImage: {settings.mesos_executor_image!r} is refused: executors are not"
            " started in containers; set `executor` or `executorCommand` instead"
        )
    if not (settings.executor or settings.executor_command):
        raise SettingsError(
            "backend: mesos needs to know how agents start an executor: set `executor` to a path"
            " that they can fetch, or `executorCommand` to a command that is there"
        )
    return ExecutorOptions(
        path=settings.executor,
        command=_command(settings) if settings.executor_command else (),
        cpus=settings.executor_cpu,
        memory_mb=settings.executor_memory,
    )


def _command(settings: Settings) -> tuple[str, ...]:
    """The command of our own executor, with what the settings say about tasks."""
    cleaner, daemon = shlex.join(settings.shm_cleaner), settings.info_logger_socket
    return (
        *settings.executor_command,
        f"--shell={settings.executor_shell}",
        *([f"--shm-cleaner={cleaner}"] if cleaner else []),
        f"--stream-bytes={settings.task_log_stream_mb * MEGABYTE}",
        f"--total-bytes={settings.task_log_total_mb * MEGABYTE}",
        # Executors of before know nothing of it, and need not.
        *([f"--infologger={daemon}"] if daemon != DAEMON else []),
    )


def _credentials(settings: Settings) -> tuple[str, str]:
    if settings.mesos_auth_mode != "basic":
        return "", ""
    file = settings.mesos_credentials_password_file or settings.mesos_credentials_password
    if not settings.mesos_credentials_username or not file:
        raise SettingsError(
            "mesosAuthMode: basic needs mesosCredentials.username and mesosCredentials.passwordFile"
        )
    password = _content("mesosCredentials.passwordFile", file)
    return settings.mesos_credentials_username, password.decode(errors="replace").strip()


def _content(setting: str, file: str) -> bytes:
    if not file:
        return b""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}: {file!r} cannot be read: {error.strerror}") from None
