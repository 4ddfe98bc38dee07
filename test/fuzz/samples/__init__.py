"""Targets with known faults, for the tests of the harness. They are no targets of the package."""
