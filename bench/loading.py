"""What it costs to load the experiment's own workflow for 1, 20, 200 and 1,000 hosts.

    python bench/loading.py

Cold is with nothing read yet: the template is parsed and every expression compiled. Warm is what a
core does from then on. Processor time, and the memory that the tree takes. The workflow repository
is where the environment variable ALIECS_CONTROL_WORKFLOWS says, or beside the checkout.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

from aliecs.language.expression import Compiler
from aliecs.workflow.loader import LoadRequest, TemplateCache, Workflow, load

T = TypeVar("T")

SIZES = (1, 20, 200, 1000)
REPEATED = 3
WARM_GOAL_S, COLD_GOAL_S = 0.2, 1.0
"""For 200 hosts."""


def memory_kib(work: Callable[[], object]) -> float:
    """What the result of some work holds."""
    gc.collect()
    tracemalloc.start()
    result = work()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    return held / 1024


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds of some work, and its result."""
    gc.collect()
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def main() -> int:
    """Measure and print a table."""
    try:
        from test.workflow.control_workflows import CONFIGURED, ControlWorkflows
    except BaseException as error:
        print(f"not measured: {error}")
        return 0
    from test.workflow.dataflow_model import detector_of

    def loaded(hosts: list[str], cache: TemplateCache) -> Workflow:
        sources = ControlWorkflows(detectors={host: detector_of(host) for host in hosts})
        variables = {"hosts": json.dumps(hosts), "dcs_enabled": "true", "trg_enabled": "true"}
        request = LoadRequest("readout-dataflow", "2abcdef", variables, CONFIGURED)
        return load(request, sources, cache)

    heads = (("hosts", 6), ("roles", 7), ("cold", 9), ("warm", 9), ("warm, a role", 13))
    heads += (("memory", 11), ("a role", 12))
    print(" ".join(f"{head:>{width}}" for head, width in heads))
    for size in SIZES:
        hosts = [f"flp{number + 1:03}" for number in range(size)]
        cold_s = min(
            timed(partial(loaded, hosts, TemplateCache(Compiler())))[0] for _ in range(REPEATED)
        )
        cache = TemplateCache(Compiler())
        loaded(hosts[:1], cache)
        warm = partial(loaded, hosts, cache)
        warm_s = min(timed(warm)[0] for _ in range(REPEATED))
        roles = sum(1 for _ in warm().root.walk())
        kib = memory_kib(warm)
        print(
            f"{size:6} {roles:7} {cold_s * 1e3:6.0f} ms {warm_s * 1e3:6.1f} ms "
            f"{warm_s / roles * 1e6:10.1f} us {kib:7.0f} KiB {kib / roles:8.2f} KiB",
            flush=True,
        )
        if size == 200:
            print(f"       (goal: {COLD_GOAL_S:g} s cold, {WARM_GOAL_S:g} s warm)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
