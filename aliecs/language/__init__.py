"""What templates are written in. Pure: no reactor, no network."""
