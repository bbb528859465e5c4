"""The parts of `report.html`: what does a reader see of a run, in which order, and how?

In: executed notebooks, figures, tables and configs of a run. Out: one page of HTML that needs nothing beside it.

Notebooks become Markdown tokens (`cells`), which `markup` writes as HTML; `head` says where the numbers come from,
`appendix` has figures, settings, glossary and checks, `layout` puts all of it into one page.
"""
