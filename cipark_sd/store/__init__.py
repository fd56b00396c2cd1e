"""The run store: runs of one model on disk, chunk by chunk, in more numbers than memory holds."""
