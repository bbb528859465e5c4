"""The command that errors advise is the one that goes on with the run."""

from saelib.run.command import make_command


def test_the_command_to_continue_names_what_differs_from_the_defaults() -> None:
    assert make_command("tiny", "tiny", None) == "make reproduce"
    assert make_command("smoke", "smoke", None) == "make reproduce PRESET=smoke"
    assert make_command("tiny", "second try", 1) == "make reproduce RUN='second try' SEED=1"
    assert make_command("tiny", "tiny", None, {"shots": [4]}) == """make reproduce HTEST='{"shots": [4]}'"""
