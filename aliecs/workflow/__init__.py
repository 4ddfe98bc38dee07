"""What to run: workflow templates become a tree of roles. Pure, and knows nothing of tasks."""
