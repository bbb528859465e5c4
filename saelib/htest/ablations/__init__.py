"""What changes the result."""
