"""AliECS: the ALICE Experiment Control System, on Twisted."""
