"""Everything between an item and a raw reply."""
