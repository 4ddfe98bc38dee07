"""The program beside the tasks, one per host: it starts, drives and ends them."""
