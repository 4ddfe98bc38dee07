"""Component payloads: listing, reading, importing and deleting them.

An import is an exchange: what is there is read, kept in the history, and replaced only if it is
still what was read. So of two imports at once each keeps what it replaced, and nothing is lost.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from aliecs.configuration.format import TEMPLATE_TAG, check_payload, indented_json
from aliecs.configuration.history import History
from aliecs.configuration.processing import Processing
from aliecs.configuration.query import (
    COMPONENTS,
    ComponentQuery,
    checked_component,
    component_names,
    entries_of,
    parse_query,
    parse_stored_query,
    select_entries,
)
from aliecs.configuration.tree import Nested, nest, normal_key
from aliecs.errors import Conflict, NotFound, NotImplementedYet
from aliecs.interfaces import IConfigurationStore, IIndexedStore, PayloadChange, PayloadImport

LARGEST_DIFFERENCE = 256 * 1024
"""Characters of a difference that is told; of a larger one only its beginning."""
_LINES_TO_COMPARE = 10_000
_ATTEMPTS = 50


@frozen
class Components:
    """Payloads in `store`. Methods and errors are those of `IConfigurationService`."""

    store: IConfigurationStore
    processing: Processing
    history: History = field(init=False)

    @history.default
    def _make_history(self) -> History:
        return History(self.store)

    async def names(self) -> Sequence[str]:
        """All components: the first segments of all keys, whether or not they are folders."""
        return component_names(await self.store.list(COMPONENTS))

    async def entries(self, component: str, run_type: str, role: str, exact: bool) -> Sequence[str]:
        """`RUNTYPE/role/entry` of the payloads of a component."""
        keys = await self.store.list(f"{COMPONENTS}/{checked_component(component)}")
        if not keys:
            raise NotFound(f"no keys found for component {component}")
        return list(select_entries(entries_of(component, keys), run_type, role, exact))

    async def stored(self, path: str) -> str:
        """A payload as it is stored."""
        query = parse_query(path)
        payload = await self.store.get(query.key)
        if payload is None:
            raise NotFound(f"no payload at configuration path {query.key}")
        return payload

    async def stored_with_index(self, path: str) -> tuple[str, int]:
        """The same with the number of the last change."""
        query = parse_query(path)
        if not IIndexedStore.providedBy(self.store):
            raise NotImplementedYet(
                f"the configuration store {self.store.uri} does not number its changes"
            )
        payload, index = await self.store.get_with_index(query.key)
        if payload is None:
            raise NotFound(f"no payload at configuration path {query.key}")
        return payload, index

    async def processed(self, path: str, variables: Mapping[str, str]) -> str:
        """A payload as its template makes it."""
        return await self.processing.render(str(parse_query(path)), variables)

    async def resolve(self, path: str) -> str:
        """The path that a query falls back to."""
        query = parse_query(path)
        for candidate in query.fallbacks():
            if await self.store.get(candidate.key) is not None:
                return str(candidate)
        raise NotFound(f"could not resolve configuration path {query.key}")

    async def import_payload(self, order: PayloadImport) -> PayloadChange:
        """Set a payload, or only say what that would change."""
        query = parse_stored_query(order.path)
        notes = await self._check(query, order)
        existed = bool(await self.store.list(f"{COMPONENTS}/{query.component}"))
        if existed and order.new_component:
            raise Conflict(
                f"component {query.component} exists already: import without saying that it is new"
            )
        if not existed and not order.new_component:
            raise await self._unknown_component(query.component)
        for _ in range(_ATTEMPTS):
            former = await self.store.get(query.key)
            change = PayloadChange(
                component_existed=existed,
                entry_existed=former is not None,
                changed=former != order.payload,
                difference=await self._difference(query, former, order.payload),
                notes=notes,
            )
            if order.dry_run or not change.changed or await self._replace(query, former, order):
                return change
        raise Conflict(f"{query}: it changed {_ATTEMPTS} times meanwhile; nothing was imported")

    async def delete(self, path: str, user: str, comment: str) -> None:
        """Remove a payload, which is kept in the history."""
        query = parse_stored_query(path)
        for _ in range(_ATTEMPTS):
            former = await self.store.get(query.key)
            if former is None:
                raise NotFound(f"no payload at configuration path {query.key}")
            version = await self.history.keep(query, former, user, comment)
            if await self.store.compare_and_delete(query.key, former):
                await self.history.trim(query)
                return
            await self.history.drop(query, version)
        raise Conflict(f"{query}: it changed {_ATTEMPTS} times meanwhile; nothing was deleted")

    async def raw_recursive(self, key: str) -> str:
        """The tree at and below a key as JSON, indented with tabs."""
        nested = await self._nested(normal_key(key) if key.strip("/") else "")
        return await self.processing.in_thread(lambda: indented_json(nested))

    async def _check(self, query: ComponentQuery, order: PayloadImport) -> list[str]:
        """Notes about a payload whose form is as it should be."""
        notes = await self.processing.in_thread(
            lambda: check_payload(str(query), order.payload, order.format)
        )
        if order.format and TEMPLATE_TAG.search(order.payload):
            notes += await self.processing.check(str(query), order.payload)
        return notes

    async def _replace(
        self, query: ComponentQuery, former: str | None, order: PayloadImport
    ) -> bool:
        """Replace exactly `former`; False, with nothing changed, where it is another by now."""
        version = ""
        if former is not None:
            version = await self.history.keep(query, former, order.user, order.comment)
        # Where the store is lost meanwhile, what was kept stays: it may have been replaced.
        replaced = await self.store.compare_and_set(query.key, former, order.payload)
        if replaced:
            await self.history.trim(query)
        elif version:
            await self.history.drop(query, version)
        return replaced

    async def _unknown_component(self, component: str) -> Conflict:
        known = "".join(f"\n- {name}" for name in await self.names())
        return Conflict(
            f"there is no component {component}; say that it is a new component, or import into "
            f"one of these:{known}"
            if known
            else f"there is no component {component}, nor any other; say that it is a new component"
        )

    async def _difference(self, query: ComponentQuery, former: str | None, payload: str) -> str:
        if former == payload:
            return ""
        return await self.processing.in_thread(
            lambda: unified_difference(str(query), former, payload)
        )

    async def _nested(self, key: str) -> Nested:
        values = await self.store.items(key)
        if values:
            prefix = f"{key}/" if key else ""
            flat = {name.removeprefix(prefix): value for name, value in values.items()}
            return await self.processing.in_thread(lambda: nest(flat))
        if not key:
            return {}
        value = await self.store.get(key)
        if value is not None:
            return value
        # A list is keys of its own beside one another.
        folder, _, name = key.rpartition("/")
        around = await self._nested(folder) if folder else nest(await self.store.items(""))
        if isinstance(around, dict) and name in around:
            return around[name]
        raise NotFound(f"there is nothing at {key}")


def unified_difference(name: str, former: str | None, payload: str) -> str:
    """What changes from one payload to another, as a unified diff; a payload that was not there is
    empty. Where they are too large to compare, or the difference too large to tell, it says so."""
    before = (former or "").splitlines()
    after = payload.splitlines()
    if len(before) + len(after) > _LINES_TO_COMPARE:
        return f"(too large to compare: {len(before)} lines become {len(after)} lines)\n"
    old = f"{name} (present)" if former is not None else "(nothing)"
    lines = difflib.unified_diff(before, after, old, f"{name} (imported)", lineterm="")
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return "(only the ends of lines differ)\n"
    if len(text) > LARGEST_DIFFERENCE:
        return f"{text[:LARGEST_DIFFERENCE]}\n(and so on)\n"
    return text
