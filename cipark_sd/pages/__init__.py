"""Pages: what a command found, as data and as one HTML file."""
