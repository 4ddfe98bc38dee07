"""A repository of workflows whose tasks can be told to misbehave.

Texts by path, for `RunningCore(workflows=...)`. `pair` is one critical and one other puppet, with
hooks that a variable turns into long ones; what its puppets do is said by variables as well. `duo`
is the same without hooks.
"""

from __future__ import annotations

import json
from pathlib import Path

PUPPET_PROGRAM = str(Path(__file__).parent / "tasks" / "puppet.py")

PUPPET = f"""\
name: puppet
control: {{mode: direct}}
wants: {{cpu: 0.1, memory: 32}}
defaults:
  options: ""
properties:
  configure_s: "{{{{ configure_s }}}}"
  start_s: "{{{{ start_s }}}}"
  stop_s: "{{{{ stop_s }}}}"
  fail_in: "{{{{ fail_in }}}}"
  on_start: "{{{{ on_start }}}}"
command:
  value: "exec {{{{ python_executable }}}} {PUPPET_PROGRAM} {{{{ options }}}}"
  shell: true
  stdout: stdout
  stderr: all
"""

EASY_PUPPET = """\
name: easy-puppet
control: {mode: direct}
wants: {cpu: 0.1, memory: 32}
command:
  value: "{{ python_executable }}"
  arguments: ["PROGRAM"]
  stdout: stdout
  stderr: all
""".replace("PROGRAM", PUPPET_PROGRAM)

SHELL = """\
name: shell
control: {mode: basic}
wants: {cpu: 0.1, memory: 8}
command:
  value: "{{ script }}"
  shell: true
  stdout: stdout
  stderr: all
"""

QUIET = """\
  options: ""
  configure_s: "0"
  start_s: "0"
  stop_s: "0"
  fail_in: ""
  on_start: ""
"""

PAIR = f"""\
name: pair
defaults:
  deploy_timeout: 20s
  needed_hook: "true"
  other_hook: "true"
{QUIET}
roles:
  - name: needed
    constraints: [{{attribute: machine_id, value: one}}]
    task: {{load: puppet}}
  - name: other
    constraints: [{{attribute: machine_id, value: two}}]
    task: {{load: easy-puppet, critical: false}}
  - name: needed-hook
    constraints: [{{attribute: machine_id, value: two}}]
    vars: {{script: "{{{{ needed_hook }}}}"}}
    task: {{load: shell, trigger: before_START_ACTIVITY, timeout: 20s}}
  - name: other-hook
    constraints: [{{attribute: machine_id, value: two}}]
    vars: {{script: "{{{{ other_hook }}}}"}}
    task: {{load: shell, trigger: before_START_ACTIVITY, timeout: 20s, critical: false}}
"""

DUO = f"""\
name: duo
defaults:
  deploy_timeout: 20s
  host: one
  needed_options: ""
  needed_start_s: "0"
  needed_on_start: ""
  other_options: ""
  other_start_s: "0"
  other_on_start: ""
{QUIET}
roles:
  - name: needed
    constraints: [{{attribute: machine_id, value: "{{{{ host }}}}"}}]
    vars:
      options: "{{{{ needed_options }}}}"
      start_s: "{{{{ needed_start_s }}}}"
      on_start: "{{{{ needed_on_start }}}}"
    task: {{load: puppet}}
  - name: other
    constraints: [{{attribute: machine_id, value: two}}]
    vars:
      options: "{{{{ other_options }}}}"
      start_s: "{{{{ other_start_s }}}}"
      on_start: "{{{{ other_on_start }}}}"
    task: {{load: puppet, critical: false}}
"""

BASE = {
    "tasks/puppet.yaml": PUPPET,
    "tasks/easy-puppet.yaml": EASY_PUPPET,
    "tasks/shell.yaml": SHELL,
    "workflows/pair.yaml": PAIR,
    "workflows/duo.yaml": DUO,
}


def workflow(name: str, roles: str, defaults: str = "") -> dict[str, str]:
    """A workflow of that name; `roles` is its list of roles, `defaults` more of its defaults."""
    head = f"name: {name}\ndefaults:\n  deploy_timeout: 20s\n{QUIET}{defaults}"
    return {f"workflows/{name}.yaml": f"{head}roles:\n{roles}"}


def task_class(name: str, **changes: object) -> dict[str, str]:
    """A task class of that name: a command that sleeps, with some of its keys changed."""
    document: dict[str, object] = {
        "name": name,
        "control": {"mode": "basic"},
        "wants": {"cpu": "0.1", "memory": "8"},
        "command": {"value": "sleep", "arguments": ["1000"], "stdout": "stdout"},
        **changes,
    }
    # JSON is YAML.
    return {f"tasks/{name}.yaml": json.dumps(document, indent=1)}
