"""The table that README quotes says what the evaluation says."""

from saelib.batch.publish import savings_markdown
from tests.transfer.test_convergence import two_layer_run


def test_savings_table():
    evaluation = two_layer_run().assign(l0=lambda table: 10.0 + table["tokens"])
    lines = savings_markdown(evaluation).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["forward", "backward"]
    forward = [cell.strip() for cell in lines[2].split("|")[2:-1]]
    assert forward == ["80% (80% to 80%)", "80% (80% to 80%)", "0.9500 (0.9500 to 0.9500)", "0.6000 (0.6000 to 0.6000)",
                       "0.9000 (0.9000 to 0.9000)", "50", "110"]  # fmt: skip
    assert lines[3].split("|")[2].strip() == "0% (0% to 0%)"
