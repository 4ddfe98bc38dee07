"""The bus that carries what happened, and the sinks that listen."""
