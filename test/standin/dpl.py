"""Programs of DPL that only know how to tell the control system what they would be.

    o2-dpl-raw-proxy OPTIONS | o2-qc OPTIONS | o2-dpl-output-proxy OPTIONS --o2-control NAME

Each passes on what it reads and adds itself; the last, which is told `--o2-control`, writes the
workflow template NAME and one task template for each program of the pipe, with the channels that
join them and those that `--channel-config` declares, as the real driver does (from reading it).
`install_dpl` puts them, and the text that makes them known to a shell, into a folder.

Options of the stand-in's own: `--standin-fail`, `--standin-sleep SECONDS`, `--standin-flood`.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = (
    "o2-dpl-raw-proxy",
    "o2-dpl-output-proxy",
    "o2-qc",
    "o2-tpc-idc-to-vector",
    "o2-tpc-idc-flp",
    "o2-tpc-sac-processing",
    "o2-tpc-cmv-to-vector",
    "o2-tpc-cmv-flp",
    "consul",
)
PRESERVED = "ecs-preserve-raw-channels"


def install_dpl(folder: Path, further: Sequence[str] = ()) -> Path:
    """Put the programs, and `further` ones, into `folder`; gives the file to be sourced (setting
    `dplEnvironmentFile`)."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in dict.fromkeys((*PROGRAMS, *further)):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {name} "$@"\n'
        )
        program.chmod(0o755)
    environment = folder / "o2.sh"
    environment.write_text(f"export PATH={shlex.quote(str(programs))}:$PATH\n")
    return environment


def _value(arguments: Sequence[str], option: str, default: str = "") -> str:
    return arguments[arguments.index(option) + 1] if option in arguments else default


def _raw_channels(arguments: Sequence[str]) -> list[dict[str, str]]:
    """What `--channel-config "name=...,..."` declares, wherever it stands."""
    found = re.findall(r'--channel-config "([^"]*)"', " ".join(arguments))
    return [dict(item.split("=", 1) for item in text.split(",")) for text in found]


def _quoted(text: str) -> str:
    return json.dumps(text)


def _raw_channel(channel: dict[str, str], preserved: bool) -> tuple[str, str, str]:
    """A channel to the world outside: the key, its lines in the role, its lines in the task."""
    key = "bind" if channel["method"] == "bind" else "connect"
    lines = [
        f"- name: {channel['name']}",
        f"  type: {channel['type']}",
        f"  transport: {channel.get('transport', 'zeromq')}",
        f"  rateLogging: {_quoted('{{ fmq_rate_logging }}')}",
    ]
    if preserved:
        lines.append(f"  target: {_quoted(channel['address'])}")
    elif key == "bind":
        lines.append(f"  addressing: {channel['address'].partition(':')[0]}")
        lines.append(f"  global: {_quoted(channel['name'] + '-{{ it }}')}")
    else:
        lines.append(f"  target: {_quoted('::' + channel['name'] + '-{{ it }}')}")
    return key, "\n".join(lines), "\n".join(lines) if key == "bind" else ""


def _indented(text: str, depth: int) -> str:
    return "".join(f"{' ' * depth}{line}\n" for line in text.splitlines())


def write_templates(name: str, devices: list[list[str]]) -> None:
    """Write the templates of a pipe."""
    Path("workflows").mkdir()
    Path("tasks").mkdir()
    names = [f"{number}-{device[0]}" for number, device in enumerate(devices)]
    roles = []
    for number, (device, arguments) in enumerate(zip(names, devices, strict=True)):
        preserved = PRESERVED in _value(arguments, "--labels")
        declared = [_raw_channel(channel, preserved) for channel in _raw_channels(arguments)]
        in_role: dict[str, list[str]] = {"bind": [], "connect": []}
        for key, text, _ in declared:
            in_role[key].append(text)
        in_task = [text for _, _, text in declared if text]
        if number:
            source = names[number - 1]
            in_role["connect"].append(
                f"- name: from_{source}\n  type: pull\n  transport: shmem\n"
                f"  target: {_quoted('{{ Parent().Path }}.' + source + ':from_' + source)}"
            )
        if number < len(devices) - 1:
            in_task.append(
                f"- name: from_{device}\n  type: push\n  transport: shmem\n  addressing: ipc"
            )
        role = f"  - name: {_quoted(device)}\n"
        for key, texts in in_role.items():
            if texts:
                role += f"    {key}:\n" + "".join(_indented(text, 6) for text in texts)
        roles.append(f"{role}    task:\n      load: {name}-{device}\n")
        Path("tasks", f"{name}-{device}.yaml").write_text(_task(name, device, arguments, in_task))
    Path("workflows", f"{name}.yaml").write_text(
        f"name: {name}\nvars:\n  dpl_command: >-\n    {' '.join(devices[-1])}\n"
        "defaults:\n  monitoring_dpl_url: no-op://\n  user: flp\n  fmq_rate_logging: 0\n"
        "  shm_segment_size: 10000000000\n  session_id: default\n  resources_monitoring: 15\n"
        f"roles:\n{''.join(roles)}"
    )


def _task(name: str, device: str, arguments: list[str], bind: list[str]) -> str:
    channels = "bind:\n" + "".join(_indented(text, 2) for text in bind) if bind else ""
    quoted = "".join(f"    - {_quoted(argument)}\n" for argument in ("-b", *arguments[1:3]))
    return (
        f"name: {name}-{device}\n"
        "defaults:\n  log_task_output: none\n  exit_transition_timeout: 15\n"
        f"  _plain_cmdline: {_quoted('{{ extra_env_vars }} ' + arguments[0])}\n"
        f"  _module_cmdline: {_quoted('module load {{ modulepath }} && ' + arguments[0])}\n"
        f"control:\n  mode: fairmq\nwants:\n  cpu: 0.01\n  memory: 1\n{channels}"
        "command:\n  shell: true\n  log: '{{ log_task_output }}'\n"
        "  env:\n    - O2_DETECTOR={{ detector }}\n  user: '{{ user }}'\n"
        f"  arguments:\n{quoted}"
        "    - \"--session '{{ session_id }}'\"\n"
        "  value: \"{{ len(modulepath)>0 ? _module_cmdline : _plain_cmdline }}\"\n"
    )


def main(arguments: list[str]) -> int:
    """One program of a pipe."""
    if arguments[0] == "consul":
        print("123,124")
        return 0
    devices = [] if sys.stdin.isatty() else [json.loads(line) for line in sys.stdin]
    if "--standin-flood" in arguments:
        sys.stderr.write("much to say\n" * 200_000)
    if "--standin-sleep" in arguments:
        time.sleep(float(_value(arguments, "--standin-sleep")))
    if "--standin-fail" in arguments:
        sys.stderr.write("no such detector\n")
        return 3
    name = _value(arguments, "--o2-control")
    own = arguments[: arguments.index("--o2-control")] if name else arguments
    devices.append(own)
    if name:
        write_templates(name, devices)
    else:
        print("\n".join(json.dumps(device) for device in devices))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
