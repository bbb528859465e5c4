"""Chains of thought are asked for, and a judge, if there is one, reads each of them once."""

from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.ablations.chain_of_thought import answers_given, cut_share, judge_name, think_aloud
from saelib.htest.asking import unfinished
from saelib.htest.asking.replies import write_replies
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import ask, stored_replies
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from saelib.run.reading import DamagedFileError
from tests.helpers.small_studies import OTHER, Listener, OneByOne, items_of_two_sets, respondent, small_study

ITEMS, TOKENS = 2, 8
ALL = ITEMS * len(TASKS)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(
        tmp_path, monkeypatch, items_of_two_sets(), chain_of_thought_items=ITEMS, chain_of_thought_tokens=TOKENS
    )


def thinker() -> Listener:
    return Listener(lambda item: f"Let me look at row {item.row} of {item.task}. I lean towards A")


def test_the_first_items_of_the_main_table_are_asked_to_think_aloud(study: Study) -> None:
    engine = thinker()
    replies = think_aloud(study, respondent(engine), 4, None)
    assert len(replies) == engine.asked == ALL
    assert {reply.item.item_set for reply in replies} == {OTHER}
    assert {reply.item.row for reply in replies} == {1, 2}
    (condition,) = {reply.condition for reply in replies}
    assert (condition.form, condition.k, condition.max_tokens) == ("chain_of_thought", 4, TOKENS)
    assert all("think out loud step by step" in prompt.text for prompt in engine.prompts)


def test_without_a_judge_the_reply_is_read_itself(study: Study) -> None:
    engine = Listener(lambda item: "First I look at it. The label is B.")
    replies = think_aloud(study, respondent(engine), 4, None)
    assert {(reply.judge, reply.verdict) for reply in replies} == {(None, None)}
    readings = readings_of(replies)
    assert set(readings["strict"]) == {"B"}
    assert set(readings["judge"]) == {""}
    assert judge_name(None) == "parser"


def test_the_judge_sees_the_papers_question_and_its_verdict_counts(study: Study) -> None:
    reader = Listener(lambda item: "B")
    replies = think_aloud(study, respondent(thinker()), 4, respondent(reader, "the judge"))
    assert [prompt.text for prompt in reader.prompts] == [
        f"Assistant: Let me look at row {reply.item.row} of {reply.item.task}. I lean towards A \n\n "
        "What does the Assistant think the sentence belongs to?\nA\nB\nNone (Respond in one word and nothing else)"
        for reply in replies
    ]
    (condition,) = reader.conditions
    assert (condition.form, condition.k, condition.temperature, condition.max_tokens) == ("chat", 0, 0.7, 5)
    assert {(reply.judge, reply.verdict) for reply in replies} == {("the judge", "B")}
    assert all(reply.reply and reply.reply.endswith("towards A") for reply in replies)  # the raw text stays
    readings = readings_of(replies)
    assert set(readings["strict"]) == {"B"}
    assert set(readings["judge"]) == {"the judge"}
    assert judge_name(respondent(reader, "the judge")) == "the judge"


def test_each_item_has_the_verdict_on_its_own_reply(study: Study) -> None:
    reader = Listener(lambda item: f"{item.task} {item.row}")
    replies = think_aloud(study, respondent(thinker()), 4, respondent(reader, "the judge"))
    assert all(reply.verdict == f"{reply.item.task} {reply.item.row}" for reply in replies)


def test_nothing_is_asked_or_judged_twice(study: Study) -> None:
    first, second, reader, later = thinker(), thinker(), Listener(), Listener(lambda item: "B")
    replies = think_aloud(study, respondent(first), 4, respondent(reader, "the judge"))
    assert reader.asked == ALL
    assert think_aloud(study, respondent(second), 4, respondent(later, "the judge")) == replies
    assert second.items == []
    assert later.items == []


def test_another_judge_reads_the_same_replies(study: Study) -> None:
    first, second, one, two = thinker(), thinker(), Listener(), Listener(lambda item: "B")
    think_aloud(study, respondent(first), 4, respondent(one, "one"))
    replies = think_aloud(study, respondent(second), 4, respondent(two, "two"))
    assert second.items == []
    assert two.asked == ALL
    assert {reply.judge for reply in replies} == {"two"}


def test_a_judge_that_breaks_down_costs_no_chain_of_thought(study: Study) -> None:
    first, second, reader = thinker(), thinker(), Listener()
    with pytest.raises(ConnectionError):
        think_aloud(study, respondent(first), 4, respondent(Listener(fails_at=1), "the judge"))
    replies = think_aloud(study, respondent(second), 4, respondent(reader, "the judge"))
    assert second.items == []
    assert len(replies) == reader.asked == ALL


def test_verdicts_of_a_judge_that_is_ended_are_kept(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    ended, rest = OneByOne(ends_at=ALL - 3), OneByOne()
    with pytest.raises(KeyboardInterrupt):
        think_aloud(study, respondent(thinker()), 4, respondent(ended, "the judge"))
    replies = think_aloud(study, respondent(Listener(fails_at=1)), 4, respondent(rest, "the judge"))
    assert len(rest.given) == 3 and {reply.judge for reply in replies} == {"the judge"}
    assert all(str(reply.verdict).startswith(reply.item.label) for reply in replies)
    assert not list(study.replies_folder.rglob(f"*{unfinished.ENDING}"))


def test_what_a_judge_left_goes_with_the_next_call_and_does_not_win_over_what_is_stored(study: Study) -> None:
    judge = respondent(Listener(lambda item: "B"), "the judge")
    replies = think_aloud(study, respondent(thinker()), 4, judge)
    (whole,) = study.replies_folder.rglob("judged-*.jsonl")
    left = whole.with_name(whole.name + unfinished.ENDING)
    write_replies(left, [replace(reply, verdict="A") for reply in replies])
    nobody = respondent(Listener(fails_at=1), "the judge")
    assert think_aloud(study, respondent(thinker()), 4, nobody) == replies
    assert not left.exists()


def test_thoughts_that_the_limit_ended_are_counted(study: Study) -> None:
    replies = think_aloud(study, respondent(thinker()), 4, None)
    assert cut_share(replies) == 0
    long, longer = (replace(replies[0], usage={"output_tokens": TOKENS + more}) for more in (0, 1))
    unlimited = replace(long, condition=replace(long.condition, max_tokens=None))
    silent = replace(long, usage={})
    assert cut_share([long, longer, unlimited, silent, replies[0]]) == 2 / 5


def test_who_answers_is_told_by_form_and_judge(study: Study) -> None:
    says = Listener(lambda item: "The label is A." if item.row == 1 else "I cannot tell.")
    thoughts = think_aloud(study, respondent(says), 4, None)
    judged = think_aloud(study, respondent(says), 4, respondent(Listener(lambda item: item.label), "the judge"))
    plain = ask(study, respondent(Listener(lambda item: "B")), 4, item_sets=[OTHER], form="chat", limit=ITEMS)
    accuracies = accuracies_of(readings_of(thoughts + judged + plain))
    right = sum(reply.item.label == "A" for reply in thoughts if reply.item.row == 1) / len(TASKS)
    given = answers_given(accuracies, "")
    assert (given["no_answer"], given["no_answer_in_chat"]) == (0.5, 0)
    assert given["right_of_answered"] == {"chain_of_thought": right, "chat": 0.5}
    given = answers_given(accuracies, "the judge")
    assert given["no_answer"] == 0 and given["right_of_answered"]["chain_of_thought"] == 1
    silent = readings_of(think_aloud(study, respondent(Listener(lambda item: "?"), "silent"), 4, None) + plain)
    assert answers_given(accuracies_of(silent), "")["right_of_answered"] == {"chain_of_thought": None, "chat": 0.5}


def test_judged_and_unjudged_replies_are_scored_side_by_side(study: Study) -> None:
    think_aloud(study, respondent(Listener(lambda item: "The label is A.")), 4, respondent(Listener(lambda i: "B")))
    assert len(stored_replies(study)) == 2 * ALL
    table = score_study(study)
    strict = table[table["reader"] == "strict"]
    assert strict.groupby("judge")["share_a"].agg(["min", "max"]).loc[["", "listener"]].values.tolist() == [
        [1, 1],
        [0, 0],
    ]


def test_a_judge_behind_an_api_must_be_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, chain_of_thought_items=ITEMS, api_requests=ALL - 1)
    reader = Listener()
    with pytest.raises(PermissionError, match=f"api:judge: {ALL} requests are needed and {ALL - 1} of api_requests"):
        think_aloud(study, respondent(thinker()), 4, respondent(reader, "api:judge"))
    assert reader.items == []


def test_a_chain_of_thought_that_is_another_now_is_judged_anew_and_no_other(study: Study) -> None:
    first, later = Listener(), Listener(lambda item: "B")
    replies = think_aloud(study, respondent(thinker()), 4, respondent(first, "the judge"))
    (study.replies_folder / replies[0].condition.name() / f"{OTHER}-rhyme.jsonl").unlink()  # so that it is asked again
    again = think_aloud(study, respondent(Listener(lambda item: "Other")), 4, respondent(later, "the judge"))
    assert [item.task for items in later.items for item in items] == ["rhyme"] * ITEMS
    assert {reply.reply for reply in again if reply.verdict == "B"} == {"Other"}
    assert [reply for reply in again if reply.item.task != "rhyme"] == [
        reply for reply in replies if reply.item.task != "rhyme"
    ]


def test_more_items_are_judged_and_the_others_keep_their_verdicts(tmp_path: Path, study: Study) -> None:
    first, later, thoughts = Listener(), Listener(lambda item: "B"), thinker()
    replies = think_aloud(study, respondent(thinker()), 4, respondent(first, "the judge"))
    more = Study(study.config.replace(chain_of_thought_items=ITEMS + 2))
    grown = think_aloud(more, respondent(thoughts), 4, respondent(later, "the judge"))
    assert thoughts.asked == later.asked == 2 * len(TASKS)
    assert len(grown) == 2 * ALL
    assert [reply for reply in grown if reply.item.row <= ITEMS] == replies
    assert {reply.verdict for reply in grown if reply.item.row > ITEMS} == {"B"}
    fewer = think_aloud(study, respondent(Listener()), 4, respondent(Listener(), "the judge"))
    assert fewer == replies  # and the others stay where they are
    assert think_aloud(more, respondent(Listener()), 4, respondent(Listener(), "the judge")) == grown


def test_only_what_is_not_judged_yet_must_be_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, chain_of_thought_items=ITEMS, api_requests=2 * ALL)
    paid = {name: respondent(Listener(), f"api:{name}") for name in ("thinker", "judge", "other")}
    think_aloud(study, paid["thinker"], 4, paid["judge"])
    grown = study.config.replace(chain_of_thought_items=ITEMS + 2)
    with pytest.raises(PermissionError, match=f"{2 * ALL} requests are needed"):
        think_aloud(Study(grown.replace(api_requests=2 * ALL - 1)), paid["thinker"], 4, paid["judge"])
    think_aloud(Study(grown.replace(api_requests=9 * ALL)), paid["thinker"], 4, paid["judge"])
    with pytest.raises(PermissionError, match=f"{2 * ALL} requests are needed"):  # verdicts alone
        think_aloud(Study(grown.replace(api_requests=2 * ALL - 1)), paid["thinker"], 4, paid["other"])


def test_thoughts_that_do_not_end_are_none_and_no_judge_is_asked(study: Study) -> None:
    say = {1: "<think>It looks like A", 2: "<think>Or A?</think>The label is B"}
    thinking, reader = Listener(lambda item: say[item.row]), Listener(lambda item: "A")
    replies = think_aloud(study, respondent(thinking), 4, respondent(reader, "the judge"))
    assert [prompt.text.split(" \n")[0] for prompt in reader.prompts] == ["Assistant: The label is B"] * len(TASKS)
    assert {(reply.item.row, reply.problem, reply.verdict) for reply in replies} == {
        (1, "unclosed thoughts", None), (2, None, "A")
    }  # fmt: skip
    assert think_aloud(study, respondent(thinking), 4, respondent(reader, "the judge")) == replies
    assert reader.asked == len(TASKS)
    judged = [reply for reply in stored_replies(study) if reply.judge == "the judge"]
    readings = readings_of(judged)
    assert readings["replied"].all() and len(readings) == ALL, "they are in what is kept, too"
    assert set(readings["strict"].dropna()) == {"A"} and readings["strict"].isna().sum() == len(TASKS)


def verdicts_of(study: Study) -> Path:
    (path,) = study.replies_folder.glob("*/judged-by-*.jsonl")
    return path


def test_damaged_verdicts_of_a_judge_on_this_machine_are_asked_for_again(study: Study) -> None:
    replies = think_aloud(study, respondent(thinker()), 4, respondent(Listener(), "the judge"))
    path = verdicts_of(study)
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    later = Listener()
    with pytest.warns(UserWarning, match=r"judged-by-.*put aside as"):
        assert think_aloud(study, respondent(thinker()), 4, respondent(later, "the judge")) == replies
    assert later.asked == ALL and path.read_bytes() == content


def test_damaged_verdicts_that_were_paid_for_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, chain_of_thought_items=ITEMS, api_requests=1000)
    think_aloud(study, respondent(thinker()), 4, respondent(Listener(), "api:judge"))
    path = verdicts_of(study)
    path.write_bytes(spoilt := path.read_bytes()[:-30])
    later = Listener()
    with pytest.raises(DamagedFileError, match="judged-by-.*put the file back"):
        think_aloud(study, respondent(thinker()), 4, respondent(later, "api:judge"))
    assert later.items == [] and path.read_bytes() == spoilt


def test_verdicts_on_another_models_thoughts_are_refused(study: Study) -> None:
    for name in ("one", "two"):
        think_aloud(study, respondent(thinker(), name), 4, respondent(Listener(), "the judge"))
    one, two = sorted(study.replies_folder.glob("*/judged-by-*.jsonl"))
    contents = one.read_bytes(), two.read_bytes()
    one.write_bytes(contents[1]), two.write_bytes(contents[0])
    for call in (
        lambda: score_study(study),
        lambda: think_aloud(study, respondent(thinker(), "one"), 4, respondent(Listener(), "the judge")),
    ):
        with pytest.raises(ValueError, match="line 1: a reply of .* belongs into"):
            call()


def test_a_judge_on_this_machine_judges_one_condition_by_one_library(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = think_aloud(study, respondent(thinker()), 4, respondent(Listener(), "the judge"))
    (study.replies_folder / replies[0].condition.name() / f"{OTHER}-rhyme.jsonl").unlink()
    think_aloud(study, respondent(thinker()), 4, None)
    monkeypatch.setattr("saelib.htest.respondents.code_digest", lambda *rooms: "f" * 64)
    assert think_aloud(study, respondent(thinker()), 4, respondent(Listener(), "the judge")) == replies
    more = Study(study.config.replace(chain_of_thought_items=ITEMS + 2))
    with pytest.raises(FileExistsError, match="another version of the library"):
        think_aloud(more, respondent(thinker()), 4, respondent(Listener(), "the judge"))
