"""A million expressions: what each costs, compiled for the first time and evaluated again.

    python -m bench.expressions [--evaluations 1000000]

For each of some typical production expressions it prints the processor time of rendering it for the
first time, which parses and compiles it, and of rendering it again; then the memory of what a
compiler keeps.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path

from aliecs.language.expression import Compiler
from aliecs.language.functions import ROLE_FUNCTIONS, Scope, make_library
from test.language.line import LEAF

TEMPLATES = (
    "{{ detector }}",
    "host-{{ host }}:{{ port }}",
    "{{ dd_enabled == 'true' && mode != 'none' }}",
    "{{ strings.IsTruthy(dd_enabled) ? '--rate ' + rate : '' }}",
    "{{ util.PrefixedOverride('rate', strings.ToLower(detector)) }}",
    "{{ Parent().Path + '.' + host }}",
    "{{ host in json.Unmarshal(hosts) }}",
    "{{ map(json.Unmarshal(hosts), {# + '-' + detector}) }}",
)
VARIABLES = {
    "detector": "TPC",
    "host": "flp001",
    "port": "30000",
    "dd_enabled": "true",
    "mode": "physics",
    "rate": "11",
    "tpc_rate": "12",
    "hosts": '["flp001","flp002","flp003"]',
    **{f"other_{number}": "value" for number in range(150)},
}
COLD = 2_000
KEPT = 10_000
"""Different expressions whose memory is measured."""


def memory_bytes() -> int:
    """Memory that is in use now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def scope(compiler: Compiler) -> Scope:
    """What the expressions see."""
    return Scope(VARIABLES, make_library(compiler, None, ROLE_FUNCTIONS), role=LEAF)


def cold_s(text: str) -> float:
    """Processor time of parsing, compiling and rendering a text that was never seen."""
    library = make_library(Compiler(), None, ROLE_FUNCTIONS)
    fresh = Scope(VARIABLES, library, role=LEAF)
    # A comment makes each another text.
    texts = [text.replace(" }}", f" /*{number}*/ }}}}", 1) for number in range(COLD)]
    began_s = time.process_time()
    for different in texts:
        fresh.render(different)
    return (time.process_time() - began_s) / COLD


def warm_s(text: str, evaluations: int) -> float:
    """Processor time of rendering a text that is compiled."""
    seen = scope(Compiler())
    seen.render(text)
    began_s = time.process_time()
    for _ in range(evaluations):
        seen.render(text)
    return (time.process_time() - began_s) / evaluations


def kept_bytes() -> float:
    """Memory of one compiled expression."""
    fresh = scope(Compiler())
    fresh.render("{{ host == 'x' ? detector : mode }}")
    before = memory_bytes()
    for number in range(KEPT):
        fresh.render(f"{{{{ host == 'x{number}' ? detector : mode }}}}")
    return (memory_bytes() - before) / KEPT


def main() -> int:
    """The whole measurement; gives the exit code."""
    parser = argparse.ArgumentParser(description="What each expression costs.")
    parser.add_argument("--evaluations", type=int, default=1_000_000)
    options = parser.parse_args()
    each = max(options.evaluations // len(TEMPLATES), 1)
    print(f"{'cold':>9} {'again':>9}")
    total_s = 0.0
    for text in TEMPLATES:
        cold, warm = cold_s(text), warm_s(text, each)
        total_s += warm
        print(f"{cold * 1e6:6.1f} us {warm * 1e6:6.2f} us  {text}", flush=True)
    print(f"{total_s / len(TEMPLATES) * 1e6:16.2f} us  on average")
    print(f"memory: {kept_bytes() / 1024:.1f} KiB for each compiled expression")
    return 0


if __name__ == "__main__":
    sys.exit(main())
