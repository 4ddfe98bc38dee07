"""Small tasks that move real data, used by the demonstration and as examples to copy."""
