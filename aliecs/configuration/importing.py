"""Fills a tree of configuration from a YAML file of the same shape.

How an embedded store gets an experiment's inventory, defaults and component payloads. Also a
program, to be run while no core is at work or beside one:

    python -m aliecs.configuration.importing sqlite:///var/lib/o2/aliecs/configuration.db tree.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from aliecs.configuration.opening import open_tree
from aliecs.configuration.tree import Tree, checked_value, flatten
from aliecs.errors import AliecsError
from aliecs.language.document import parse_document


def import_text(tree: Tree, text: bytes, name: str) -> int:
    """Set in `tree`, all or nothing, what a YAML text of nested maps holds.

    `name` is what to call the text to people. Gives the number of values. Values that exist are
    replaced; nothing is removed. Raises `TemplateError` with the line where the text cannot be
    understood, `Conflict` where a key would have a value and keys below it.
    """
    values = flatten(parse_document(text, name))
    for key, value in values.items():
        checked_value(key, value)
    tree.change(values, None)
    return len(values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the program; exit status 0 where it worked, 1 where not, 2 for wrong usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 2:
        sys.stderr.write("usage: python -m aliecs.configuration.importing STORE-URI FILE\n")
        return 2
    uri, name = given
    try:
        tree = open_tree(uri, Path.cwd())
        text = Path(name).read_bytes()
        tree.open()
        try:
            count = import_text(tree, text, name)
        finally:
            tree.close()
    except (AliecsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{count} values set in {tree.uri}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
