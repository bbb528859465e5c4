"""saelib: layer transfer of sparse autoencoders, from a language model to the convergence curves; and H-Test.

Data flows one way: `language_model` and `corpus`, `activations`, `training`, `evaluation`, `records`,
`figures`, `report`; H-Test has its own way, in `htest`. A module imports only from those before it; notebooks
call, and define nothing.
"""

__version__ = "0.1.0"
