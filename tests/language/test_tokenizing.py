"""What tokenizers put around a text, what ends one, and which of them may share tokenised rows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from saelib.language.deferred import DeferredTokenizer
from saelib.language.loading import load_tokenizer
from saelib.language.tokenizing import (
    document_separator,
    end_of_text,
    first_tokens,
    frame,
    special_token,
    tokenizer_hash,
)
from tests.helpers.python_tokenizer import LetterTokenizer
from tests.helpers.small_models import save_small_model, small_tokenizer

SPECIAL = {"<s>": 0, "</s>": 1, "<unk>": 2}


def words(template: str = "$A", **names: str) -> PreTrainedTokenizerFast:
    """A tokenizer of a few words whose template is told, as are the special tokens that it names."""
    vocabulary = SPECIAL | {word: 3 + place for place, word in enumerate(["The", "first", "words", "of"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(token, SPECIAL[token]) for token in ("<s>", "</s>") if token in template]
    backend.post_processor = TemplateProcessing(single=template, pair=f"{template} $B", special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


@pytest.mark.parametrize(
    ("template", "first", "last"),
    [
        ("$A", [], []),  # GPT-2
        ("<s> $A", [0], []),  # Llama
        ("$A </s>", [], [1]),  # T5
        ("<s> $A </s>", [0], [1]),  # BERT
        ("</s> <s> $A", [1, 0], []),  # GLM puts two
    ],
)
def test_first_and_last_tokens_are_those_of_encoding(template: str, first: list[int], last: list[int]) -> None:
    tokenizer = words(template, bos_token="<s>", eos_token="</s>")
    assert frame(tokenizer) == (first, last)
    assert first_tokens(tokenizer) == first
    assert first_tokens(tokenizer, True) == (first or [0])
    assert first_tokens(tokenizer, False) == []
    assert first_tokens(tokenizer, "of") == [6]


def test_what_attributes_say_does_not_count() -> None:
    tokenizer = words("$A", bos_token="<s>")
    object.__setattr__(tokenizer, "_add_bos_token", True)
    assert tokenizer.add_bos_token and first_tokens(tokenizer) == []
    other = words("<s> $A", eos_token="</s>")  # names no BOS, and writes one
    assert other.bos_token is None and first_tokens(other) == first_tokens(other, True) == [0]


def test_a_first_token_that_is_none_is_refused() -> None:
    without = words("$A </s>", eos_token="</s>", unk_token="<unk>")
    assert first_tokens(without) == []
    with pytest.raises(ValueError, match="has no beginning-of-sequence token to put first; let the setting be None"):
        first_tokens(without, True)
    with pytest.raises(ValueError, match=r"first token '<bos>' is no token of tokenizer .*tokens: '</s>', '<unk>'"):
        first_tokens(without, "<bos>")
    assert first_tokens(without, "<unk>") == [2]


CHAT = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"


def chat(template: str | None, eos: str, *special: str) -> PreTrainedTokenizerFast:
    """A tokenizer that ends a text with `eos`, and has other special tokens that nobody names."""
    tokenizer = small_tokenizer()
    backend = tokenizer.backend_tokenizer
    backend.add_special_tokens([*special, eos])
    found = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=eos)
    found.chat_template = template
    return found


@pytest.mark.parametrize(
    ("template", "eos", "special", "wanted"),
    [
        (CHAT, "<|im_end|>", [], "<|endoftext|>"),  # SmolLM2, Qwen
        ("{{ message['content'] + eos_token }}", "<|im_end|>", [], "<|endoftext|>"),
        (CHAT, "<|endoftext|>", ["<|im_end|>"], "<|endoftext|>"),
        (None, "<|im_end|>", [], "<|im_end|>"),  # nothing says that it ends a turn
        ("{{ message['content'] }}<end_of_turn>", "<eos>", [], "<eos>"),  # Gemma: the template ends turns otherwise
    ],
)
def test_documents_are_separated_by_the_token_of_pretraining(
    template: str | None, eos: str, special: list[str], wanted: str
) -> None:
    tokenizer = chat(template, eos, *special)
    assert tokenizer.convert_ids_to_tokens(document_separator(tokenizer)) == wanted


def test_a_separator_that_is_no_special_token_is_text() -> None:
    tokenizer = words(bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.chat_template = "{{ message['content'] }}</s>"
    assert document_separator(tokenizer) == end_of_text(tokenizer) == 1
    llama_3 = words(eos_token="</s>", unk_token="<unk>")
    llama_3.add_special_tokens({"additional_special_tokens": ["<|end_of_text|>"]})
    llama_3.chat_template = "{{ message['content'] }}</s>"
    assert document_separator(llama_3) == llama_3.convert_tokens_to_ids("<|end_of_text|>")
    assert tokenizer_hash(llama_3) != tokenizer_hash(tokenizer)


def test_a_named_token_that_the_vocabulary_lacks_is_none() -> None:
    tokenizer = LetterTokenizer("abc", bos_token=None)
    tokenizer._special_tokens_map["bos_token"] = "<gone>"  # as in a folder whose files do not fit
    assert tokenizer.bos_token == "<gone>"
    assert special_token(tokenizer, "bos") is None


def test_a_text_ends_by_eos_or_sep_or_not_at_all() -> None:
    assert end_of_text(words(bos_token="<s>", eos_token="</s>")) == 1
    assert end_of_text(words(cls_token="<s>", sep_token="</s>")) == 1
    with pytest.raises(ValueError, match=r"tokenizer .* has no end-of-text token.*tokenizer.eos_token = "):
        end_of_text(words(bos_token="<s>"))


def test_python_tokenizers_are_read_too() -> None:
    assert frame(ByT5Tokenizer()) == ([], [1])
    assert first_tokens(LetterTokenizer("abc"), True) == [0]
    assert len(tokenizer_hash(ByT5Tokenizer())) == 64


def test_a_tokenizer_whose_own_tokens_are_not_found_is_named() -> None:
    class Shifting(LetterTokenizer):
        def encode(self, text, add_special_tokens=True, **options):
            return [1, 2] if add_special_tokens else [3]

    with pytest.raises(ValueError, match=r"does not say what it puts in front .* as \[3\] without and as \[1, 2\]"):
        frame(Shifting("abc"))


def test_the_deferred_one_answers_without_transformers(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(save_small_model(tmp_path / "model")))
    assert isinstance(tokenizer, DeferredTokenizer)
    assert (first_tokens(tokenizer), first_tokens(tokenizer, True)) == ([], [0])
    assert first_tokens(tokenizer, "<|endoftext|>") == [end_of_text(tokenizer)] == [0]
    assert len(tokenizer_hash(tokenizer)) == 64
    assert "hugging_face" not in tokenizer.__dict__
    before = first_tokens(tokenizer.hugging_face), first_tokens(tokenizer.hugging_face, True)
    assert before == (first_tokens(tokenizer), first_tokens(tokenizer, True))


def added(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.add_tokens(["stands"])


def added_special(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<more>"]})


def other_end(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.eos_token = "!"


def lower_case(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()


def digits(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Digits(individual_digits=True)


def split_special(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.split_special_tokens = True


def clean_up(tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer.clean_up_tokenization_spaces = True


CHANGES = [added, added_special, other_end, lower_case, digits, split_special, clean_up]


@pytest.mark.parametrize("change", CHANGES)
def test_the_hash_names_everything_that_decides_the_ids(change: Callable[[PreTrainedTokenizerFast], None]) -> None:
    tokenizer = small_tokenizer()
    before = tokenizer_hash(tokenizer)
    assert before == tokenizer_hash(small_tokenizer())
    change(tokenizer)
    assert tokenizer_hash(tokenizer) != before


@pytest.mark.parametrize("change", [added, added_special, other_end, lower_case])
def test_the_hash_of_a_deferred_one_follows_its_changes(
    change: Callable[[PreTrainedTokenizerFast], None], tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(str(save_small_model(tmp_path / "model")))
    before = tokenizer_hash(tokenizer)
    _ = tokenizer.hugging_face
    assert tokenizer_hash(tokenizer) == before
    change(tokenizer)
    assert tokenizer_hash(tokenizer) != before
    assert end_of_text(tokenizer) == tokenizer.hugging_face.eos_token_id


def test_python_tokenizers_are_told_apart_by_vocabulary_files_settings_and_class() -> None:
    class Reversed(LetterTokenizer):
        def _tokenize(self, text, **options):
            return list(reversed(text))

    class Files(LetterTokenizer):
        rules = "one"

        def save_vocabulary(self, save_directory, filename_prefix=None):
            (Path(save_directory) / "rules.txt").write_text(self.rules)
            return (str(Path(save_directory) / "rules.txt"),)

    class OtherFiles(Files):
        rules = "two"

    OtherFiles.__qualname__ = Files.__qualname__
    lower = LetterTokenizer("abc")
    lower.lower = True
    some = LetterTokenizer("abc")
    some.add_tokens(["abc"])
    all_of_them = [LetterTokenizer("abc"), LetterTokenizer("acb"), Reversed("abc"), Files("abc"), OtherFiles("abc"),
                   lower, some, LetterTokenizer("abc", eos_token="a")]  # fmt: skip
    assert len({tokenizer_hash(tokenizer) for tokenizer in all_of_them}) == len(all_of_them)
    assert tokenizer_hash(LetterTokenizer("abc")) == tokenizer_hash(LetterTokenizer("abc"))
