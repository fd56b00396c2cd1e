"""Long work: tasks in threads, worker processes or on a cluster, through one interface and with the same answers."""
