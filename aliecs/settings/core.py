"""The settings of the core: every name, type, default and meaning.

Names that the reference has are kept, also where nothing here reads them yet, so that an existing
file of settings loads.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from aliecs.settings.table import Table
from aliecs.settings.table import setting as _setting
from aliecs.settings.value import (
    COMMAND,
    DURATION,
    FILE,
    FLAG,
    FOLDER,
    HOSTS,
    LABELS,
    NUMBER,
    PORT,
    PORT_RANGE,
    TEXT,
    TRUSTED_CLIENTS,
    WORDS,
    Host,
    TrustedClient,
    choice,
    integer,
)


@frozen(kw_only=True)
class Settings:
    """Everything that an operator can set. Durations are seconds, memory is megabytes."""

    instance_name: str = _setting(
        TEXT,
        "AliECS instance",
        "name of this installation, as people see it",
        section="The core",
    )
    core_working_dir: str = _setting(
        FOLDER,
        "/var/lib/o2/aliecs",
        "folder for everything that the core keeps: journal, store, clones, sockets, task logs",
    )
    listen_address: str = _setting(
        TEXT,
        "127.0.0.1",
        "address on which all ports are opened; `0.0.0.0` opens them to everyone, and takes that "
        "somebody is named who may do something (see below)",
    )
    control_port: int = _setting(PORT, 32102, "control API (gRPC); 0 takes any free port")
    rest_port: int = _setting(
        PORT, 32103, "REST, event stream and control room (HTTP); 0 takes any free port"
    )
    metrics_address: str = _setting(
        TEXT,
        "127.0.0.1",
        "address of the metrics beside those on `restPort`",
        key="metrics.address",
        variable="LIBPROCESS_IP",
    )
    metrics_port: int = _setting(
        PORT, 64009, "their port; 0 takes any free port", key="metrics.port", variable="PORT0"
    )
    metrics_path: str = _setting(
        TEXT, "/metrics", "their path", key="metrics.path", variable="METRICS_API_PATH"
    )
    metrics_endpoint: str = _setting(
        TEXT,
        "8088/ecsmetrics",
        "port (four or five digits; `0000` takes any free one), `/`, and name of the metrics for "
        "InfluxDB; empty: there are none",
    )
    manhole_port: int = _setting(
        PORT,
        32104,
        "operator's shell inside the core (ssh); 0 takes any free port. It is opened only where "
        "`manholeKeys` or `manholePasswordFile` says who may enter",
    )
    manhole_user: str = _setting(TEXT, "aliecs", "who logs in to the manhole")
    manhole_keys: str = _setting(
        FILE, "", "file of public keys that may log in to the manhole (`authorized_keys` format)"
    )
    manhole_password_file: str = _setting(
        FILE, "", "file whose first line is the password of the manhole"
    )
    manhole_host_key: str = _setting(
        FILE, "", "private host key of the manhole; empty: one is made in the working folder"
    )
    verbose: bool = _setting(FLAG, False, "log details too")
    very_verbose: bool = _setting(FLAG, False, "log every message too")
    log_format: str = _setting(
        choice("text", "json"), "text", "`text` for people, `json` for one object per line"
    )
    info_logger_socket: str = _setting(
        TEXT,
        "@infoLoggerD",
        "socket of InfoLogger's daemon on this host, a path or `@` and a name; empty: none",
    )
    log_all_il: bool = _setting(
        FLAG, False, "send details to InfoLogger too, as far as they are logged", key="logAllIL"
    )
    journal_retention_days: int = _setting(
        integer(1), 90, "how long an environment that ended stays readable, in days"
    )
    integration_plugins: Sequence[str] = _setting(
        WORDS, (), "outside services to work with, by name, in the order of their start"
    )

    tls_certificate: str = _setting(
        FILE,
        "",
        "certificate chain (PEM) of the core: gRPC and REST speak TLS; read again when it changes",
        section="Who may do what",
    )
    tls_key: str = _setting(FILE, "", "its private key (PEM)")
    tls_client_authorities: str = _setting(
        FILE,
        "",
        "certificates (PEM) of those who sign clients' certificates: gRPC takes such a certificate "
        "of every client, REST asks for one",
    )
    rest_client_certificates: bool = _setting(
        FLAG, False, "REST takes a certificate of every client, too"
    )
    trusted_clients: Sequence[TrustedClient] = _setting(
        TRUSTED_CLIENTS,
        (),
        "programs that speak for people, such as the web interface: maps with `certificate` (a "
        "name in it) or `address` (or a network), and `access` (`admin`, `global`, `det-its`, ...)",
    )
    token_file: str = _setting(
        FILE, "", "tokens with their access (hashed, see `coconut token`); read again on a change"
    )
    open_id_issuer: str = _setting(
        TEXT, "", "address of the OpenID Connect provider by which people are known"
    )
    open_id_client: str = _setting(TEXT, "aliecs", "what this core is called there")
    open_id_secret_file: str = _setting(
        FILE, "", "file whose first line is its secret there; empty: it has none"
    )
    open_id_audiences: Sequence[str] = _setting(
        WORDS, (), "for whom tokens may be made that the core takes, beside `openIdClient`"
    )
    open_id_access_claim: str = _setting(
        TEXT, "cern_roles", "the claim with the list of a person's roles"
    )
    open_id_name_claim: str = _setting(TEXT, "cern_upn", "the claim with the login name")
    open_id_person_claim: str = _setting(
        TEXT, "cern_person_id", "the claim with what a person is known by for life"
    )
    public_url: str = _setting(
        TEXT,
        "",
        "how browsers reach REST, such as `https://aliecs.example`; empty: by the name they used",
    )
    anonymous_reads: bool = _setting(FLAG, False, "whoever shows nothing may look at everything")
    lock_policy: str = _setting(
        choice("enforce", "warn", "off"),
        "warn",
        "what it means that a caller does not hold the locks of an environment's detectors",
    )
    force_locks_role: str = _setting(
        choice("admin", "global"), "admin", "who may take a lock away from its owner"
    )

    config_service_uri: str = _setting(
        TEXT,
        "sqlite://",
        """configuration service: `sqlite://` (a file in the working folder), `sqlite:///path`,
        `file:///path.yaml`, `consul://host:port`, `apricot://host:port` (another process)""",
        section="Configuration",
    )
    core_config_entry: str = _setting(
        TEXT,
        "settings",
        "entry `aliecs/ANY/any/<this>` of the configuration, whose settings rank above the file's",
    )
    core_configuration_uri: str = _setting(
        TEXT, "", "`file://` address of a settings file, as `--config` takes one"
    )
    serve_apricot: bool = _setting(
        FLAG,
        True,
        "serve the configuration to others, as apricot does; not where it is itself another's",
    )
    apricot_port: int = _setting(PORT, 32101, "configuration (gRPC); 0 takes any free port")
    apricot_http_port: int = _setting(PORT, 32188, "configuration (HTTP); 0 takes any free port")

    default_repo: str = _setting(
        TEXT,
        "builtin",
        "workflow repository used where none is named, unless another was chosen at run time",
        section="Workflows",
    )
    repositories: Sequence[str] = _setting(
        WORDS,
        (),
        "further workflow repositories: `host/path/name`, `host:path/name` or `/path/name`",
    )
    global_default_revision: str = _setting(
        TEXT,
        "master",
        "revision used where none is named, unless another was chosen at run time",
    )
    repos_ssh_key: str = _setting(FILE, "", "private key for repositories reached by ssh")
    repos_timeout_s: float = _setting(
        DURATION, 120.0, "how long a clone or a fetch may take", key="reposTimeout"
    )
    load_timeout_s: float = _setting(
        DURATION, 60.0, "how long loading a workflow may take", key="loadTimeout"
    )
    dump_workflows: bool = _setting(
        FLAG, False, "write every workflow that is loaded to files in `dumps` of the working folder"
    )
    jit_timeout_s: float = _setting(
        DURATION, 30.0, "how long one command that generates a workflow may take", key="jitTimeout"
    )
    dpl_environment_file: str = _setting(
        FILE,
        "/etc/profile.d/o2.sh",
        """shell text that makes the programs of DPL known, sourced before every command that
        generates a workflow; where it is missing, none can be generated""",
    )

    backend: str = _setting(
        choice("local", "mesos", "simulated"),
        "local",
        """where tasks run: `local` is this machine, `mesos` a cluster that Apache Mesos keeps;
        `simulated` has no processes, for rehearsals and measurements""",
        section="Tasks",
    )
    hosts: Sequence[Host] = _setting(
        HOSTS,
        (),
        """hosts of the local and the simulated backend: names, or maps with `name`, `attributes`
        (map), `cpus` (cores, 16) and `memory` (MB, 16384). Empty: one host, named as this
        machine""",
    )
    local_ports: tuple[int, int] = _setting(
        PORT_RANGE, (20000, 31999), "ports that the hosts of the local backend share"
    )
    executor_command: Sequence[str] = _setting(
        COMMAND, (), "command that starts an executor; empty: the one that came with this core"
    )
    executor_shell: str = _setting(
        TEXT, "/bin/sh", "shell for tasks and hooks that ask for a shell"
    )
    executor_path: Sequence[str] = _setting(
        WORDS, (), "folders that tasks of the local backend find before the usual PATH"
    )
    shm_cleaner: Sequence[str] = _setting(
        COMMAND, (), "command that each host runs before a deployment to clear shared memory"
    )
    recovery_timeout_s: float = _setting(
        DURATION,
        900.0,
        "how long an executor waits for a core before it ends its tasks and itself",
        key="recoveryTimeout",
    )
    agent_grace_s: float = _setting(
        DURATION,
        120.0,
        "how long a host may be out of reach before its tasks count as lost",
        key="agentGrace",
    )
    task_usage_interval_s: float = _setting(
        DURATION,
        30.0,
        "how often executors tell what tasks use of processor, memory and files; 0s for never",
        key="taskUsageInterval",
    )
    idle_task_ttl_s: float = _setting(
        DURATION, 600.0, "how long a task without environment is kept", key="idleTaskTtl"
    )
    reuse_unlocked_tasks: bool = _setting(FLAG, False, "let new environments take idle tasks")
    task_class_cache_ttl_s: float = _setting(
        DURATION,
        168 * 3600.0,
        "how long task templates without tasks are remembered",
        key="taskClassCacheTTL",
    )
    fmq_plugin: str = _setting(
        choice("OCClite", "OCC"), "OCClite", "control plugin of FairMQ devices"
    )
    fmq_plugin_search_path: str = _setting(
        TEXT, "$CONTROL_OCCPLUGIN_ROOT/lib/", "where FairMQ devices find their control plugin"
    )
    task_log_stream_mb: int = _setting(
        integer(1), 10, "how much is kept of what a task writes, for each of its streams, in MB"
    )
    task_log_total_mb: int = _setting(
        integer(1), 5120, "how much task logs may take on a host, in MB; the oldest go first"
    )
    deploy_timeout_s: float = _setting(
        DURATION,
        90.0,
        "how long a deployment may take, unless the workflow's `deploy_timeout` says otherwise",
        key="deployTimeout",
    )
    configure_timeout_s: float = _setting(
        DURATION, 120.0, "how long tasks may take to configure", key="configureTimeout"
    )
    transition_timeout_s: float = _setting(
        DURATION, 90.0, "how long tasks may take for any other transition", key="transitionTimeout"
    )

    executor: str = _setting(
        TEXT,
        "",
        """path of the executor on Mesos agents, from where they fetch it into the sandbox; empty:
        `executorCommand`, which has to be there""",
        section="Mesos",
        variable="EXEC_BINARY",
    )
    executor_cpu: float = _setting(
        NUMBER,
        0.01,
        "cores that a Mesos executor claims",
        key="executorCPU",
        variable="EXEC_CPU",
    )
    executor_memory: float = _setting(
        NUMBER, 256.0, "MB that a Mesos executor claims", variable="EXEC_MEMORY"
    )
    mesos_url: str = _setting(
        TEXT,
        "http://:5050/api/v1/scheduler",
        """Mesos master; where there are several, all of them:
        `http://one:5050,two:5050/api/v1/scheduler`""",
        variable="MESOS_MASTER_HTTP",
    )
    mesos_api_timeout_s: float = _setting(
        DURATION,
        20.0,
        "limit of a request to Mesos",
        key="mesosApiTimeout",
        variable="MESOS_CONNECT_TIMEOUT",
    )
    mesos_auth_mode: str = _setting(
        choice("", "basic"),
        "",
        "`basic` for a user and a password",
        variable="AUTH_MODE",
    )
    mesos_credentials_username: str = _setting(
        TEXT,
        "",
        "Mesos user",
        key="mesosCredentials.username",
        variable="AUTH_USER",
    )
    mesos_credentials_password_file: str = _setting(
        FILE,
        "",
        "file with the Mesos password",
        key="mesosCredentials.passwordFile",
        variable="AUTH_PASSWORD_FILE",
    )
    mesos_credentials_password: str = _setting(
        FILE,
        "",
        "older name of `mesosCredentials.passwordFile`",
        key="mesosCredentials.password",
    )
    mesos_ca_file: str = _setting(
        FILE,
        "",
        """file with the certificate (PEM) of who signs Mesos masters; empty: whom this machine
        trusts""",
    )
    mesos_checkpoint: bool = _setting(FLAG, True, "tasks outlive a restart of their Mesos agent")
    mesos_executor_image: str = _setting(
        TEXT,
        "",
        "container image of the executor: refused, executors are not started in containers",
        variable="EXEC_IMAGE",
    )
    mesos_failover_timeout_s: float = _setting(
        DURATION,
        1000 * 3600.0,
        "how long Mesos keeps the tasks of a core that is away; with 0 they end at once",
        key="mesosFailoverTimeout",
        variable="SCHEDULER_FAILOVER_TIMEOUT",
    )
    mesos_framework_hostname: str = _setting(TEXT, "", "host name told to Mesos")
    mesos_framework_name: str = _setting(
        TEXT, "aliecs", "name told to Mesos", variable="FRAMEWORK_NAME"
    )
    mesos_framework_role: str = _setting(TEXT, "", "role told to Mesos")
    mesos_framework_user: str = _setting(
        TEXT, "root", "user told to Mesos", variable="FRAMEWORK_USER"
    )
    mesos_gpu_cluster_compat: bool = _setting(FLAG, False, "take Mesos agents with GPUs")
    mesos_labels: Sequence[tuple[str, str]] = _setting(
        LABELS, (), "labels told to Mesos: `key=value`, or maps with `key` and `value`"
    )
    mesos_max_refuse_seconds: float = _setting(
        DURATION,
        5.0,
        "how long an offer that was not needed stays away",
        variable="MAX_REFUSE_SECONDS",
    )
    mesos_principal: str = _setting(TEXT, "", "principal told to Mesos")
    mesos_revive_burst: int = _setting(
        integer(0), 3, "how often offers may be asked for at once", variable="REVIVE_BURST"
    )
    mesos_revive_wait_s: float = _setting(
        DURATION,
        1.0,
        "pause between further questions for offers",
        key="mesosReviveWait",
        variable="REVIVE_WAIT",
    )

    bookkeeping_base_uri: str = _setting(
        TEXT, "http://127.0.0.1:4000", "Bookkeeping", section="Outside services"
    )
    ccdb_endpoint: str = _setting(TEXT, "http://ccdb-test.cern.ch:8080", "conditions database")
    dcs_service_endpoint: str = _setting(TEXT, "//127.0.0.1:50051", "detector control system")
    dd_scheduler_endpoint: str = _setting(TEXT, "//127.0.0.1:50052", "Data Distribution scheduler")
    trg_service_endpoint: str = _setting(TEXT, "//127.0.0.1:50060", "trigger system")
    odc_endpoint: str = _setting(TEXT, "//127.0.0.1:50053", "event farm control (ODC)")
    kafka_endpoint: str = _setting(TEXT, "localhost:9092", "broker of the older Kafka messages")
    kafka_endpoints: Sequence[str] = _setting(
        WORDS, (), "Kafka brokers, `host:port`, that events are told to; none: they are not"
    )
    enable_kafka: bool = _setting(FLAG, True, "false: nothing is told to Kafka")
    kafka_spool_mb: int = _setting(
        integer(1),
        256,
        "how much may wait on disk for Kafka, in MB; beyond it the oldest events are lost",
    )
    test_plugin_endpoint: str = _setting(TEXT, "//127.0.0.1:00000", "the test plugin")

    # What follows belongs to the reference and has no effect here yet.

    consul_base_path: str = _setting(
        TEXT,
        "o2/components/aliecs/ANY/any",
        "part of the configuration that a very verbose start writes to the log",
        section="Accepted, without effect",
        used=False,
    )
    mesos_compression: bool = _setting(FLAG, False, "ask Mesos for compressed answers", used=False)
    mesos_use_system_proxy: bool = _setting(FLAG, False, "reach Mesos by the proxy", used=False)
    mesos_job_restart_delay_s: float = _setting(
        DURATION,
        5.0,
        "pause before an inner job is started again",
        key="mesosJobRestartDelay",
        variable="JOB_RESTART_DELAY",
        used=False,
    )
    mesos_resource_type_metrics: bool = _setting(
        FLAG,
        False,
        "with `summaryMetrics`: what Mesos offers of each kind of resource",
    )
    summary_metrics: bool = _setting(
        FLAG,
        False,
        "how long calls to Mesos and events of it took, in the metrics of the scheduler",
    )
    concurrent_workflow_template_processing: bool = _setting(
        FLAG, True, "a workflow's roles are processed side by side", used=False
    )
    concurrent_workflow_template_iterator_processing: bool = _setting(
        FLAG, True, "a workflow's iterators are processed side by side", used=False
    )
    concurrent_iterator_role_expansion: bool = _setting(
        FLAG, True, "an iterator's roles are made side by side", used=False
    )
    config_cache: bool = _setting(FLAG, True, "remember the inventory", used=False)
    bookkeeping_token: str = _setting(
        TEXT, "token", "token for Bookkeeping", used=False, secret=True
    )
    bookkeeping_use_system_proxy: bool = _setting(
        FLAG, False, "reach Bookkeeping by the proxy", used=False
    )
    dcs_service_use_system_proxy: bool = _setting(FLAG, False, "reach DCS by the proxy", used=False)
    dd_scheduler_use_system_proxy: bool = _setting(
        FLAG, False, "reach the Data Distribution scheduler by the proxy", used=False
    )
    dd_scheduler_status_timeout_s: float = _setting(
        DURATION,
        30.0,
        "limit of a status request to the Data Distribution scheduler",
        key="ddSchedulerStatusTimeout",
        used=False,
    )
    ddsched_status_timeout_s: float = _setting(
        DURATION,
        30.0,
        "older name of `ddSchedulerStatusTimeout`",
        key="ddschedStatusTimeout",
        used=False,
    )
    trg_service_use_system_proxy: bool = _setting(
        FLAG, False, "reach the trigger system by the proxy", used=False
    )
    trg_polling_interval_s: float = _setting(
        DURATION, 3.0, "pause between questions to it", key="trgPollingInterval", used=False
    )
    trg_polling_timeout_s: float = _setting(
        DURATION, 3.0, "limit of such a question", key="trgPollingTimeout", used=False
    )
    trg_reconciliation_timeout_s: float = _setting(
        DURATION,
        5.0,
        "limit of a reconciliation with it",
        key="trgReconciliationTimeout",
        used=False,
    )
    odc_polling_interval_s: float = _setting(
        DURATION, 3.0, "pause between questions to ODC", key="odcPollingInterval", used=False
    )
    odc_use_system_proxy: bool = _setting(FLAG, False, "reach ODC by the proxy", used=False)
    kube_namespace: str = _setting(TEXT, "", "Kubernetes namespace", used=False)
    kubeconfig: str = _setting(FILE, "", "Kubernetes configuration", used=False)


CORE = Table.of(Settings, "ALIECS_")
"""The settings of the core."""

TABLE = CORE.rows
BY_NAME = CORE.by_name

"""Makes a field of a class that a `Table` is made of."""
