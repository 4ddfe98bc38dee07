"""The ALICE Experiment Control System: launch, configure and control data-driven workflows."""
