"""Prints the page of all settings; what it prints is kept in `docs/settings.md`."""

from aliecs.settings.page import describe

if __name__ == "__main__":
    print(describe(), end="")  # noqa: T201
