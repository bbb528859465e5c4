"""The accuracies of Inspect's logs on the command line."""

from saelib.htest.engines.inspect_tasks import make_task
from saelib.htest.scoring.score_logs import main
from tests.helpers.asked import asked, mock_model, run_task


def test_logs_become_a_table_by_both_parsers(tmp_path, capsys):
    run_task(make_task(*asked("")), mock_model(lambda prompt: "I cannot tell"), tmp_path)
    main([str(tmp_path)])
    heads, _, *lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()
    ]
    rows = {row["reader"]: row for row in (dict(zip(heads, line, strict=True)) for line in lines)}
    assert rows.keys() == {"paper", "strict"}
    # a refusal has an "a" and no "b"
    assert (rows["paper"]["accuracy"], rows["paper"]["share_a"]) == ("0.500", "1.000")
    assert (rows["strict"]["accuracy"], rows["strict"]["share_none"]) == ("0.000", "1.000")
    assert {row["model"] for row in rows.values()} == {"api:mockllm/model"}
