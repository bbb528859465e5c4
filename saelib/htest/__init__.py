"""H-Test (Lee & Lim, ACL 2024): ten A/B tasks about the look and sound of language.

items (official or generated) -> prompts -> engine (local or API) -> replies -> scoring -> figures. A module imports
only from its left. `study` is what the notebooks call.
"""
