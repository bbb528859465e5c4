"""Figures of what SAEs carry, each module for its room: `features`, `likeness`, `circuits`.

In: tables of `runs/<run>/interpret/`. Out: named figures, which `saelib.results.notebook.show_figure` keeps and shows.
"""
