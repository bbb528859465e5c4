"""H-Test (Lee & Lim, ACL 2024): what do language models know of the look and sound of text? Ten A/B tasks.

In: a config and, for most of it, a language model or the name of one behind an API. Out: files under
`runs/<run>/htest/` and tables with intervals. `study.open_study` opens a run; `stages.ask_models` and
`stages.ask_controls` ask; `scoring.readings.readings_of` and `scoring.accuracy.accuracies_of` score; `figures` draws.

The rooms, left to right; each imports only from those to its left:

    tasks, config <- items <- audit <- asking <- engines <- respondents <- study <- stages
        <- budget <- scoring <- ablations <- figures

README.md beside this file defines the columns, names the differences from the paper, and says how to add a task.
"""
