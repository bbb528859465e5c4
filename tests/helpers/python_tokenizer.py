"""A tokenizer written in Python, as some models still have: no `tokenizers` library behind it, no file of its own."""

from typing import Any

from transformers import PreTrainedTokenizer


class LetterTokenizer(PreTrainedTokenizer):
    """One token for each letter that it knows."""

    lower = False

    def __init__(self, letters: str, **names: Any) -> None:
        tokens = ["<s>", "</s>", "<unk>", *dict.fromkeys(letters)]
        self.ids = {token: place for place, token in enumerate(tokens)}
        super().__init__(**{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | names)

    @property
    def vocab_size(self) -> int:
        return len(self.ids)

    def get_vocab(self) -> dict[str, int]:
        return self.ids | self.added_tokens_encoder

    def _tokenize(self, text: str, **options: Any) -> list[str]:
        return list(text.lower() if self.lower else text)

    def _convert_token_to_id(self, token: str) -> int:
        return self.ids.get(token, self.ids["<unk>"])

    def _convert_id_to_token(self, index: int) -> str:
        return list(self.ids)[index]
