"""Callers, locks, tokens, sessions."""
