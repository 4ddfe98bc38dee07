"""Processes as the core sees them: classes, placement, state, commands."""
