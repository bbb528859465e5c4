"""The language model and its text."""
