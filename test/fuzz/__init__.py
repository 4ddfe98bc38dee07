"""Fuzzing: what strangers may write, made by chance, held against the code that reads it.

A target is a module of this package with a `name`, `case(random)`, which makes one case (garbage, a
mutated valid text, or one that is valid by construction), and `attempt(case)`, which runs it: it
swallows documented errors only, and raises AssertionError where a valid case fails or gives another
result. `python -m test.fuzz --help` runs them.
"""
