"""What does a transferred SAE carry: what do its features mean, is that kept, and do circuits of them hold?

In: a run whose SAEs are trained (`open_interpretation`). Out: tables under `runs/<run>/interpret/` with what they were
made from, figures, and a page to look into single features; beside the paper's numbers.

The rooms, left to right; each imports only from those to its left:

    config <- subjects <- lineages <- interpretation <- circuits <- features <- likeness <- dashboard <- figures

Public: `interpretation.open_interpretation`, whose `Interpretation` says which SAEs stand side by side
(`subjects.Lineage`); `features.profiles.make_profiles` and `features.of_text.features_of`;
`likeness.study.make_likeness` and `likeness.transfer_study.make_feature_transfer`; `circuits.study.run_attribution` and
`circuits.study.run_circuits`, with `circuits.circuit.Circuit` between what finds circuits and what scores them;
`dashboard.page.write_dashboard`.
README.md beside this file has the files and columns, and the differences from the paper.
"""
