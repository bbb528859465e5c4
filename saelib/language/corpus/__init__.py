"""Text as rows of token ids."""
