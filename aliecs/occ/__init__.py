"""The OCC protocol: the executor's client, and the library for tasks written in Python."""
