"""Long work: worker processes, and checkpoints of what is finished."""
