"""Where tasks run: everything here stands behind `ITaskBackend`."""
