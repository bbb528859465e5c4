"""SAEs that somebody has released, and ours for others: where do they lie, and how are they read and given?

In: the name of a release and of one SAE in it, or finished folders and words about them. Out: an SAE for reading, which
says where it comes from, or a commit on the Hugging Face Hub. Whatever would be computed differently here is refused by
name (`saelib.sae.folder.load_sae`).

Public: `load.load_published`, the SAEs of the paper's authors; `load.load_release`, those of SAELens's releases, of any
repository on the hub and of any folder; `layout`, what the authors released; `push.Upload`, what would be sent.
"""
