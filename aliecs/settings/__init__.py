"""Everything an operator can set: typed, from one table, whatever source it comes from.

`table` holds names, types, defaults and meanings; `value` reads one value; `layer` reads the
sources and lays them over one another; `options` is the command line; `apricot` has the table of
the configuration service on its own. `service` makes a `Settings` at start and hands it to the
parts; nothing here is a global.
"""

from aliecs.settings.core import Settings
from aliecs.settings.layer import Layer, Sources, read_file, read_text
from aliecs.settings.options import SettingsOptions
from aliecs.settings.page import describe
from aliecs.settings.value import Host, format_duration, parse_duration

__all__ = [
    "Host",
    "Layer",
    "Settings",
    "SettingsOptions",
    "Sources",
    "describe",
    "format_duration",
    "parse_duration",
    "read_file",
    "read_text",
]
