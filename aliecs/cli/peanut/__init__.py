"""`peanut`: look at one task and move it by hand, without a core or an executor.

Speaks OCC to the control port of a task: protobuf to tasks made with the OCC library, the JSON
dialect to FairMQ devices with the OCC plugin. Nothing is sent on leaving.

    command_line  options; `main`
    command       the commands, and what they print
    script        the same commands from a file
    mode          how the task at the other end is spoken to
    target        the task: one step, or the sequence of steps that FairMQ needs
    trouble       why a call failed, and what to do
    flattening    a YAML file as the properties that a task takes
    screen        the full-screen part, with `board`, `dialog` and `controls`; loaded when it opens
"""

from aliecs.cli.peanut.command_line import main

__all__ = ["main"]
