"""Which master to turn to: the setting names one or several, and a master that does not lead names
the one that does.

Several are written as `http://one:5050,two:5050/api/v1/scheduler`, or as whole addresses with
commas between them.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import define, field, frozen

from aliecs.errors import SettingsError

PATH = "/api/v1/scheduler"
PORT = 5050
MOST_REDIRECTS = 9
"""Redirects in a row that are followed at once."""


@frozen
class Address:
    """One master."""

    scheme: str
    place: str
    """`host:port`."""
    path: str

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.place}{self.path}"


def parse_masters(text: str) -> tuple[Address, ...]:
    """The masters of the setting `mesosUrl`. Raises `SettingsError`."""
    found: list[Address] = []
    places: list[str] = []
    scheme = "http"
    for part in (piece.strip() for piece in text.split(",")):
        if "://" in part and places:
            found += [Address(scheme, place, PATH) for place in places]
            places = []
        if "://" in part:
            scheme = part.partition("://")[0].lower()
        split = _split(part if "://" in part else f"{scheme}://{part}", text)
        places.append(split.place)
        if split.path:
            found += [Address(split.scheme, place, split.path) for place in places]
            places = []
    return (*found, *(Address(scheme, place, PATH) for place in places))


def _split(part: str, whole: str) -> Address:
    split = urlsplit(part)
    if split.scheme not in ("http", "https"):
        hint = " (name the masters themselves, not ZooKeeper)" if split.scheme == "zk" else ""
        raise SettingsError(f"mesosUrl: {whole!r} has no http or https address{hint}")
    if split.username is not None:
        raise SettingsError(
            "mesosUrl: user and password belong in mesosCredentials.username and"
            " mesosCredentials.passwordFile"
        )
    try:
        port = split.port or PORT
    except ValueError as error:
        raise SettingsError(f"mesosUrl: {whole!r}: {error}") from None
    host = split.hostname or "127.0.0.1"
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Address(split.scheme, place, "" if split.path == "/" else split.path)


@define
class Masters:
    """The masters, and the one whose turn it is."""

    addresses: tuple[Address, ...]
    _index: int = field(default=0, init=False)
    _leader: Address | None = field(default=None, init=False)
    _redirects: int = field(default=0, init=False)

    @property
    def current(self) -> Address:
        """Where to go now."""
        return self._leader or self.addresses[self._index]

    def failed(self) -> None:
        """The current one does not serve us: it is the next one's turn."""
        if self._leader is None:
            self._index = (self._index + 1) % len(self.addresses)
        self._leader = None
        self._redirects = 0

    def served(self) -> None:
        """The current one leads."""
        self._redirects = 0

    def redirect(self, location: str) -> bool:
        """The current one names another. False where that leads nowhere, or in circles."""
        place = location.partition("//")[2].partition("/")[0]
        self._redirects += 1
        if not place or "@" in place or self._redirects > MOST_REDIRECTS:
            self.failed()
            return False
        base = self.addresses[self._index]
        self._leader = Address(base.scheme, place, base.path)
        return True
