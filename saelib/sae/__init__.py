"""One sparse autoencoder: what does it compute, how does it train, how good is it?

In: the residual stream of a language model. Out: an SAE in a folder that SAELens reads too, its training log, and its
scores on held-out rows. Which SAEs are compared, and who starts from whom, is not decided here.

Public: `autoencoder.SparseAutoencoder`; `folder.save_sae` and `folder.load_sae`; `activations.plan_chunk`;
`training.train.train`, many SAEs from one stream; `training.memory_plan.plan_memory`; `evaluation.evaluate`;
`mapping.fit_map` and `mapping.map_sae`, to carry an SAE to another layer; `saved_maps`, maps as folders;
`releases`, SAEs that others have released, and ours for others; `config.TrainingConfig`; `reference.plain_scores`, the
slow way to check both.
"""
