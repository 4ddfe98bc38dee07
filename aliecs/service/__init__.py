"""The only room where the parts of the core are made and wired.

`twistd --reactor=asyncio aliecs` makes a `CoreService`; its parts are in `parts`, the ports that
they are reached at in `faces`.
"""

from __future__ import annotations

from twisted.application.service import IService

from aliecs.daemon import DaemonService, check_reactor
from aliecs.errors import SettingsError
from aliecs.service.parts import CoreParts
from aliecs.settings.core import Settings
from aliecs.settings.layer import Sources
from aliecs.settings.options import SettingsOptions


class Options(SettingsOptions):
    """The command line of `twistd aliecs`. What cannot be is refused here, in as few words as it
    takes: twistd would print all of its help, or a traceback."""

    def postOptions(self) -> None:  # noqa: N802
        """Check everything that can be checked before anything is started."""
        check_reactor("aliecs")
        try:
            self.settings_sources = self.sources()
            self.settings = self.settings_sources.settings()
        except SettingsError as error:
            raise SystemExit(f"aliecs: {error.message}") from error


def makeService(options: Options) -> IService:  # noqa: N802
    """Make the core from the command line."""
    return CoreService(options.settings_sources, options.settings)


class CoreService(DaemonService):
    """The core as a service of Twisted. Stopping it hands over."""

    name = "aliecs"

    def __init__(self, sources: Sources, settings: Settings) -> None:
        super().__init__(
            "the core",
            lambda: CoreParts(sources, settings),
            log_format=settings.log_format,
            verbose=settings.verbose,
            very_verbose=settings.very_verbose,
        )
