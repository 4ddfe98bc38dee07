"""The configuration service and the stores under it."""
