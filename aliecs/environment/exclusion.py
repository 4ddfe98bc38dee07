"""Which roles of an environment are excluded, by whom and since when, and which may be.

An excluded role is neutral in the aggregates above it, and its tasks take part in nothing; a
detector all of whose roles are excluded leaves the variable `detectors` until it is back. What
becomes of the tasks is in `modification`; here are roles only, and nothing waits.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

import msgspec
from attrs import define, field, frozen

from aliecs.environment.machine import EnvironmentState, Event
from aliecs.errors import Conflict, NotFound
from aliecs.event.record import User
from aliecs.workflow.role import LeafRole, Role, TaskRole

EXCLUDABLE = "excludable"
"""The variable that allows a role to be excluded from a run and included into it."""

DETECTORS = "detectors"
EXCLUDED_ROLES = "excluded_roles"
MODIFIED_ROLES = "modified_roles"
MODIFIED_DETECTORS = "modified_detectors"

NEAR = 3
"""How many names are told that may have been meant."""


@frozen
class Exclusion:
    """A role that is excluded. `since_ms` is Unix milliseconds."""

    role: Role
    user: User
    since_ms: int
    reason: str = ""


@frozen
class Target:
    """What somebody wants to have excluded or included: a role by its path, or a detector."""

    role: str = ""
    detector: str = ""

    def __str__(self) -> str:
        return f"detector {self.detector}" if self.detector else f"role {self.role}"


@define(eq=False)
class Exclusions:
    """The excluded roles of one environment."""

    _exclusions: dict[str, Exclusion] = field(init=False, factory=dict)
    _leaves: dict[str, list[LeafRole]] | None = field(init=False, default=None)
    """By detector; made when it is first asked for."""
    _own_detectors: str | None = field(init=False, default=None)
    """What the variable `detectors` of the root was set to before anything was excluded."""

    def all(self) -> Sequence[Exclusion]:
        """The one that stands for longest first."""
        return list(self._exclusions.values())

    def hold(self, role: Role) -> bool:
        """True where a role is excluded, or one above it."""
        return bool(self._exclusions) and role.left_out

    def above(self, role: Role) -> Exclusion | None:
        """The exclusion that holds a role."""
        for one in (role, *role.ancestors()):
            if one.excluded:
                return self._exclusions.get(one.path)
        return None

    def add(self, roles: Sequence[Role], user: User, since_ms: int, reason: str) -> None:
        """Exclude roles."""
        for role in roles:
            self._exclusions[role.path] = Exclusion(role, user, since_ms, reason)
            role.exclude()

    def remove(self, roles: Sequence[Role]) -> None:
        """Include them again."""
        for role in roles:
            self._exclusions.pop(role.path, None)
            role.include()

    # --- what is meant, and whether it may be ----------------------------------------------

    def find(
        self, root: Role, event: Event, targets: Sequence[Target], state: EnvironmentState
    ) -> Sequence[Role]:
        """The roles that are to be excluded or included. Raises `NotFound` and `Conflict`."""
        found: dict[str, Role] = {}
        for target in targets:
            if target.detector:
                roles = self._roles_of_detector(root, target.detector)
            else:
                roles = [_role(root, target.role)]
            if event is Event.EXCLUDE:
                roles = self._not_excluded(roles, target)
            else:
                roles = self._excluded(roles, target)
            found.update((role.path, role) for role in roles)
        chosen = list(found.values())
        if event is Event.EXCLUDE:
            # What is below another one goes with it.
            together = frozenset(chosen)
            chosen = [role for role in chosen if together.isdisjoint(role.ancestors())]
        for role in chosen:
            if event is Event.INCLUDE:
                self._refuse_held(role, chosen)
            if state is EnvironmentState.RUNNING and role.variable(EXCLUDABLE) != "true":
                raise Conflict(
                    f"{event.value} refused: role {role.path} is not {EXCLUDABLE}: in RUNNING only "
                    f"roles are modified whose variable {EXCLUDABLE} is true"
                )
        return chosen

    def _not_excluded(self, roles: Sequence[Role], target: Target) -> list[Role]:
        left = [role for role in roles if not role.left_out]
        if not left:
            held = self.above(roles[0])
            raise Conflict(f"EXCLUDE refused: {target} is excluded already{_told(held)}")
        for role in left:
            if role.parent is None:
                raise Conflict(
                    f"EXCLUDE refused: {target} is the whole environment; destroy it instead"
                )
        return left

    def _excluded(self, roles: Sequence[Role], target: Target) -> list[Role]:
        excluded = [role for role in roles if role.excluded]
        if target.detector:
            # Somebody may have excluded parts of it.
            parts = [one.role for one in self.all()]
            excluded += [part for part in parts if any(a in roles for a in part.ancestors())]
        if not excluded:
            held = self.above(roles[0])
            why = "not excluded"
            if held is not None:
                why = f"excluded with {held.role.path}: include that"
            raise Conflict(f"INCLUDE refused: {target} is {why}")
        return excluded

    def _refuse_held(self, role: Role, chosen: Sequence[Role]) -> None:
        for above in role.ancestors():
            if above.excluded and above not in chosen:
                raise Conflict(
                    f"INCLUDE refused: role {role.path} is excluded with {above.path}: include that"
                )

    def _roles_of_detector(self, root: Role, detector: str) -> list[Role]:
        """The topmost roles all of whose leaves belong to a detector."""
        leaves = self._leaves_of_detectors(root)
        name = detector.upper()
        if name not in leaves:
            there = ", ".join(sorted(leaves)) or "none"
            raise NotFound(
                f"no role of the environment belongs to detector {detector} (there are: {there})"
            )
        return _topmost(root, frozenset(leaves[name]))[1]

    def _leaves_of_detectors(self, root: Role) -> dict[str, list[LeafRole]]:
        if self._leaves is None:
            self._leaves = {}
            for leaf in root.of_kind(LeafRole):
                if name := leaf.variable("detector").upper():
                    self._leaves.setdefault(name, []).append(leaf)
        return self._leaves

    # --- variables of the root -------------------------------------------------------------

    def returning(self, root: Role, roles: Collection[Role]) -> frozenset[str]:
        """The detectors, upper case, that would be back with these roles."""
        return self._out(root) - self._out(root, returning=roles)

    def detectors_out(self, root: Role) -> frozenset[str]:
        """The detectors, upper case, all of whose roles are excluded."""
        return self._out(root)

    def announce(self, root: Role, event: Event, roles: Sequence[Role]) -> None:
        """Tell hooks by variables of the root what is about to be excluded or included."""
        detectors = self.returning(root, roles)
        if event is Event.EXCLUDE:
            detectors = self._out(root, leaving=roles) - self._out(root)
        root.set_runtime_variable(MODIFIED_ROLES, _list([role.path for role in roles]))
        root.set_runtime_variable(MODIFIED_DETECTORS, _list(sorted(detectors)))

    def set_variables(self, root: Role, returning: Collection[Role] = ()) -> None:
        """Bring the variables of the root up to date. Roles that are `returning` count as there."""
        if self._own_detectors is None:
            self._own_detectors = root.user_variables.get(DETECTORS, "")
        if self._own_detectors:
            root.set_runtime_variable(DETECTORS, self._own_detectors)
        else:
            root.delete_runtime_variable(DETECTORS)
        out = self._out(root, returning)
        if out:
            left = [name for name in _names(root.variable(DETECTORS)) if name.upper() not in out]
            root.set_runtime_variable(DETECTORS, _list(left))
        if not self._exclusions:
            self._own_detectors = None
        root.set_runtime_variable(EXCLUDED_ROLES, _list(list(self._exclusions)))

    def _out(
        self, root: Role, returning: Collection[Role] = (), leaving: Collection[Role] = ()
    ) -> frozenset[str]:
        """Detectors of which no role is there."""
        if not self._exclusions and not leaving:
            return frozenset()
        returning, leaving = frozenset(returning), frozenset(leaving)
        return frozenset(
            name
            for name, leaves in self._leaves_of_detectors(root).items()
            if all(is_out(leaf, returning, leaving) for leaf in leaves)
        )


def is_out(
    role: Role, returning: Collection[Role] = (), leaving: Collection[Role] = ()
) -> bool:
    """True where a role is excluded, or one above it, and that is not among those `returning`; or
    where it is among those `leaving`."""
    return any(
        one in leaving or (one.excluded and one not in returning)
        for one in (role, *role.ancestors())
    )


def task_roles(roles: Sequence[Role], returning: Collection[Role] = ()) -> list[TaskRole]:
    """The leaves with tasks at or below roles, but for those that other exclusions hold."""
    returning = frozenset(returning)
    leaves = dict.fromkeys(leaf for role in roles for leaf in role.of_kind(TaskRole))
    return [leaf for leaf in leaves if not is_out(leaf, returning)]


def _told(held: Exclusion | None) -> str:
    if held is None:
        return ""
    reason = f", because: {held.reason}" if held.reason else ""
    return f", with {held.role.path} by {held.user.name or 'nobody named'}{reason}"


def _role(root: Role, path: str) -> Role:
    found = root.find(path)
    if found is None:
        raise NotFound(f"no role of the environment has the path {path!r}{_near(root, path)}")
    return found


def _near(root: Role, path: str) -> str:
    """Names that may have been meant. Looked for only where the path leaves the tree: a tree may
    be large."""
    if (inner := root.find(f"{root.path}.{path}")) is not None:
        return f"; did you mean {inner.path}?"
    role = root
    while (below := next((r for r in role.roles if f"{path}.".startswith(f"{r.path}.")), None)):
        role = below
    there = [child.path for child in role.roles] or [role.path]
    close = difflib.get_close_matches(path, there, n=NEAR)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    more = f" and {len(there) - NEAR} more" if len(there) > NEAR else ""
    return f"; there are {', '.join(there[:NEAR])}{more}"


def _topmost(role: Role, leaves: frozenset[LeafRole]) -> tuple[bool | None, list[Role]]:
    """Whether all leaves below a role are of these, None where it has none; and the topmost roles
    for which it is so."""
    if isinstance(role, LeafRole):
        return role in leaves, [role] if role in leaves else []
    below = [_topmost(child, leaves) for child in role.roles]
    answers = [whole for whole, _ in below if whole is not None]
    if not answers:
        return None, []
    if all(answers):
        return True, [role]
    return False, [one for _, found in below for one in found]


def _names(text: str) -> list[str]:
    try:
        return msgspec.json.decode(text, type=list[str]) if text else []
    except msgspec.DecodeError:
        return []


def _list(names: Sequence[str]) -> str:
    return msgspec.json.encode(list(names)).decode()
