"""Rules, shortcuts, and the audit of a set of items."""
