"""What a run of paper 1 reads: its language model, its text, the sink token before every row, a source of its own.

In: a config. Out: a `ReadingRun`, whose inputs are loaded when first asked for and pinned by their content: the run
goes on with these alone.
"""

import warnings
from functools import cached_property
from typing import TYPE_CHECKING

from saelib.language.corpus.load import load_corpus
from saelib.run.pinned import PinnedRun
from saelib.sae.releases.layout import REPOSITORY
from saelib.transfer.config import AUTO_SINK, NO_SINK, ExperimentConfig
from saelib.transfer.model_fit import check_context, chosen_layers, without_transfers
from saelib.transfer.released_config import PUBLISHED

if TYPE_CHECKING:
    from saelib.language.corpus.rows import Corpus, TokenRows
    from saelib.language.model import LanguageModel
    from saelib.transfer.source import OwnSource

FOUND_SINK = "sink_token"  # its name among a run's inputs, where it was found
RELEASE = "saes_revision"  # as well, where they are fetched


class ReadingRun(PinnedRun[ExperimentConfig]):
    """A run on disk with the inputs that it reads."""

    @cached_property
    def model(self) -> "LanguageModel":
        """The language model that the config names.

        Raises:
            ValueError: rows of `context_length` tokens are longer than it can read.
            FileExistsError: the run was made from another model of that name.
        """
        from saelib.language.loading import load_language_model, pinned_revision

        config = self.config
        revision = pinned_revision(config.language_model, config.revision, self.inputs.get("language_model"))
        model = load_language_model(config.language_model, config.device, revision)
        self.pin("language_model", model.revision)
        check_context(config, model.name, model.n_ctx)
        return model

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers that get SAEs.

        Raises:
            ValueError: the config names a layer that the model lacks, or a distance that no two of the layers have.
        """
        layers = chosen_layers(self.config, self.model.name, self.model.n_layers)
        if without := without_transfers(self.config, layers):
            warnings.warn(without, stacklevel=3)
        return layers

    @cached_property
    def settled(self) -> ExperimentConfig:
        """The config by which SAEs train and are scored: with the sink token that was found, where one was to be.

        Found once, by the norms of the first training rows: the run goes on with that one.

        Raises:
            ValueError: with the token rows have no place for text.
            FileExistsError: the run was made with another.
        """
        if self.config.sink_token != AUTO_SINK:
            return self.config
        found = self.inputs.get(FOUND_SINK) or self._find_sink()
        self.pin(FOUND_SINK, found)
        return self.config.replace(sink_token=found)

    def _find_sink(self) -> str:
        from saelib.language.sinks import find_sink

        without = self._load_corpus(None)
        return find_sink(self.model, without, self.layers, self.config.evaluation_batch_rows) or NO_SINK

    @cached_property
    def corpus(self) -> "Corpus":
        """Training rows, in the first replicate's order, and held-out rows of the corpus that the config names.

        Raises:
            ValueError, FileNotFoundError: it cannot be read, or has not rows enough.
            FileExistsError: the run was made from another text of that name.
        """
        corpus = self._load_corpus(self.settled.named_sink)
        self.pin("corpus", corpus.sha256)
        return corpus

    def _load_corpus(self, sink_token: str | None) -> "Corpus":
        config, model = self.config, self.model
        corpus = load_corpus(
            config.corpus,
            model.tokenizer,
            config.context_length,
            config.held_out_rows,
            seed=config.data_seeds[0],
            prepend_bos=config.prepend_bos,
            vocabulary=model.vocabulary,
            commit=self.inputs.get("corpus_revision"),
            sink_token=sink_token,
            within_documents=config.rows == "within",
        )
        if corpus.revision is not None:
            self.pin("corpus_revision", corpus.revision)
        return corpus

    def training_rows(self, data_seed: int) -> "TokenRows":
        """Training rows in the order of a replicate; a hub data set has one order, shuffled within chunks only."""
        return self.corpus.in_order(data_seed)

    @cached_property
    def source(self) -> "OwnSource | None":
        """The SAE that the config names as the source of all transfers; None where these start from scratch SAEs.

        Raises:
            FileNotFoundError, ValueError: as `transfer.source.read_source`.
            FileExistsError: the run was made from another SAE of that name.
        """
        from saelib.sae.folder import folder_sha256
        from saelib.transfer.source import read_source

        if self.config.source is None:
            return None
        source = read_source(self.config.source, self.config, self.model)
        self.pin("source", folder_sha256(source.folder))
        return source

    @cached_property
    def release(self) -> str | None:
        """The commit of the released SAEs that the run takes; None where it trains its own.

        Raises:
            FileNotFoundError: there is no such revision, or it cannot be had.
            FileExistsError: the run was made from another commit.
        """
        from saelib.sae.releases.hub import commit_of

        if self.config.saes != PUBLISHED:
            return None
        commit = commit_of(REPOSITORY, self.inputs.get(RELEASE) or self.config.saes_revision)
        self.pin(RELEASE, commit)
        return commit
