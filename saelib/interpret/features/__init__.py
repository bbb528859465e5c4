"""What is each feature of an SAE: when is it active, what does it say, which others are near it?

In: an `Interpretation`, or an SAE, a language model and text. Out: tables of features and of contexts in the run's
folder `interpret/`, a part for each SAE.

Public: `profiles.make_profiles` and `profiles.read_profile`; `of_text.features_of`, the features of a sentence.
"""
