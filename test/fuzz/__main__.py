"""The command line of fuzzing: `python -m test.fuzz --seconds 600`."""

from __future__ import annotations

import argparse
import secrets
import sys

from test.fuzz.harness import Plan, fuzz, targets


def main() -> int:
    """Run the targets one after the other; the exit code is 1 if anything was found."""
    names = [target.name for target in targets()]
    parser = argparse.ArgumentParser(prog="python -m test.fuzz", description="Fuzz aliecs.")
    parser.add_argument("--target", choices=names, action="append",
        help="only this one; repeatable")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together")
    parser.add_argument("--seed", type=int, help="of the first case; by chance if not given")
    parser.add_argument("--count", type=int, help="cases of each target, instead of a time")
    options = parser.parse_args()
    chosen = options.target or names
    seed = options.seed if options.seed is not None else secrets.randbelow(10**9) * 1000
    print(f"seed {seed}; {', '.join(chosen)}", flush=True)
    outcomes = fuzz(Plan(chosen, seed, options.seconds, options.count))
    return 1 if any(outcome.findings for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
