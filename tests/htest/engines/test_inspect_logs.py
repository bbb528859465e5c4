from collections import Counter

import pytest
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import Logprob, Logprobs, ModelOutput, ModelUsage, TopLogprob, get_model

from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.engines.inspect_tasks import make_task
from tests.helpers.asked import COUNT, asked, mock_model, run_task

MOCK = "api:mockllm/model"


def test_a_log_holds_everything_that_a_reply_needs(tmp_path):
    items, prompts, condition = asked(MOCK, k=14, max_tokens=5, seed=2)
    run_task(make_task(items, prompts, condition), mock_model(lambda prompt: " A\n\n"), tmp_path)
    replies = import_logs(tmp_path)
    assert [reply.item for reply in replies] == items
    assert [reply.prompt for reply in replies] == [prompt.text for prompt in prompts]
    assert {reply.reply for reply in replies} == {" A\n\n"}
    first = replies[0]
    assert first.condition == asked(MOCK, k=14, max_tokens=5, seed=2, revision="mock-1")[2]
    assert first.usage == {"input_tokens": 7, "output_tokens": 2}
    assert (first.log_probabilities, first.judge, first.verdict) == (None, None, None)


def test_an_empty_reply_is_kept_as_one(tmp_path):
    run_task(make_task(*asked(MOCK)), mock_model(lambda prompt: ""), tmp_path)
    assert {reply.reply for reply in import_logs(tmp_path)} == {""}


def test_what_the_command_line_changed_counts(tmp_path):
    task = make_task(*asked("", max_tokens=5))
    run_task(task, mock_model(lambda prompt: "A"), tmp_path, temperature=0.0, max_tokens=3)
    condition = import_logs(tmp_path)[0].condition
    assert (condition.model, condition.temperature, condition.max_tokens) == (MOCK, 0.0, 3)


@pytest.mark.parametrize(
    "tops, expected",
    [
        ({"A": -0.5, "B": -2.0, " A": -3.0}, {"A": -0.5, "B": -2.0}),
        ({"A": -0.5, " B": -2.0}, None),  # not like with like
        ({"A": -0.5, "b": -2.0}, None),  # lower case is another token
        ({}, None),
        ({" A": -0.2, " B": -3.0}, {"A": -0.2, "B": -3.0}),
        ({"▁A": -0.2, "▁B": -3.0}, {"A": -0.2, "B": -3.0}),
        ({"A": -3.0, "B": -4.0, " A": -0.2, " B": -2.0}, {"A": -0.2, "B": -2.0}),  # the spelling that has more
        ({"A": -0.5, "B": -9999.0}, None),  # OpenAI's sign for unknown
        ({"A": -0.5, "B": float("-inf")}, None),
    ],
)
def test_log_probabilities_are_those_of_the_letters_in_one_spelling_of_the_first_token(tmp_path, tops, expected):
    top = [TopLogprob(token=token, logprob=value) for token, value in tops.items()]
    given = Logprobs(content=[Logprob(token="A", logprob=-0.5, top_logprobs=top)])
    task = make_task(*asked(MOCK), log_probabilities=True)
    run_task(task, mock_model(lambda prompt: "A", logprobs=given), tmp_path)
    assert import_logs(tmp_path)[0].log_probabilities == expected


def test_a_log_with_failed_samples_names_one_of_them(tmp_path):
    def say(prompt):
        if "“7”" in prompt:
            raise ValueError("out of order")
        return "A"

    log = run_task(make_task(*asked(MOCK)), mock_model(say), tmp_path, fail_on_error=False)
    with pytest.raises(ValueError, match="1 of 10 items lack an answer, such as fresh-./3/uppercase/test/7"):
        import_logs([log.location])


def test_several_epochs_are_samples_of_the_items(tmp_path):
    told: list[str] = []
    model = mock_model(lambda prompt: "AB"[told.count(prompt) % 2], told)
    run_task(make_task(*asked(MOCK, count=2)), model, tmp_path, epochs=2, max_connections=1)
    replies = import_logs(tmp_path)
    assert [(reply.item.row, reply.sample) for reply in replies] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert {reply.condition.samples for reply in replies} == {2}
    assert sorted(str(reply.reply) for reply in replies) == ["A", "A", "B", "B"]


def test_the_system_message_is_read_back(tmp_path):
    said: list[str] = []

    def reply(messages, *_):
        said.extend(message.text for message in messages if message.role == "system")
        output = ModelOutput.from_content("mock-1", "A")
        output.usage = ModelUsage(input_tokens=7, output_tokens=2, total_tokens=9)  # else it is counted by a download
        return output

    model = get_model("mockllm/model", custom_outputs=reply)
    run_task(make_task(*asked(MOCK, count=2, system="Be brief.")), model, tmp_path / "ours")
    run_task(make_task(*asked(MOCK, count=2)), model, tmp_path / "told", system_message="Be long.")
    assert said == ["Be brief."] * 2 + ["Be long."] * 2
    systems = [{reply.condition.system for reply in import_logs(tmp_path / name)} for name in ("ours", "told")]
    assert systems == [{"Be brief."}, {"Be long."}]


def test_a_part_of_the_items_may_have_been_asked(tmp_path):
    run_task(make_task(*asked(MOCK)), mock_model(lambda prompt: "A"), tmp_path, limit=4)
    assert [reply.item.row for reply in import_logs(tmp_path)] == [1, 2, 3, 4]


def test_the_logs_of_several_tasks_are_all_read(tmp_path):
    for k in (0, 4):
        run_task(make_task(*asked(MOCK, k=k)), mock_model(lambda prompt: "A"), tmp_path)
    assert Counter(reply.condition.k for reply in import_logs(tmp_path)) == {0: COUNT, 4: COUNT}


def test_logs_of_other_tasks_are_refused(tmp_path):
    task = Task(dataset=[Sample(id="1", input="hello")])
    evaluate(task, mock_model(lambda prompt: "A"), log_dir=str(tmp_path), display="none", ctl_server=False)
    with pytest.raises(ValueError, match="sample 1 has no item"):
        import_logs(tmp_path)


def test_a_folder_without_logs_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no log of Inspect AI"):
        import_logs(tmp_path)
