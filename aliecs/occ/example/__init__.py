"""The demo's tasks, which really move data, and what they are made of: readout, builder, sender.

channel   push and pull channels over sockets, as channel properties describe them
block     what travels over them: numbered blocks and the mark at the end of a run
flow      what a task does with it: make blocks, or pass them on, and account for every byte
"""
