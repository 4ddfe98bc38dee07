"""Workflow repositories, read at a revision without a checkout.

`name` takes apart what people call things; `git`, `local` and `builtin` each read one kind of
repository; `manager` is all of them together, behind `IRepositories`.
"""
