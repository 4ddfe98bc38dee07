"""Stand-ins for programs and services of the experiment that this machine does not have."""
