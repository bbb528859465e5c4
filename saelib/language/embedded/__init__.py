"""The language model that ships with the kit: which model is there without a network, and how was it made?

In: the docstring corpus, for those who train it again. Out: the folder `model/`, which transformers loads: weights,
tokenizer, the record of the training, and a card.

- `loading.load_language_model("embedded")` reads it; this package only knows the place, `EMBEDDED_FOLDER`
- `train.train` (`python -m saelib.language.embedded.train`): makes it again
- `card.write_card` (`python -m saelib.language.embedded.card`): writes the card from the record
"""

from pathlib import Path

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "model"
