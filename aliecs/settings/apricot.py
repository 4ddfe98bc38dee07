"""The settings of the configuration service on its own (`twistd apricot`).

Names and defaults are the reference's; what it accepts without effect is accepted here too. There
is no file of settings: variables `APRICOT_*` and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from aliecs.settings.layer import Sources
from aliecs.settings.options import TableOptions, parameters
from aliecs.settings.table import Table, setting
from aliecs.settings.value import FLAG, FOLDER, PORT, TEXT, choice


@frozen(kw_only=True)
class ApricotSettings:
    """Everything that an operator can set."""

    listen_address: str = setting(
        TEXT,
        "127.0.0.1",
        "address on which both ports are opened; `0.0.0.0` opens them to everyone",
        section="The service",
    )
    listen_port: int = setting(PORT, 32101, "gRPC; 0 takes any free port")
    http_listen_port: int = setting(PORT, 32188, "HTTP; 0 takes any free port")
    backend_uri: str = setting(
        TEXT,
        "consul://127.0.0.1:8500",
        """where the tree is: `consul://host:port`, `sqlite://` (a file in the working folder),
        `sqlite:///path`, `file:///path.yaml`, `apricot://host:port` (handed on to another one)""",
    )
    working_dir: str = setting(
        FOLDER, "/var/lib/o2/apricot", "folder for what is kept on this machine"
    )
    verbose: bool = setting(FLAG, False, "log every call too")
    log_format: str = setting(
        choice("text", "json"), "text", "`text` for people, `json` for one object per line"
    )
    info_logger_socket: str = setting(
        TEXT,
        "@infoLoggerD",
        "socket of InfoLogger's daemon on this host, a path or `@` and a name; empty: none",
    )
    log_all_il: bool = setting(
        FLAG, False, "send details to InfoLogger too, as far as they are logged", key="logAllIL"
    )
    trim_space_in_vars_from_consul_kv: bool = setting(
        FLAG,
        True,
        "leave out blanks around the values of defaults and variables",
        key="trimSpaceInVarsFromConsulKV",
    )
    runtime_base_path: str = setting(
        TEXT, "o2/runtime", "the reference does not use it either", used=False
    )


APRICOT = Table.of(ApricotSettings, "APRICOT_")


class ApricotOptions(TableOptions):
    """The command line of `twistd apricot`."""

    table = APRICOT
    synopsis = "[--SETTING VALUE ...]"
    longdesc = "Settings come from defaults, APRICOT_* variables and these options, rising."
    optParameters = parameters(APRICOT)  # noqa: N815

    def apricot_settings(self, environment: Mapping[str, str]) -> ApricotSettings:
        """The settings. Raises `SettingsError`."""
        sources = Sources.gather(options=self.given, environment=environment, table=APRICOT)
        return ApricotSettings(**sources.values())
