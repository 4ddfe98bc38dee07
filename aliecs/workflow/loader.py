"""From a workflow expression and variables to a tree of roles: a plain synchronous function.

Roles are processed top-down, each in the stages of the reference: `enabled`, own defaults, own
vars, user variables, then name and body, then constraints and channels; each stage sees what the
earlier ones made. Disabled roles go, iterators become their instances, includes become the template
that they name. All that siblings have wrong is told together. Runs in a loader thread; what it
needs from outside it asks of the `ILoaderSources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, evolve, field, frozen

from aliecs.errors import (
    Exhausted,
    InvalidInput,
    NotFound,
    TemplateError,
    TemplateErrors,
)
from aliecs.interfaces import ILoaderSources, TemplateText
from aliecs.language.declaration import (
    merge_channels,
    merge_constraints,
)
from aliecs.language.document import Field
from aliecs.language.expression import Compiler
from aliecs.language.functions import (
    DPL_FUNCTIONS,
    ROLE_FUNCTIONS,
    PluginFunctions,
    Scope,
    make_library,
)
from aliecs.language.value import ExpressionError
from aliecs.language.variables import Layers
from aliecs.workflow.evaluator import MOST_ROLES, Evaluator, Place, Surroundings, Unborn
from aliecs.workflow.moment import leaf_complaints
from aliecs.workflow.problem import Problems
from aliecs.workflow.role import (
    NO_VARIABLES,
    AggregatorRole,
    CallRole,
    LeafRole,
    Role,
    TaskRole,
    Tree,
    Variables,
)
from aliecs.workflow.schema import (
    AggregatorTemplate,
    CallTemplate,
    IncludeTemplate,
    IteratorTemplate,
    LeafTemplate,
    RoleTemplate,
    TaskTemplate,
    WorkflowTemplate,
    parse_workflow,
)
from aliecs.workflow.workflow import Workflow

__all__ = ["LoadRequest", "TemplateCache", "Workflow", "load"]

DEEPEST_INCLUDE = 20
MOST_TEMPLATES = 200
"""Parsed templates that a cache keeps."""


@define
class TemplateCache:
    """Templates parsed and expressions compiled, for all loads of a core."""

    compiler: Compiler = Factory(Compiler)
    _templates: dict[tuple[str, str, str], WorkflowTemplate] = field(factory=dict)

    def template(self, text: TemplateText) -> WorkflowTemplate:
        """The parsed form of a template. Raises `TemplateError`."""
        key = (text.repository, text.revision, text.path)
        template = self._templates.get(key)
        if template is None or template.text.text != text.text:
            template = parse_workflow(text)
            while len(self._templates) >= MOST_TEMPLATES:
                self._templates.pop(next(iter(self._templates)), None)
            self._templates[key] = template
        return template

    def of_file(self, file: str) -> WorkflowTemplate | None:
        """The template of that name (see `TemplateText.file`), None where it is not kept."""
        # A copy: other loads go on meanwhile.
        for template in list(self._templates.values()):
            if template.text.file == file:
                return template
        return None


@frozen
class LoadRequest:
    """What to load and with what."""

    expression: str
    """The workflow expression as the client gave it."""
    environment_id: str
    user_variables: Mapping[str, str] = field(factory=dict)
    """Keys with a colon (`path.to.role:key`) are set on that role."""
    defaults: Mapping[str, str] = field(factory=dict)
    """The configuration service's layer of defaults, computed ones included."""
    variables: Mapping[str, str] = field(factory=dict)
    """The configuration service's layer of vars."""
    plugin_functions: PluginFunctions = field(factory=dict)
    """Namespace -> functions that every template may call."""
    effects: bool = True
    """False for a load that must write nothing; the sources refuse to, too."""
    dump: Callable[[str, str], None] | None = None
    """Writes a file for `util.Dump`."""
    thorough: bool = False
    """True for a check: a field that cannot be evaluated stays as it is written, and loading goes
    on, so that as much as possible of what is wrong is found at once."""


def load(
    request: LoadRequest, sources: ILoaderSources, cache: TemplateCache | None = None
) -> Workflow:
    """Load a workflow.

    Raises `TemplateError` (`TemplateErrors` for several) where a template is wrong, `NotFound`
    where there is no such workflow, `InvalidInput` for variables of roles that do not exist, and
    what the sources raise where they cannot be reached or have run out of time.
    """
    workflow, errors = try_load(request, sources, cache)
    if errors:
        raise errors[0] if len(errors) == 1 else TemplateErrors(errors)
    assert workflow is not None
    return workflow


def try_load(
    request: LoadRequest, sources: ILoaderSources, cache: TemplateCache | None = None
) -> tuple[Workflow | None, Sequence[TemplateError]]:
    """As `load`, but the errors of templates are given and not raised, together with as much of the
    workflow as could be made, None where that is nothing."""
    if "://" in request.expression:
        raise InvalidInput(
            f"{request.expression!r} is an address; give the name of a workflow template"
        )
    attempt = _Load(request, sources, cache or TemplateCache())
    try:
        workflow = attempt.workflow()
    except TemplateErrors as several:
        return None, several.errors
    except TemplateError as error:
        return None, (error,)
    return workflow, attempt.problems.errors()


@define
class _Common:
    """What evaluation has made of the fields that all kinds of roles have."""

    fields: dict[str, Any]
    """Arguments of the role's class."""
    inner: Layers
    """What the role's own fields see of the layers, and its children inherit."""
    scope: Scope
    template: RoleTemplate


class _TooManyErrors(Exception):
    """Enough is known to give up."""


class _Load:
    """One load."""

    def __init__(self, request: LoadRequest, sources: ILoaderSources, cache: TemplateCache) -> None:
        self.request = request
        self.sources = sources
        self.cache = cache
        functions = {**ROLE_FUNCTIONS, **DPL_FUNCTIONS}
        library = make_library(cache.compiler, request.plugin_functions, functions)
        dump = request.dump if request.effects else None
        self.problems = Problems()
        put_aside = self._put_aside if request.thorough else None
        self.evaluator = Evaluator(library, sources, dump, put_aside)
        self.class_texts: dict[str, TemplateText] = {}
        self.classes: dict[str, str] = {}
        """The identifiers of task classes, by what roles call them."""
        self.roles = 0
        self.targeted, environment_wide = _by_target(request.user_variables)
        self.unused_targets = set(self.targeted)
        self.tree = Tree(
            dict(request.defaults),
            dict(request.variables),
            {**environment_wide, "environment_id": request.environment_id},
        )

    def workflow(self) -> Workflow | None:
        """The workflow; None, or a part of it, where there are `problems`."""
        text = self.sources.workflow(self.request.expression)
        template = self.cache.template(text)
        self._check_name(template)
        self._keep_warnings(template)
        place = Place(text.repository, text.revision, (text.file,))
        surroundings = Surroundings(None, self.tree.layers(), place)
        try:
            roles = self._collected([template.root], surroundings)
        except _TooManyErrors:
            roles = ()
        if not roles and len(self.problems):
            return None
        if not roles:
            reason = "nothing is left to run: the root role, or every role below it, is disabled"
            raise TemplateError(reason, template.root.location, template.name)
        if self.unused_targets and not len(self.problems):
            paths = ", ".join(sorted(self.unused_targets))
            raise InvalidInput(f"there are variables for roles that do not exist: {paths}")
        (root,) = roles
        assert isinstance(root, AggregatorRole)
        return Workflow(
            name=template.name,
            description=template.description,
            public=template.public,
            template=text,
            root=root,
            compiler=self.cache.compiler,
            class_texts=self.class_texts,
            warnings=tuple(self.evaluator.warnings),
        )

    def _check_name(self, template: WorkflowTemplate) -> None:
        expected = template.text.path.rsplit("/", 1)[-1].removesuffix(".yaml")
        if template.name != expected:
            reason = f"the name {template.name!r} differs from that of the file, {expected!r}"
            self._put_aside(TemplateError(reason, template.root.location))

    def _keep_warnings(self, template: WorkflowTemplate) -> None:
        self.evaluator.warnings.update(dict.fromkeys(template.warnings))

    # --- roles -----------------------------------------------------------------------------------

    def _collected(
        self,
        templates: list[RoleTemplate | IteratorTemplate] | list[AggregatorTemplate],
        surroundings: Surroundings,
    ) -> tuple[Role, ...]:
        """The roles that templates become, disabled ones left out, errors of each put aside."""
        roles: list[Role] = []
        for template in templates:
            try:
                if isinstance(template, IteratorTemplate):
                    self._iterate(template, surroundings, roles)
                elif (role := self._role(template, surroundings, None)) is not None:
                    roles.append(role)
            except TemplateError as error:
                self._put_aside(error)
        return tuple(roles)

    def _put_aside(self, error: TemplateError) -> None:
        self.problems.add(error)
        if self.problems.is_full:
            raise _TooManyErrors

    def _iterate(
        self, template: IteratorTemplate, surroundings: Surroundings, roles: list[Role]
    ) -> None:
        for value in self.evaluator.values(template, surroundings):
            local = {template.variable: value}
            try:
                role = self._role(template.role, surroundings, local)
            except TemplateError as error:
                self._put_aside(error)
                continue
            if role is not None:
                roles.append(role)

    def _role(
        self, template: RoleTemplate, surroundings: Surroundings, local: Mapping[str, str] | None
    ) -> Role | None:
        """One role and all below it; None where it is disabled."""
        common = self._common(template, surroundings, local)
        if common is None:
            return None
        if isinstance(template, IncludeTemplate):
            return self._include(template, common, surroundings, local)
        self.roles += 1
        if self.roles > MOST_ROLES:
            raise Exhausted(f"the workflow has more than {MOST_ROLES} roles")
        if isinstance(template, AggregatorTemplate):
            return self._aggregator(template, common, surroundings)
        if isinstance(template, TaskTemplate):
            return self._task(template, common, surroundings)
        assert isinstance(template, CallTemplate)
        return self._call(template, common)

    def _common(
        self, template: RoleTemplate, surroundings: Surroundings, local: Mapping[str, str] | None
    ) -> _Common | None:
        """The stages up to the name, and the lists; None where the role is disabled."""
        outer = surroundings.layers
        targeted = self._targeted(template, surroundings, outer, local)
        layers = outer.extended(user_variables=targeted)
        scope = self.evaluator.scope(template, surroundings, layers, local)
        if not self.evaluator.enabled(template, scope):
            return None
        defaults = self.evaluator.variables(template.defaults, scope)
        layers = layers.extended(defaults=defaults)
        scope = evolve(scope, variables=layers.stack(local))
        variables = self.evaluator.variables(template.variables, scope)
        user_variables = dict(targeted)
        if local:
            variables = {**variables, **local}
            # An iterator's variable wins below its role as it does in it.
            user_variables |= {k: v for k, v in local.items() if k in layers.user_variables}
        layers = layers.extended(variables=variables, user_variables=user_variables)
        scope = evolve(scope, variables=layers.stack(local))
        name = self.evaluator.text(template.name, scope, "name")
        self.evaluator.role_path = Unborn(name, surroundings.parent).path
        self.unused_targets.discard(self.evaluator.role_path)
        scope = evolve(scope, role=Unborn(name, surroundings.parent))
        fields = {
            "tree": self.tree,
            "name": name,
            "parent": surroundings.parent,
            "location": template.location,
            "defaults": defaults or NO_VARIABLES,
            "variables": variables or NO_VARIABLES,
            "user_variables": user_variables or NO_VARIABLES,
        }
        return _Common(fields, layers, scope, template)

    def _targeted(
        self,
        template: RoleTemplate,
        surroundings: Surroundings,
        layers: Layers,
        local: Mapping[str, str] | None,
    ) -> Variables:
        """The user variables meant for this role alone. Its name is evaluated ahead for it."""
        if not self.targeted:
            return {}
        scope = self.evaluator.scope(template, surroundings, layers, local)
        try:
            name = scope.render(template.name.text)
        except ExpressionError:
            return {}
        return self.targeted.get(Unborn(name, surroundings.parent).path, {})

    def _lists(self, common: _Common) -> dict[str, Any]:
        """The last stage: constraints and channels."""
        template, scope = common.template, common.scope
        return {
            "constraints": tuple(self.evaluator.constraint(c, scope) for c in template.constraints),
            "connect": tuple(self.evaluator.channel(c, scope) for c in template.connect),
            "bind": tuple(self.evaluator.channel(c, scope) for c in template.bind),
        }

    def _aggregator(
        self, template: AggregatorTemplate, common: _Common, surroundings: Surroundings
    ) -> Role | None:
        role = AggregatorRole(**common.fields, **self._lists(common))
        problems = len(self.problems)
        inner = Surroundings(role, common.inner, surroundings.place)
        children = self._collected(list(template.roles), inner)
        if not children and len(self.problems) == problems:
            return None
        role.adopt(children)
        return role

    def _task(
        self, template: TaskTemplate, common: _Common, surroundings: Surroundings
    ) -> TaskRole:
        traits = self._traits(template, common.scope)
        load = self.evaluator.needed(template.load, common.scope, "load")
        identifier = self._class_identifier(load, template.load, surroundings.place)
        role = TaskRole(
            **common.fields, **traits, **self._lists(common), class_identifier=identifier
        )
        self._complain(role)
        return role

    def _call(self, template: CallTemplate, common: _Common) -> CallRole:
        traits = self._traits(template, common.scope)
        func = self.evaluator.text(template.func, common.scope, "func")
        return_ = self.evaluator.text(template.return_, common.scope, "return")
        role = CallRole(
            **common.fields, **traits, **self._lists(common), func=func, return_=return_
        )
        self._complain(role)
        return role

    def _traits(self, template: LeafTemplate, scope: Scope) -> dict[str, Any]:
        trigger = self.evaluator.text(template.trigger, scope, "trigger")
        return {
            "trigger": trigger,
            "await_": self.evaluator.text(template.await_, scope, "await") if trigger else "",
            "timeout": self.evaluator.text(template.timeout, scope, "timeout"),
            "is_critical": template.critical,
        }

    def _complain(self, role: LeafRole) -> None:
        for problem in leaf_complaints(role):
            self.evaluator.warn(problem)

    # --- includes --------------------------------------------------------------------------------

    def _include(
        self,
        template: IncludeTemplate,
        common: _Common,
        surroundings: Surroundings,
        local: Mapping[str, str] | None,
    ) -> Role | None:
        """The root of another template, under the include's name, with what both of them say."""
        text = self.evaluator.needed(template.include, common.scope, "include")
        lists = self._lists(common)
        included = self._included(text, template.include, surroundings.place)
        place = Place(
            included.text.repository,
            included.text.revision,
            (*surroundings.place.files, included.text.file),
        )
        if len(place.files) > DEEPEST_INCLUDE:
            chain = " -> ".join(file.rsplit("/", 1)[-1] for file in place.files[-4:])
            raise self.evaluator.error(template.include, f"includes without end: ... {chain}")
        renamed = evolve(included.root, name=Field(common.fields["name"], template.name.line))
        inner = Surroundings(surroundings.parent, common.inner, place)
        role = self._role(renamed, inner, local)
        if role is None:
            return None
        role.included_at = template.location
        for layer in ("defaults", "variables", "user_variables"):
            merged = {**common.fields[layer], **getattr(role, layer)}
            setattr(role, layer, merged or NO_VARIABLES)
        role.constraints = merge_constraints(lists["constraints"], role.constraints)
        role.connect = merge_channels(role.connect, lists["connect"])
        role.bind = merge_channels(role.bind, lists["bind"])
        return role

    def _included(self, text: str, source: Field, place: Place) -> WorkflowTemplate:
        expression = text
        if "/" not in expression:
            expression = f"{place.repository}/workflows/{expression}"
        # Another repository has revisions of its own.
        if "@" not in expression and expression.startswith(f"{place.repository}/workflows/"):
            expression = f"{expression}@{place.revision}"
        try:
            template = self.cache.template(self.sources.workflow(expression))
        except NotFound as error:
            raise self.evaluator.error(source, f"include {text!r}: {error}") from error
        self._keep_warnings(template)
        return template

    # --- task classes ----------------------------------------------------------------------------

    def _class_identifier(self, load: str, source: Field, place: Place) -> str:
        """The full identifier of a task class, whose template is there."""
        if not load:
            raise self.evaluator.error(source, "'load' names no task class")
        wanted = load
        if "/" not in load:
            wanted = f"{place.repository}/tasks/{load}"
        if "@" not in load and wanted.startswith(f"{place.repository}/tasks/"):
            wanted = f"{wanted}@{place.revision}"
        identifier = self.classes.get(wanted)
        if identifier is None:
            try:
                text = self.sources.task_class(wanted)
            except (NotFound, InvalidInput) as error:
                raise self.evaluator.error(source, f"task class {load!r}: {error}") from error
            name = text.path.rsplit("/", 1)[-1].removesuffix(".yaml")
            identifier = f"{text.repository}/tasks/{name}@{text.revision}"
            self.classes[wanted] = identifier
            self.class_texts.setdefault(identifier, text)
        return identifier


def _by_target(
    variables: Mapping[str, str],
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """User variables of single roles, by path, and those of the environment."""
    targeted: dict[str, dict[str, str]] = {}
    environment_wide: dict[str, str] = {}
    for key, value in variables.items():
        path, colon, name = key.rpartition(":")
        if colon:
            targeted.setdefault(path, {})[name] = value
        else:
            environment_wide[key] = value
    return targeted, environment_wide
