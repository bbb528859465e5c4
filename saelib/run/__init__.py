"""What is a run on disk?

A run is a folder `runs/<run>/` with a config that decides its numbers. In: a preset and overrides. Out: a checked,
frozen config; files that are whole or absent; resume points that survive a kill; one process at a time.

Public: `config.Config`, `config.RunConfig` and `config.resolve`; `pinned.PinnedRun` and `identity.check_config`,
what makes it the same run; `parameters.notebook_parameters` and `parameters.divide`; `typed.typed_fields`, settings as
they were typed; `lock.writing` and `lock.hold_for_children`; `resume.save_resume_point` and
`resume.newest_resume_point`; `files.write_atomically`, `files.replace_folder`, `files.path_part` for names that become
paths; `reading`, readers that name what is damaged; `manifest`, checksums beside files; `progress.progress`;
`threads.one_thread_each`, work side by side; `waiting.wait_passively`, for a machine that is not alone;
`memory.halving`, for one that is too small.
"""
