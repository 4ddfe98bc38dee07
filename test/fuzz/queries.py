"""Fuzzing of names and patterns: queries, globs, repositories, workflows, task classes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define

from aliecs.configuration.query import RUN_TYPES, parse_query
from aliecs.errors import InvalidInput
from aliecs.language.duration import parse_duration
from aliecs.language.glob import compile_glob
from aliecs.repository.name import parse_repository, parse_task_class, parse_workflow
from test.fuzz import garbage
from test.oracle import globs

name = "queries"
WORD = "abcxyzABC019-_"


@define(frozen=True)
class Case:
    """A text for one of the parsers, and the result where that is known."""

    kind: str
    text: str
    other: str = ""
    expected: Any = None


def case(random: Random) -> Case:
    """One text."""
    return random.choice(list(_MAKERS.values()))(random)


def attempt(case: Case) -> None:  # type: ignore[no-redef]
    """Parse it, and see that what comes out is of one piece."""
    try:
        result = _ATTEMPTS[case.kind](case)
    except InvalidInput as error:
        str(error).encode()
        assert case.expected is None, f"refused: {error}"
        return
    assert case.expected is None or result == case.expected, f"{result!r}, not {case.expected!r}"


def _word(random: Random, alphabet: str = WORD) -> str:
    return "".join(random.choice(alphabet) for _ in range(random.randint(1, 8)))


def _faulty(random: Random, case: Case) -> Case:
    """The same, two times in three with faults."""
    if random.random() < 0.35:
        return case
    if random.random() < 0.2:
        return Case(case.kind, garbage.text(random), case.other)
    return Case(case.kind, garbage.mutated(random, case.text), case.other)


def _query(random: Random) -> Case:
    parts = (_word(random), random.choice(list(RUN_TYPES)), _word(random))
    entry = "/".join(_word(random) for _ in range(random.randint(1, 3)))
    path = "/".join((*parts, entry))
    return _faulty(random, Case("query", path, expected=(*parts, entry)))


def _glob(random: Random) -> Case:
    if random.random() < 0.3:
        plain = _word(random)
        pattern = "".join(random.choice([c, f"\\{c}", f"{{{c}}}", f"{{{c},{c}x}}"]) for c in plain)
        pattern = random.choice(["", "*", "**"]) + pattern + random.choice(["", "*", "{,q}"])
        return Case("glob", pattern, plain, expected=True)
    pattern = globs.pattern(random)
    if random.random() < 0.3:
        pattern = garbage.mutated(random, pattern * random.choice([1, 1, 20, 200]))
    return Case("glob", pattern, globs.text(random, pattern) * random.choice([1, 1, 1, 500]))


def _repository(random: Random) -> Case:
    host = f"{_word(random, 'abc19')}.{_word(random, 'abc')}"
    folder, last = _word(random), _word(random)
    prefix, suffix = random.choice(["", "https://"]), random.choice(["", ".git", "/"])
    text = f"{prefix}{host}/{folder}/{last}{suffix}"
    revision = random.choice(["", _word(random)])
    whole = f"{text}@{revision}" if revision else text
    return _faulty(random, Case("repository", whole, expected=(host, folder, last, revision)))


def _workflow(random: Random) -> Case:
    repository, last = f"{_word(random, 'abc')}.org/{_word(random)}/{_word(random)}", _word(random)
    revision = random.choice(["", _word(random)])
    whole = f"{repository}/workflows/{last}" + (f"@{revision}" if revision else "")
    return _faulty(
        random, Case("workflow", whole, expected=(repository, f"workflows/{last}.yaml", revision))
    )


def _task_class(random: Random) -> Case:
    repository, last = f"{_word(random, 'abc')}.org/{_word(random)}/{_word(random)}", _word(random)
    revision = _word(random)
    return _faulty(
        random,
        Case("task class", f"{repository}/tasks/{last}@{revision}",
             expected=(repository, f"tasks/{last}.yaml", revision)),
    )  # fmt: skip


def _duration(random: Random) -> Case:
    seconds, minutes = random.randint(0, 59), random.randint(0, 10**6)
    return _faulty(random, Case("duration", f"{minutes}m{seconds}s",
        expected=minutes * 60.0 + seconds))


def _try_query(case: Case) -> object:
    query = parse_query(case.text)
    assert parse_query(str(query)) == query
    assert query.fallbacks()[0] == query
    return query.component, query.run_type, query.role, query.entry


def _try_glob(case: Case) -> object:
    results = [compile_glob(case.text, separator).matches(case.other) for separator in ("", ".")]
    assert all(type(result) is bool for result in results)
    return results[0]


def _try_repository(case: Case) -> object:
    repository = parse_repository(case.text)
    assert repository.identifier and isinstance(repository.url, str)
    return repository.host, repository.folder, repository.name, repository.revision


def _try_template(parse: Callable[[str], Any]) -> Callable[[Case], object]:
    def attempt(case: Case) -> object:
        template = parse(case.text)
        assert ".." not in template.path.split("/"), template
        return template.repository, template.path, template.revision

    return attempt


_MAKERS: dict[str, Callable[[Random], Case]] = {
    "query": _query,
    "glob": _glob,
    "repository": _repository,
    "workflow": _workflow,
    "task class": _task_class,
    "duration": _duration,
}
_ATTEMPTS: dict[str, Callable[[Case], object]] = {
    "query": _try_query,
    "glob": _try_glob,
    "repository": _try_repository,
    "workflow": _try_template(parse_workflow),
    "task class": _try_template(parse_task_class),
    "duration": lambda case: parse_duration(case.text),
}
