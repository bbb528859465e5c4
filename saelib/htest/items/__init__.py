"""What is asked?

In: a seed, the authors' released files, or a file of one's own. Out: `Item`s, and `items.jsonl`, the border to all
else. `sources.official_items` and `kept.grown` give a run its items; `generators.fresh_items` and
`letter_geometry.geometry_items` make new ones, `official.load_official` reads the released ones, `plain.read_plain`
those of any table; `marks` shows them without what they ask for; `item.select` and `item.hash_items` are for everybody;
`tables.items_table` and `tables.examples_table` show them.
"""
