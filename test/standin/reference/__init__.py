"""Stand-ins for the reference's own programs, as its users have them: the executor, and the core.

Written from what is known of their behaviour on the wire, faults included. They share no code with
our executor and core, so that a fault of ours is not believed by both sides.
"""
