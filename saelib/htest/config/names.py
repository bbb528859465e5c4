"""Who a name in a config means: what stands before the names of those who are asked, and lists of models by one name.

In: names as `HTestConfig.models` has them. Out: the names of single models (`expand`).
"""

API = "api:"  # before a model's name in Inspect AI: "api:openai/gpt-4o"
CONTROL = "control:"  # before the name of a control
TUNED = "tuned:"  # before the name of the model that was tuned; one name for its tuned copies, one for each task
UNTRAINED = "untrained:"  # before a local model's name: the same architecture with random weights
PARSER = "parser"  # as a judge: no model, the strict parser reads the reply itself

# Lists of models by one name, small before large. The paper's own API models are mostly retired.
FAMILIES: dict[str, tuple[str, ...]] = {
    "pythia": tuple(f"EleutherAI/pythia-{size}-deduped" for size in ("70m", "160m", "410m", "1b", "1.4b", "2.8b")),
    "llama-2": ("meta-llama/Llama-2-7b-chat-hf", "meta-llama/Llama-2-13b-chat-hf", "meta-llama/Llama-2-70b-chat-hf"),
    "gpt": ("api:openai/gpt-3.5-turbo", "api:openai/gpt-4o-mini", "api:openai/gpt-4o"),
    "claude": ("api:anthropic/claude-3-haiku-20240307", "api:anthropic/claude-3-opus-20240229"),
    "command": ("api:openai-api/cohere/command-r-08-2024", "api:openai-api/cohere/command-r-plus-08-2024"),
    "tiny": ("untrained:embedded", "embedded"),
}


def expand(models: tuple[str, ...]) -> tuple[str, ...]:
    """Models by name, with each key of `FAMILIES` replaced by its members; none stands twice."""
    members = [member for model in models for member in FAMILIES.get(model, (model,))]
    return tuple(dict.fromkeys(members))
