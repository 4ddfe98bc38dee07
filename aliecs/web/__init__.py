"""The control-room page: static files, no build step."""
