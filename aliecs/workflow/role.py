"""The tree of roles of one environment, with states and statuses that are always up to date.

A task role stands for a process, a call role for a call into an outside service, an aggregator for
the roles below it. Each aggregator counts the states and statuses of its children, so a change
costs the same however big the tree is: it goes up until it meets a role whose own value stays.
The loader makes the tree, the environment moves it, the roster tells it what tasks do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from attrs import Factory, define, field

from aliecs.errors import Location
from aliecs.language.declaration import Channel, Constraint, merge_channels, merge_constraints
from aliecs.language.glob import compile_glob
from aliecs.language.state import State, Status
from aliecs.language.variables import Layers

Variables = Mapping[str, str]
Change = Literal["state", "status"]
Listener = Callable[["Role", Change], None]
"""Told once for each role whose value has changed, the child before its parent."""

NO_VARIABLES: Variables = MappingProxyType({})
"""What roles without entries of their own share."""

_R = TypeVar("_R", bound="Role")


@define(eq=False)
class Tree:
    """What the roles of one tree share: the environment's variables, and who is told of changes."""

    defaults: dict[str, str] = Factory(dict)
    variables: dict[str, str] = Factory(dict)
    user_variables: dict[str, str] = Factory(dict)
    listener: Listener | None = None

    def layers(self) -> Layers:
        """The three classes of variables as the root role inherits them."""
        return Layers(self.defaults, self.variables, self.user_variables)


@define(eq=False, kw_only=True)
class Role:
    """A node of the tree. Change its variables and states through its methods only."""

    tree: Tree
    name: str
    parent: AggregatorRole | None
    location: Location
    """Where its template is."""
    included_at: Location | None = None
    """Where the include is that it is the body of."""
    defaults: Variables = NO_VARIABLES
    variables: Variables = NO_VARIABLES
    user_variables: Variables = NO_VARIABLES
    constraints: tuple[Constraint, ...] = ()
    bind: tuple[Channel, ...] = ()
    connect: tuple[Channel, ...] = ()
    state: State = State.INVARIANT
    status: Status = Status.INVARIANT
    excluded: bool = False
    """Excluded roles are neutral in the aggregates above them."""

    # --- the tree --------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The names from the root to this role, joined by dots."""
        names = [role.name for role in self.ancestors()]
        return ".".join([*reversed(names), self.name])

    @property
    def root(self) -> Role:
        """The topmost role."""
        role: Role = self
        while role.parent is not None:
            role = role.parent
        return role

    @property
    def roles(self) -> tuple[Role, ...]:
        """The children, in the order of the template."""
        return ()

    @property
    def critical(self) -> bool:
        """Whether it, or anything below it, is critical."""
        return any(role.critical for role in self.roles)

    def ancestors(self) -> Iterator[AggregatorRole]:
        """The parent, its parent, and so on up to the root."""
        role = self.parent
        while role is not None:
            yield role
            role = role.parent

    def walk(self) -> Iterator[Role]:
        """This role and all below it, depth first, in the order of the template."""
        pending: list[Role] = [self]
        while pending:
            role = pending.pop()
            yield role
            pending.extend(reversed(role.roles))

    def of_kind(self, kind: type[_R]) -> Iterator[_R]:
        """The roles of one kind at or below this one, in the order of `walk`."""
        return (role for role in self.walk() if isinstance(role, kind))

    def find(self, path: str) -> Role | None:
        """The role at or below this one with that full path."""
        here = self.path
        if path == here:
            return self
        for child in self.roles:
            # A name may hold dots itself, so that several children may lie on the way.
            if f"{path}.".startswith(f"{here}.{child.name}.") and (found := child.find(path)):
                return found
        return None

    def query(self, pattern: str) -> list[Role]:
        """The roles at or below this one whose full path fits a pattern with wildcards (see
        `aliecs.language.glob`; the separator is the dot). Raises `InvalidInput`."""
        glob = compile_glob(pattern, separator=".")
        return [role for role in self.walk() if glob.matches(role.path)]

    # --- variables -------------------------------------------------------------------------------

    def layers(self) -> Layers:
        """The three classes of variables as this role sees them."""
        layers = self.tree.layers()
        for role in (*reversed(list(self.ancestors())), self):
            layers = layers.extended(role.defaults, role.variables, role.user_variables)
        return layers

    def stack(self) -> dict[str, str]:
        """All variables that this role sees, consolidated."""
        return self.layers().stack().flattened()

    def variable(self, key: str, default: str = "") -> str:
        """One variable as this role sees it. Costs no more than the way to the root."""
        lineage = [self, *self.ancestors(), self.tree]
        for layer in ("user_variables", "variables", "defaults"):
            for place in lineage:
                entries: Variables = getattr(place, layer)
                if key in entries:
                    return entries[key]
        return default

    def set_runtime_variable(self, key: str, value: str) -> None:
        """Set a variable of this role as a user would; all roles below see it."""
        self.user_variables = {**self.user_variables, key: value}

    def delete_runtime_variable(self, key: str) -> None:
        """Take back what `set_runtime_variable` set; nothing happens where it is not set."""
        self.user_variables = {k: v for k, v in self.user_variables.items() if k != key}

    def set_variable(self, key: str, value: str) -> None:
        """Set an entry of the role's `vars`, such as the run number on the root role."""
        self.variables = {**self.variables, key: value}

    def delete_variable(self, key: str) -> None:
        """Remove an entry of the role's `vars`; nothing happens where it is not set."""
        self.variables = {k: v for k, v in self.variables.items() if k != key}

    # --- what is inherited -----------------------------------------------------------------------

    def effective_constraints(self) -> tuple[Constraint, ...]:
        """Own constraints over those of the ancestors. A task's class comes before all of them."""
        inherited = [role.constraints for role in self.ancestors() if role.constraints]
        return merge_constraints(*reversed(inherited), self.constraints)

    def effective_bind(self) -> tuple[Channel, ...]:
        """Own inbound channels, then those of the ancestors. A task's class comes last."""
        return merge_channels(self.bind, *(role.bind for role in self.ancestors() if role.bind))

    def effective_connect(self) -> tuple[Channel, ...]:
        """Own outbound channels, then those of the ancestors. A task's class comes last."""
        inherited = (role.connect for role in self.ancestors() if role.connect)
        return merge_channels(self.connect, *inherited)

    # --- states ----------------------------------------------------------------------------------

    @property
    def counts(self) -> bool:
        """Whether its state and status count in those of its parent."""
        return not self.excluded

    @property
    def left_out(self) -> bool:
        """Whether it is excluded, or any role above it."""
        return self.excluded or any(role.excluded for role in self.ancestors())

    def exclude(self) -> None:
        """Make the role neutral in the aggregates above it."""
        if not self.excluded:
            self._set_excluded(True)

    def include(self) -> None:
        """Undo `exclude`."""
        if self.excluded:
            self._set_excluded(False)

    def _set_excluded(self, excluded: bool) -> None:
        counted = self.counts
        self.excluded = excluded
        if self.parent is None or counted == self.counts:
            return
        step = 1 if self.counts else -1
        self.parent.state_counts[self.state] += step
        self.parent.status_counts[self.status] += step
        _spread_state(self.parent, State.of_counts(self.parent.state_counts))
        _spread_status(self.parent, Status.of_counts(self.parent.status_counts))

    def _tell(self, changed: list[Role], change: Change) -> None:
        if self.tree.listener is not None:
            for role in changed:
                self.tree.listener(role, change)


def _spread_state(role: Role, value: State) -> None:
    """Set a role's state and carry the consequences up the tree, then tell."""
    changed: list[Role] = []
    while role.state is not value:
        previous, role.state = role.state, value
        changed.append(role)
        parent = role.parent
        if parent is None or not role.counts:
            break
        parent.state_counts[previous] -= 1
        parent.state_counts[value] += 1
        role, value = parent, State.of_counts(parent.state_counts)
    role._tell(changed, "state")


def _spread_status(role: Role, value: Status) -> None:
    """As `_spread_state`, for the status."""
    changed: list[Role] = []
    while role.status is not value:
        previous, role.status = role.status, value
        changed.append(role)
        parent = role.parent
        if parent is None or not role.counts:
            break
        parent.status_counts[previous] -= 1
        parent.status_counts[value] += 1
        role, value = parent, Status.of_counts(parent.status_counts)
    role._tell(changed, "status")


@define(eq=False, kw_only=True)
class AggregatorRole(Role):
    """A role made of roles. Its values are the products of those of its children that count, and
    INVARIANT where none does."""

    children: tuple[Role, ...] = ()
    state_counts: list[int] = field(factory=lambda: [0] * len(State))
    status_counts: list[int] = field(factory=lambda: [0] * len(Status))

    @property
    def roles(self) -> tuple[Role, ...]:
        return self.children

    def adopt(self, children: tuple[Role, ...]) -> None:
        """Take children, whose own values are final, while the tree is being built."""
        self.children = children
        for child in children:
            if child.counts:
                self.state_counts[child.state] += 1
                self.status_counts[child.status] += 1
        self.state = State.of_counts(self.state_counts)
        self.status = Status.of_counts(self.status_counts)


@define(eq=False, kw_only=True)
class LeafRole(Role):
    """What task and call roles have in common."""

    trigger: str = ""
    """A moment with a weight; a task with a trigger is a hook."""
    await_: str = ""
    """The moment and weight at which a call's end is waited for."""
    timeout: str = ""
    """A duration text, as `aliecs.language.duration` reads it."""
    is_critical: bool = True

    @property
    def critical(self) -> bool:
        return self.is_critical

    @property
    def counts(self) -> bool:
        return self.is_critical and not self.excluded


@define(eq=False, kw_only=True)
class TaskRole(LeafRole):
    """A role that is a process somewhere."""

    class_identifier: str
    """`<repository>/tasks/<name>@<revision>`"""
    task: str | None = None
    """The id of the task that plays the role."""
    state: State = State.STANDBY
    status: Status = Status.INACTIVE

    def set_state(self, state: State) -> None:
        """The task's state has changed."""
        _spread_state(self, state)

    def set_status(self, status: Status) -> None:
        """The task's status has changed."""
        _spread_status(self, status)


@define(eq=False, kw_only=True)
class CallRole(LeafRole):
    """A role that calls into an outside service at some moment. Its state never counts; without a
    trigger it is never called, and its status does not count either."""

    func: str
    """An expression without braces, such as `dcs.StartOfRun()`."""
    return_: str = ""
    """The variable to keep the output in; none where empty."""
    status: Status = Factory(
        lambda self: Status.INACTIVE if self.trigger else Status.INVARIANT, takes_self=True
    )

    def set_status(self, status: Status) -> None:
        """The environment deploys its calls, or tears them down."""
        if self.trigger:
            _spread_status(self, status)

    def call_variables(self, environment_id: str) -> dict[str, str]:
        """What the function of the call sees: the role's stack and what is known of the call."""
        return {
            **self.stack(),
            "environment_id": environment_id,
            "__call_func": self.func,
            "__call_timeout": self.timeout,
            "__call_trigger": self.trigger,
            "__call_await": self.await_,
            "__call_critical": "true" if self.is_critical else "false",
            "__call_rolepath": self.path,
        }


# --- documents -----------------------------------------------------------------------------------


def role_to_document(role: Role) -> dict[str, Any]:
    """A JSON-able form of a role and all below it, without states. Empty parts are left out."""
    document: dict[str, Any] = {
        "name": role.name,
        "location": [role.location.file, role.location.line],
        "included_at": [role.included_at.file, role.included_at.line] if role.included_at else None,
        "defaults": dict(role.defaults),
        "variables": dict(role.variables),
        "user_variables": dict(role.user_variables),
        "constraints": [constraint.to_document() for constraint in role.constraints],
        "bind": [channel.to_document() for channel in role.bind],
        "connect": [channel.to_document() for channel in role.connect],
        "excluded": role.excluded,
    }
    if isinstance(role, LeafRole):
        document |= {
            "trigger": role.trigger,
            "await": role.await_,
            "timeout": role.timeout,
        }
    document = {key: value for key, value in document.items() if value}
    if isinstance(role, LeafRole):
        document["critical"] = role.is_critical
    if isinstance(role, TaskRole):
        document["class"] = role.class_identifier
    elif isinstance(role, CallRole):
        document |= {"func": role.func, "return": role.return_}
    else:
        document["roles"] = [role_to_document(child) for child in role.roles]
    return document


def role_from_document(
    document: Mapping[str, Any], tree: Tree, parent: AggregatorRole | None = None
) -> Role:
    """The inverse of `role_to_document`, with the states of a tree that is not deployed."""
    common: dict[str, Any] = {
        "tree": tree,
        "name": document.get("name", ""),
        "parent": parent,
        "location": Location(*document["location"]),
        "excluded": document.get("excluded", False),
        "constraints": tuple(map(Constraint.from_document, document.get("constraints", ()))),
        "bind": tuple(map(Channel.from_document, document.get("bind", ()))),
        "connect": tuple(map(Channel.from_document, document.get("connect", ()))),
    }
    if "included_at" in document:
        common["included_at"] = Location(*document["included_at"])
    for key in ("defaults", "variables", "user_variables"):
        if key in document:
            common[key] = dict(document[key])
    if "roles" in document:
        role = AggregatorRole(**common)
        role.adopt(tuple(role_from_document(child, tree, role) for child in document["roles"]))
        return role
    common |= {
        "trigger": document.get("trigger", ""),
        "await_": document.get("await", ""),
        "timeout": document.get("timeout", ""),
        "is_critical": document["critical"],
    }
    if "class" in document:
        return TaskRole(**common, class_identifier=document["class"])
    return CallRole(**common, func=document["func"], return_=document["return"])
