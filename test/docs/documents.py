"""The documentation as its readers have it: documents, the blocks in them, and somebody who does
what they say.

Blocks in the language `sh` are there to be typed, in their order, in one folder; `text` blocks are
not (they need a service manager, another machine, or show what comes out).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen

from test.end_to_end.core import BIN, MARK, RunningCore, outer_environment
from test.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

BLOCK_DEADLINE_S = 90.0
END_DEADLINE_S = 30.0

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@frozen
class Block:
    """One block of a document: `line` is that of its first line of text."""

    document: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """The place, for people."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """All documents."""
    return [README, *sorted(DOCS.glob("*.md"))]


def blocks(document: Path, *languages: str) -> Iterator[Block]:
    """The blocks of a document, in their order; only those of `languages` where some are given."""
    text = document.read_text()
    for match in _BLOCK.finditer(text):
        if not languages or match[1] in languages:
            line = text.count("\n", 0, match.start()) + 2
            yield Block(document, line, match[1], match[2])


def command_lines(text: str) -> Iterator[str]:
    """The commands of a block, lines that end in a backslash joined; without here-documents."""
    waiting = ""
    end: str | None = None
    for line in text.splitlines():
        if end is not None:
            end = None if line == end else end
            continue
        here = re.search(r"<<'(\w+)'", line)
        end = here[1] if here else None
        if line.endswith("\\"):
            waiting += line[:-1]
            continue
        command, waiting = (waiting + line).strip(), ""
        if command and not command.startswith("#"):
            yield command


@define
class Reader:
    """Types the blocks of a document into a shell, as a new user would.

    What a document cannot know is put in: free ports for the usual ones, the id of the environment
    that was created last for `ID`, that of a task with output for `TASK`, that of the last
    operation for `OPERATION`. `home` is both the home and the first working folder; `programs` is
    the folder of the commands.
    """

    home: Path
    programs: Path = BIN
    here: Path = field(init=False)
    grpc_port: int = field(init=False)
    rest_port: int = field(init=False)
    apricot_port: int = field(init=False)
    apricot_http_port: int = field(init=False)
    house: RunningCore = field(init=False)
    environment_id: str = field(init=False, default="")
    written: str = field(init=False, default="")
    """All that came out."""

    def __attrs_post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.here = self.home
        ports = free_ports(4)
        self.grpc_port, self.rest_port, self.apricot_port, self.apricot_http_port = ports
        self.house = RunningCore(self.home)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *problem: object) -> None:
        if self.house.process is not None and self.house.process.poll() is None:
            self._run("coconut shutdown --timeout 60s || true")
        left = self.house.end_processes()
        if problem[0] is None:
            assert not left, f"left behind: {left}\n{self.written}"

    def do(self, block: Block) -> str:
        """Type one block; gives what came out. A command that fails is an error."""
        if block.text.startswith("twistd "):
            self.start_core(block.text)
            return ""
        return self.type(block.text, block.where)

    def type(self, text: str, where: str = "") -> str:
        """Type commands; gives what came out. One that fails is an error, told as at `where`."""
        done = self._run(self._with_ids(text))
        self.written += done.stdout + done.stderr
        assert done.returncode == 0, f"{where}\n{text}\n{done.stdout}{done.stderr}"
        created = re.findall(r'(?:^environment id: +|"environmentId":")(\w+)', done.stdout, re.M)
        if created:
            self.environment_id = created[-1]
        process = self.house.process
        if "coconut shutdown" in text and process is not None:
            process.wait(END_DEADLINE_S)
        return done.stdout

    def start_core(self, command: str) -> None:
        """Start a core as the command says and wait until it serves."""
        said = self.here / "core" / "core.json"
        log_path = self.home / "core.log"
        with log_path.open("ab") as log:
            self.house.process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.here,
                env=self._environment(),
                start_new_session=True,
            )
        self.house.wait_until(said.exists, END_DEADLINE_S, "the core serves")

    def _run(self, text: str) -> subprocess.CompletedProcess[str]:
        # Where the shell ended up is where the next block begins.
        place = self.home / ".place"
        text = text.replace(". .venv/bin/activate\n", "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{text}\npwd > {place}\n"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.here,
            env=self._environment(),
            timeout=BLOCK_DEADLINE_S,
            check=False,
        )
        if done.returncode == 0:
            self.here = Path(place.read_text().strip())
        return done

    def _environment(self) -> dict[str, str]:
        outer = outer_environment()
        return {
            **outer,
            "PATH": f"{self.programs}:{outer['PATH']}:{folder_with_curl(self.home / 'bin')}",
            "HOME": str(self.home),
            "ALIECS_CONTROLPORT": str(self.grpc_port),
            "ALIECS_RESTPORT": str(self.rest_port),
            "ALIECS_APRICOTPORT": str(self.apricot_port),
            "ALIECS_APRICOTHTTPPORT": str(self.apricot_http_port),
            "ENDPOINT": f"127.0.0.1:{self.grpc_port}",
            "CONFIG_ENDPOINT": f"apricot://127.0.0.1:{self.apricot_port}",
            MARK: self.house.mark,
        }

    def _with_ids(self, text: str) -> str:
        for usual, ours in (
            (32101, self.apricot_port),
            (32103, self.rest_port),
            (32188, self.apricot_http_port),
        ):
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{ours}")
        text = re.sub(r"\bID\b", self.environment_id, text)
        if re.search(r"\bTASK\b", text):
            text = re.sub(r"\bTASK\b", self._task_with_output(), text)
        if re.search(r"\bOPERATION\b", text):
            done = self._run("coconut operation list -n 1 -o json")
            text = re.sub(r"\bOPERATION\b", json.loads(done.stdout)["operations"][0]["id"], text)
        return text

    def _task_with_output(self) -> str:
        """A task that writes all the time: the clock of the demo, or the greeter."""
        done = self._run("coconut task list -o json")
        tasks = json.loads(done.stdout)["tasks"]
        writing = [t for t in tasks if re.search(r"/tasks/(clock|greeter)@", t["className"])]
        return str(writing[0]["taskId"])


_CURL = """#!{python}
import sys, urllib.error, urllib.request
arguments = iter(sys.argv[1:])
method, body, url, headers = None, None, "", {{}}
for argument in arguments:
    if argument == "-X":
        method = next(arguments)
    elif argument == "-d":
        body = next(arguments).encode()
    elif argument == "-H":
        name, _, value = next(arguments).partition(":")
        headers[name] = value.strip()
    elif not argument.startswith("-"):
        url = argument
request = urllib.request.Request(url, data=body, method=method, headers=headers)
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    answer = error
while piece := answer.read1(65536):
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()
"""


def folder_with_curl(folder: Path) -> Path:
    """A folder for the PATH that has `curl`, also on a machine without: then one that knows the
    options of the documentation."""
    folder.mkdir(exist_ok=True)
    if shutil.which("curl") is None:
        program = folder / "curl"
        program.write_text(_CURL.format(python=sys.executable))
        program.chmod(0o755)
    return folder
