"""Training many SAEs from one stream of activations.

In: plans (`plan`), a language model and rows. Out: SAE folders at the checkpoints of a grid of token counts, resume
points, and a log.

- `train.train`: the loop and its resume points (`fingerprint`: of which training they are); `plan`, what goes in;
  `schedule`, what changes from step to step
- `courses`: all SAEs side by side; `course`: one, with its branches; `keeping`: folders and log; `divergence`: who is
  stopped, and streams that nobody can learn from
- `harvest`: the next chunk's activations beside this one's steps; `resume_writer`: resume points beside them
- `trainee.new_trainee`: one SAE, by the quickest step that is right for it: `sparse_step` (active features alone, by
  the loops of `kernels` and `update_kernels` in the memory of `workspace`, compiled as `compiling` says), `tiled_step`
  (dense, PyTorch alone) or `cuda_step` (dense, on a GPU)
- `memory_plan.plan_memory`: what a phase will hold, before any work

Without an experiment of paper 1, an SAE of layer 3 from random weights:

    >>> from pathlib import Path
    >>> from saelib import load_language_model, train
    >>> from saelib.language.corpus.load import load_corpus
    >>> from saelib.sae.config import TrainingConfig, TrainingPhase
    >>> from saelib.sae.training.plan import PhaseFolders, SaePlan
    >>> model = load_language_model("embedded")
    >>> config = TrainingConfig(context_length=64, batch_tokens=256, chunk_rows=16)
    >>> rows = load_corpus("docstrings", model.tokenizer, config.context_length, held_out_rows=8, seed=0).train
    >>> phase = TrainingPhase(checkpoints=(0, 4096), learning_rate=2e-3)
    >>> folders = PhaseFolders(saes=Path("mine/saes"), resume=Path("mine/resume_points"))
    >>> log = train([SaePlan("mine", 3, seed=0, data_seed=0, learning_rate=2e-3)], phase, model, rows, config, folders)
"""
