"""What is said of a number: headlines, what they rest on, claims."""
