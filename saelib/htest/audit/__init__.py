"""Are the items right, and can they be solved without being read?

In: items. Out: tables of labels that an independent rule disputes (`audit.audit`, `audit.disagreements`), of repeats
and overlaps, and of shortcuts, such as the length of a text, that give a label away (`shortcuts.shortcut_table`, and
`ngrams` for those of letters).
`tables` puts them into words. On the command line: `python -m saelib.htest.audit FILE`.
"""
