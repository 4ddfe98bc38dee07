"""All routes of REST, in the order in which people are told of them."""

from __future__ import annotations

from aliecs.api.rest import (
    access,
    description,
    environments,
    events,
    framework,
    hosts,
    methods,
    operations,
    repositories,
    tasks,
    templates,
)
from aliecs.api.rest.route import Route, Section

SECTIONS: tuple[Section, ...] = (
    framework.HEALTH,
    framework.FRAMEWORK,
    environments.ENVIRONMENTS,
    tasks.TASKS,
    hosts.HOSTS,
    repositories.REPOSITORIES,
    templates.TEMPLATES,
    operations.OPERATIONS,
    events.EVENTS,
    access.ACCESS,
    access.LOGINS,
    methods.METHODS,
    description.DESCRIPTION,
)

ROUTES: tuple[Route, ...] = tuple(route for section in SECTIONS for route in section.routes)
