"""The command lines that people and scripts use."""
