"""What all rooms stand on: errors, files, names, words, the console."""
