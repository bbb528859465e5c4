"""What is a number, how sure is it, and how is it shown?

In: values for each seed or item, tidy tables, functions that draw. Out: intervals; tables with their provenance;
Markdown, LaTeX, figures and sentences; named values that notebooks record for each other and for the report.

Public: `intervals`, all statistics of the kit; `text.with_interval`; `tables.as_markdown`, the one writer of Markdown
tables; `figures.figure`, which gives a drawing its name and caption; `notebook.say`, `show_table`, `show_figure`,
`check_equal` and `check_at_most`; `values.record_values` and `values.read_values`; `provenance.write_table`.
"""
