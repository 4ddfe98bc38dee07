"""Workflow repositories, read at a revision straight from git objects."""
