"""What was chosen at run time about repositories, kept in upstream's runtime entries.

Which repository is the default, the default revision of those added later, and, for each that was
added, its own default revision: by that map a core knows after a restart what had been added to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from attrs import frozen

from aliecs.errors import InvalidInput, NotFound
from aliecs.interfaces import IConfigurationService
from aliecs.repository.name import parse_repository

_COMPONENT = "aliecs"
_DEFAULT_REPOSITORY = "default_repo"
_DEFAULT_REVISION = "default_revision"
_DEFAULT_REVISIONS = "default_revisions"


@frozen
class Choices:
    """The choices that `configuration` holds. Coroutines."""

    configuration: IConfigurationService

    async def default_repository(self) -> str:
        """The identifier of the default repository, empty where none was chosen."""
        return await self._get(_DEFAULT_REPOSITORY)

    async def set_default_repository(self, identifier: str) -> None:
        """Choose the default repository."""
        await self.configuration.runtime_set(_COMPONENT, _DEFAULT_REPOSITORY, identifier)

    async def default_revision(self) -> str:
        """The default revision of repositories that are added, empty where none was chosen."""
        return await self._get(_DEFAULT_REVISION)

    async def set_default_revision(self, revision: str) -> None:
        """Choose the default revision of repositories that are added."""
        await self.configuration.runtime_set(_COMPONENT, _DEFAULT_REVISION, revision)

    async def revisions(self) -> dict[str, str]:
        """The default revisions by identifier. Raises `InvalidInput` where the entry is none of
        ours."""
        text = await self._get(_DEFAULT_REVISIONS)
        try:
            chosen = json.loads(text or "{}")
            return {parse_repository(str(key)).identifier: str(chosen[key]) for key in chosen}
        except (ValueError, TypeError, InvalidInput) as error:
            raise InvalidInput(
                f"the runtime entry {_COMPONENT}/{_DEFAULT_REVISIONS} is no JSON object of "
                f"repositories and revisions: {error}"
            ) from None

    async def set_revisions(self, revisions: Mapping[str, str]) -> None:
        """Replace the default revisions."""
        text = json.dumps(dict(revisions), indent=4, sort_keys=True)
        await self.configuration.runtime_set(_COMPONENT, _DEFAULT_REVISIONS, text)

    async def _get(self, key: str) -> str:
        try:
            return (await self.configuration.runtime_get(_COMPONENT, key)).strip()
        except NotFound:
            return ""
