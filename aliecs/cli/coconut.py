"""`coconut`: the command line of the control system.

Commands, aliases, flags and settings are upstream's; it works with upstream's core too. Results go
to standard output, everything else (progress, notices, errors) to standard error. Exit codes: 0
where the core did what was asked, also where a transition was tried and failed (look at the state);
1 where the request was refused or failed, or the command line is wrong; 130 when interrupted. Those
of `coconut configuration` are in its module.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence

import click
import click.shell_completion

from aliecs.api.mapping import to_value
from aliecs.cli import (
    access,
    configuration,
    environment,
    host,
    operation,
    repository,
    role,
    task,
    workflow,
)
from aliecs.cli.configuration import ConfigurationFailed
from aliecs.cli.option import Group
from aliecs.cli.output import state_text
from aliecs.cli.session import session
from aliecs.errors import AliecsError
from aliecs.protocol.protos import o2control_pb2

FAILURE = 1
INTERRUPTED = 130

root = Group(
    "coconut",
    help="The command line of the ALICE Experiment Control System.",
    epilog="Exit codes: 0 the core did what was asked (a transition that was tried and failed "
    "included: look at the state), 1 it did not, or the command line is wrong, 130 interrupted.",
)


def about() -> None:
    """About this program."""
    with session() as here:
        version = importlib.metadata.version("aliecs")
        settings, output = here.settings, here.output
        if not output.is_text:
            output.value(
                {
                    "version": version,
                    "configFile": settings.file,
                    "endpoint": settings.endpoint,
                    "configEndpoint": settings.config_endpoint,
                }
            )
            return
        output.line("*** coconut, the AliECS control and configuration utility ***")
        output.label("version", version, 17)
        output.label("config file", settings.file or "builtin", 17)
        output.label("endpoint", settings.endpoint, 17)
        output.label("config_endpoint", settings.config_endpoint, 17)
        output.label("licence", "GNU General Public License, version 3 or later", 17)


def info() -> None:
    """What the core is, what it has, and which outside services it works with."""
    with session() as here:
        reply = here.ask("GetFrameworkInfo", o2control_pb2.GetFrameworkInfoRequest())
        services = here.ask("GetIntegratedServices", o2control_pb2.Empty()).services
        output = here.output
        if not output.is_text:
            value = to_value(reply)
            value["services"] = {name: to_value(services[name]) for name in sorted(services)}
            output.value(value)
            return
        version = reply.version.versionStr
        if version in ("", "0.0.0"):
            version = "dev"
        if reply.version.build:
            version += f" revision {reply.version.build}"
        enabled = sum(service.enabled for service in services.values())
        detectors = reply.detectorsInInstance
        for name, text in (
            ("instance name", reply.instanceName),
            ("core version", version),
            ("core endpoint", here.settings.endpoint),
            ("configuration endpoint", reply.configurationEndpoint),
            ("framework id", reply.frameworkId),
            ("environments count", reply.environmentsCount),
            ("active tasks count", reply.tasksCount),
            ("global state", state_text(reply.state)),
            (
                "detectors in instance",
                f"{' '.join(detectors)} ({len(detectors)} total)" if detectors else "none",
            ),
            ("detectors in use", " ".join(reply.activeDetectors) or "none"),
            ("detectors available", " ".join(reply.availableDetectors) or "none"),
            (
                "integrated services",
                f"{enabled} enabled (out of {len(services)} total)" if services else "none",
            ),
        ):
            output.label(name, text, 24)
        for name in sorted(services):
            service = services[name]
            output.label(f"  {name}", "enabled" if service.enabled else "disabled", 24)
            if service.enabled:
                output.label("    service name", service.name, 24)
                output.label("    endpoint", service.endpoint, 24)
                output.label("    connection state", service.connectionState, 24)
                if service.data not in ("", "{}"):
                    output.label("    data", service.data, 24)


@click.option("-r", "--reason", default="", help="why, for the log")
def shutdown(reason: str) -> None:
    """End all environments, all tasks, all executors, and the core."""
    with session() as here:
        request = o2control_pb2.TeardownRequest(reason=reason)
        reply = here.move("Teardown", request, "shutting down")
        if here.output.is_text:
            here.output.line("shutdown complete")
        else:
            here.output.value(to_value(reply))


@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands and options.

    In bash, for this shell: eval "$(coconut completion bash)"; the same line in ~/.bashrc is for
    all to come. zsh likewise. In fish: coconut completion fish | source
    """
    made = click.shell_completion.get_completion_class(shell)
    assert made is not None
    click.echo(made(root, {}, "coconut", "_COCONUT_COMPLETE").source())


root.add(root.command("about")(about))
root.add(root.command("completion")(completion))
root.add(root.command("info")(info))
root.add(root.command("shutdown")(shutdown))
root.add(environment.group, "env", "e")
root.add(task.group, "t")
root.add(host.group, "h")
root.add(operation.group, "o", "op")
root.add(access.group, "l")
root.add(root.command("audit")(access.audit))
root.add(root.command("whoami")(access.whoami))
root.add(root.command("token")(access.token))
root.add(role.group, "r")
root.add(repository.repositories, "repo")
root.add(repository.templates, "templ")
root.add(configuration.group, "config", "conf", "c")
root.add(workflow.group, "w")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `coconut`; gives the exit code (see the module)."""
    try:
        result = root.main(
            list(sys.argv[1:] if arguments is None else arguments), "coconut", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return FAILURE
    except ConfigurationFailed as error:
        click.echo(f"coconut: {error}", err=True)
        return error.exit_code
    except AliecsError as error:
        click.echo(f"coconut: {error}", err=True)
        return FAILURE
    except (click.Abort, KeyboardInterrupt):
        click.echo("coconut: interrupted; the core carries on with what was asked", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return FAILURE
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    raise SystemExit(main())
