"""How often is a model right, how sure is that, and does it agree with the paper?

In: replies. Out: one row for each reply (`readings.readings_of`), then accuracies with intervals
(`accuracy.accuracies_of`), their means over tasks, paired comparisons (`comparison.compare`), and `htest.parquet`
(`stored.score_study`). `main_table` has what an accuracy may hide beside it; `select` picks rows, `tables` shows them,
`names` has the words for it; `findings` puts the paper's statements beside a run, `reference` checks numbers that are
known beforehand. `beneath` asks whether an accuracy near guessing is ignorance, a preferred letter or a shortcut of the
items, `orders` how far a draw of shots moves that; `finding_tables` and `in_words` show and say what was found.
`python -m saelib.htest.scoring.score_logs FOLDER` scores Inspect's logs.
"""
