from pathlib import Path

import pytest

from medqa.adapters import Adapter
from medqa.datasets.rows import Loaded, Skipped
from medqa.estimate import Estimate, Preview, Rendered
from medqa.question import Answer, Explanation, Question
from medqa.runs import Progress, Run
from medqa.spec import RunSpec
from medqa.ui import run_views, views
from tests.ui.tree import Tree

HOSTILE = "<script>alert(\"1\")</script>&lt;b&gt;</p></div><img src=x onerror='alert(2)'>"
COUNTED = {"before": {"correct": 27, "total": 100}, "after": {"correct": 97, "total": 100}}


def answered(*log_probabilities, key=None, stem="Which?", options=None):
    options = options or tuple(f"option {i}" for i in range(len(log_probabilities)))
    return Answer(Question(stem, options, key), log_probabilities, "medqa-nano")


def adapter(**card):
    return Adapter("quick-1", Path("/runs/quick-1/adapter"), "medqa-nano", card)


def step(number, total_seconds=12.0):
    return {"step": number, "seconds": total_seconds, "loss": 1.23456, "tokens_per_second": 4100, "memory": 3 * 2**30}


PREPARED = {
    "event": "prepared",
    "time": 0.0,
    "from_step": 0,
    "total_steps": 40,
    "rows": 1200,
    "left_out": {"no key": 3, "duplicate options": 1},
    "too_long": 2,
    "cut": 5,
    "held_out": 100,
    "held_out_split": "test",
    "parameters": 6_000_000,
    "trainable": 120_000,
    "micro_batch": 16,
    "device": "CPU · 2 cores · float32",
    "device_reason": "no ROCm or CUDA device found",
}


def run_named(name, folder=Path("/runs")):
    return Run(folder / name)


@pytest.fixture
def run(tmp_path):
    found = run_named("quick-1", tmp_path)
    found.folder.mkdir()
    found.write_spec(RunSpec(name="quick-1", rows=2000))
    return found


# Whatever people and models write stays text


def hostile_views():
    answer = answered(-1.0, -2.0, key=1, stem=HOSTILE, options=(HOSTILE, f"{HOSTILE} 2"))
    theirs = Adapter(HOSTILE, Path(), HOSTILE, {"dataset": HOSTILE, "scores": {HOSTILE: COUNTED}})
    told = [
        {"event": "failed", "time": 0.0, "reason": HOSTILE},
        {"event": "note", "time": 0.0, "message": HOSTILE},
        {"event": HOSTILE, "time": 0.0},
        {"event": "done", "time": 0.0, "step": 3, "scores": {HOSTILE: COUNTED}},
        {**PREPARED, "left_out": {HOSTILE: 1}, "device": HOSTILE, "device_reason": HOSTILE, "held_out_split": HOSTILE},
    ]
    made = Estimate(10, 2, 100, 2**30, 60.0, HOSTILE)
    example = Rendered(HOSTILE, HOSTILE, tokens=9, masked=4)
    upload = Loaded((answer.question,), (Skipped(HOSTILE, HOSTILE, HOSTILE),))
    return {
        "header": views.header(HOSTILE),
        "error": views.error(HOSTILE),
        "note": views.note(HOSTILE),
        "who": views.answer_card(answer, HOSTILE, None),
        "doubts": views.answer_card(answer, "it.", None, doubts=[HOSTILE]),
        "answer card": views.answer_card(answer, views.about_adapter(theirs, HOSTILE), Explanation(HOSTILE, cut=True)),
        "run's name": run_views.run_panel(Run(Path(HOSTILE.replace("/", ""))), Progress("running")),
        "failure": run_views.run_panel(run_named("a"), Progress("failed", reason=HOSTILE)),
        "scores": run_views.run_panel(run_named("a"), Progress("done", scores={HOSTILE: COUNTED})),
        "splits": views.splits_explained({HOSTILE: HOSTILE}),
        "log": run_views.log(told),
        "preview": views.preview(
            Preview((example,), made, Loaded((), (Skipped(HOSTILE, HOSTILE, HOSTILE),)), 200, 1, 1)
        ),
        "upload": views.upload_summary(HOSTILE, upload, upload),
    }


@pytest.mark.parametrize(("view", "html"), hostile_views().items(), ids=hostile_views())
def test_hostile_text_is_shown_as_text_and_leaves_the_page_whole(view, html):
    tree = Tree(html)
    assert not {"script", "img", "b"} & set(tree.tags)
    assert "onerror" not in dict(tree.attributes)
    assert "alert(" in tree.text
    assert "&lt;b&gt;" in tree.text


def test_a_run_table_shows_hostile_settings_as_text(tmp_path):
    run = run_named("quick-1", tmp_path)
    run.folder.mkdir()
    run.write_spec(RunSpec(name="quick-1", base_model=HOSTILE, dataset=HOSTILE, target_modules=(HOSTILE,)))
    tree = Tree(run_views.runs_table([(run, Progress("done"))]))
    assert "script" not in tree.tags
    assert tree.text.count("alert(2)") == 3


# Answers


def test_the_card_quotes_how_a_long_question_begins():
    stem = f"{'A man has had a fever for days. ' * 9}Why?"
    text = Tree(views.answer_card(answered(0.0, -1.1, stem=stem), "it.", None)).text
    assert f"“{stem[:60]}" in text
    assert stem[:200] not in text


def test_the_card_shows_the_choice_its_share_and_who_answered():
    text = Tree(views.answer_card(answered(0.0, -1.1, options=("Iron", "Zinc")), "medqa-nano alone.", None)).text
    assert text.startswith("“Which?”A) Iron")
    assert "75 %" in text and "25 %" in text
    assert "Answered by medqa-nano alone. " in text


def test_doubts_stand_between_the_choice_and_the_probabilities():
    text = Tree(views.answer_card(answered(0.0, -1.1), "it.", None, doubts=["It guesses.", "It is unsure."])).text
    choice, first, second, bars = (text.index(part) for part in ("A) option 0", "It guesses.", "It is unsure.", "75 %"))
    assert choice < first < second < bars
    assert "guesses" not in Tree(views.answer_card(answered(0.0, -1.1), "it.", None)).text


def test_how_often_it_was_right_when_this_sure_stands_under_the_probabilities():
    html = views.answer_card(answered(0.0, -1.1), "it.", Explanation("Because."), record="Right 11 of <19> times.")
    bars, record, explanation = (html.index(part) for part in ("25 %", "Right 11 of &lt;19&gt; times.", "Because."))
    assert bars < record < explanation


def test_a_card_that_is_not_sure_names_no_option_and_folds_the_explanation():
    unsure = answered(0.0, -0.1, key=0, options=("Iron", "Zinc"))
    html = views.answer_card(unsure, "it.", Explanation("Because."), sure=False)
    text = Tree(html).text
    assert text.startswith("“Which?”Not sure") and "none is named" in text
    assert "52 %" in text and "48 %" in text and "✓ key" in text
    assert "chosen" not in html and "agrees with the key" not in text
    assert html.index("<details") < html.index("Because.") < html.index("</details>")


def test_exactly_the_chosen_option_is_marked():
    html = views.answer_card(answered(-3.0, -1.0, -2.0), "it.", None)
    assert html.count('class="mq-option chosen"') == 1
    assert html.index("mq-option chosen") > html.index("A) option 0</span>")


@pytest.mark.parametrize(("key", "verdict"), [(0, "✓ agrees with the key"), (1, "✗ the key is B")])
def test_with_a_key_the_card_says_whether_the_choice_agrees_and_marks_the_key(key, verdict):
    text = Tree(views.answer_card(answered(-1.0, -2.0, key=key), "it.", None)).text
    assert verdict in text
    assert f"option {key} ✓ key" in text
    assert text.count("✓ key") == 1


def test_without_a_key_the_card_judges_nothing():
    html = views.answer_card(answered(-1.0, -2.0), "it.", None)
    assert not any(word in html for word in ("mq-verdict", "✓", "✗"))


@pytest.mark.parametrize(
    ("explanation", "shown", "not_shown"),
    [
        (None, "", "Explanation"),
        (Explanation(""), "Explanation, written by the model", "wrote no explanation"),
        (Explanation("", ended=True), "The model wrote no explanation.", "check it"),
        (Explanation("Iron is\nlow.", ended=True), "Iron is\nlow.", "cut at"),
        (Explanation("Iron is", cut=True), "The explanation was cut at the length limit.", "wrote no"),
    ],
    ids=["none yet", "begun", "empty", "whole", "cut"],
)
def test_the_card_says_how_the_explanation_came_to_its_end(explanation, shown, not_shown):
    text = Tree(views.answer_card(answered(-1.0, -2.0), "it.", explanation)).text
    assert shown in text
    assert not_shown not in text


def test_an_explanation_comes_with_the_warning_that_fluent_text_is_no_evidence():
    html = views.answer_card(answered(-1.0, -2.0), "it.", Explanation("Because."))
    assert html.index("Fluent text is no evidence") < html.index("Because.")


def test_every_card_and_the_header_say_that_this_is_not_medical_advice():
    assert views.NOT_ADVICE in views.answer_card(answered(-1.0, -2.0), "it.", None)
    assert views.NOT_ADVICE in views.header("CPU")


def test_a_percentage_is_never_none_and_never_all():
    texts = {views.percent_text(thousandths / 1000) for thousandths in range(1001)}
    assert not {"0 %", "100 %"} & texts
    assert {"< 1 %", "1 %", "50 %", "99 %", "> 99 %"} <= texts


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "< 1 %"), (0.0099, "< 1 %"), (0.01, "1 %"), (0.994, "99 %"), (0.995, "> 99 %"), (1.0, "> 99 %")],
)
def test_a_percentage_near_its_ends_says_on_which_side_it_is(share, text):
    assert views.percent_text(share) == text


# Adapters


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        (
            None,
            "medqa-nano alone, without an adapter. How often it is right is measured once in each run, after its first "
            "steps.",
        ),
        (
            adapter(dataset="handbook", scores={"test": COUNTED}),
            "medqa-nano with the adapter quick-1, trained on handbook: right on 97 of 100 held-out questions "
            "(the base model alone: 27 of 100).",
        ),
        (
            adapter(dataset="handbook", scores={"test": {"after": COUNTED["after"]}}),
            "medqa-nano with the adapter quick-1, trained on handbook: right on 97 of 100 held-out questions.",
        ),
        (
            adapter(dataset="handbook", scores={"test": {"after": COUNTED["after"]}}, spec={"evaluations": 3}),
            "medqa-nano with the adapter quick-1, trained on handbook: right on 97 of 100 held-out questions, by which "
            "its best step was chosen.",
        ),
        (
            adapter(),
            "medqa-nano with the adapter quick-1, trained on not recorded. No record of how often it is right.",
        ),
        (
            adapter(dataset="handbook", scores={}),
            "medqa-nano with the adapter quick-1, trained on handbook. No record of how often it is right.",
        ),
    ],
    ids=["none", "measured", "only after", "best of several", "made elsewhere", "not measured"],
)
def test_who_answers_is_told_with_how_often_it_is_right(chosen, sentence):
    assert views.about_adapter(chosen, "medqa-nano") == sentence


# Runs


@pytest.mark.parametrize(("status", "word"), run_views.STATUS_WORDS.items())
def test_every_status_has_its_word_in_the_panel_and_in_the_table(run, status, word):
    assert f"quick-1 · {word}" in Tree(run_views.run_panel(run, Progress(status))).text
    assert word in Tree(run_views.runs_table([(run, Progress(status))])).text


def test_a_run_that_loads_or_measures_says_so_before_its_first_step():
    assert "loading the model and the data" in run_views.run_panel(run_named("a"), Progress("running"))
    measuring = run_views.run_panel(run_named("a"), Progress("running", prepared=PREPARED))
    assert "taking the first step" in measuring
    assert "loading" not in measuring


def test_a_running_run_shows_its_step_its_figures_and_the_time_left():
    seen = Progress("running", total_steps=40, steps=[step(9, 11.0), step(10, 12.0)], prepared=PREPARED)
    html = run_views.run_panel(run_named("a"), seen)
    text = Tree(html).text
    for fact in ("step 10 of 40", "0:30 left", "loss 1.235", "4,100 tokens/s", "3.0 GB memory", "0:12 trained"):
        assert fact in text
    assert 'aria-valuenow="25"' in html
    assert "measuring" not in text


def test_a_failed_run_shows_what_happened_and_what_to_do():
    reason = "The disk is full. Free some space, then resume."
    tree = Tree(run_views.run_panel(run_named("a"), Progress("failed", reason=reason)))
    assert reason in tree.text
    assert "role" in dict(tree.attributes)


@pytest.mark.parametrize(
    ("resumable", "way_on"), [(True, "Resume goes on from its last checkpoint."), (False, "start it again")]
)
def test_an_interrupted_run_shows_what_to_do(resumable, way_on):
    text = Tree(run_views.run_panel(run_named("a"), Progress("interrupted", resumable=resumable))).text
    assert "ended without a word" in text
    assert way_on in text


def test_a_run_that_was_told_to_stop_may_have_been_stopped_at_once():
    text = Tree(run_views.run_panel(run_named("a"), Progress("interrupted", resumable=True), told_to_stop=True)).text
    assert "ended before it had stopped by itself (Stop at once, killed" in text


def test_a_finished_run_shows_its_scores_with_their_interval():
    tree = Tree(run_views.run_panel(run_named("a"), Progress("done", scores={"test": COUNTED, "half": {}})))
    for fact in ("test", "27 %", "97 %", "97 of 100, 95 % interval 92 to 99 %"):
        assert fact in tree.text
    assert tree.tags.count("tr") == 2
    assert "half" not in tree.text


@pytest.mark.parametrize("scores", [{}, {"test": {}}, {"test": {"after": COUNTED["after"]}}])
def test_a_run_without_scores_before_and_after_shows_no_table_of_them(scores):
    assert "table" not in Tree(run_views.run_panel(run_named("a"), Progress("stopped", scores=scores))).tags


def test_no_runs_are_said_to_be_none():
    assert "No runs yet." in run_views.runs_table([])


def test_a_row_of_the_table_tells_settings_and_what_they_changed(run):
    evaluations = [{"step": 0, "correct": 27, "total": 100}, {"step": 40, "correct": 97, "total": 100}]
    seen = Progress("done", steps=[step(40)], evaluations=evaluations)
    text = Tree(run_views.runs_table([(run, seen)])).text
    for fact in ("2,000 rows", "rank 8 on q_proj, v_proj", "learning rate 0.0002", "27 % → 97 % of 100", "40 steps"):
        assert fact in text


@pytest.mark.parametrize(
    ("evaluations", "accuracy"),
    [
        ([], "not measured"),
        ([{"step": 0, "correct": 0, "total": 0}], "not measured"),
        ([{"step": 0, "correct": 27, "total": 100}], "27 % of 100"),
        ([{"step": 5, "correct": 27, "total": 100}, {"step": 9, "correct": 30, "total": 100}], "30 % of 100"),
    ],
    ids=["nothing", "no questions", "only before", "no measure before"],
)
def test_the_table_shows_only_the_accuracy_that_was_measured(run, evaluations, accuracy):
    assert run_views.runs_table([(run, Progress("done", evaluations=evaluations))]).endswith(
        f">{accuracy}</td></tr></tbody></table></div>"
    )


def test_the_log_has_a_line_for_each_event_with_its_time_the_newest_first():
    told = [{"event": "started", "time": -1.0}, PREPARED, {"event": "saved", "time": 9.0, "step": 8}]
    lines = Tree(run_views.log(told)).text.split("\n")
    assert len(lines) == 3
    assert all(line[2] == line[5] == ":" for line in lines)
    assert "4 rows left out (3 no key, 1 duplicate options), 2 too long, 5 explanations cut." in lines[1]
    assert "no ROCm or CUDA device found" in lines[1]
    assert lines[0].endswith("Checkpoint at step 8.")
    assert lines[2].endswith("The training process has started.")


def test_the_log_says_where_a_resumed_run_goes_on():
    assert "Going on after step 8." in run_views.log([{**PREPARED, "from_step": 8}])
    assert "share the base" not in run_views.log([PREPARED])
    assert "The devices share the base&#x27;s weights." in run_views.log([{**PREPARED, "base_weights": "shared"}])
    assert "Going on" not in run_views.log([PREPARED])


def test_the_log_tells_the_base_models_measure_from_the_adapters():
    evaluated = {"event": "evaluated", "time": 0.0, "correct": 27, "total": 100, "loss": 2.0}
    log = run_views.log([{**evaluated, "step": 0}, {**evaluated, "step": 5, "time": 9.0}])
    after, before = Tree(log).text.split("\n")
    assert before.endswith("27 of 100 held-out questions right, loss 2.000 (the base model alone).")
    assert after.endswith("27 of 100 held-out questions right, loss 2.000.")


# Before a run


def previewed(seconds=None, measured_by=None, examples=(), left_out=(), cut=0, too_long=0, devices=1, shared=False):
    estimate = Estimate(1200, 75, 90_000, 2**30, seconds, measured_by, devices, shared)
    return Tree(views.preview(Preview(examples, estimate, Loaded((), left_out), 200, cut, too_long))).text


def test_an_estimate_names_the_run_whose_pace_it_goes_by_or_admits_to_have_none():
    known = previewed(65.0, "quick-1")
    assert "1,200 examples, 75 steps, about 90,000 tokens, about 1.0 GB memory" in known
    assert "about 1:05 by the pace of quick-1" in known
    assert "not yet measured on this device" in previewed()


def test_an_estimate_for_several_devices_gives_the_memory_of_each():
    said = previewed(devices=8)
    assert "about 1.0 GB memory on each device; time not yet measured on 8 devices" in said
    assert "memory on each device, the base's weights shared out;" in previewed(devices=8, shared=True)


def test_a_preview_says_what_is_left_out_and_what_is_cut():
    left_out = (
        Skipped("mine:1", "no key", "Why"),
        Skipped("mine:4", "empty option", "How"),
        Skipped("mine:7", "no key", ""),
    )
    text = previewed(left_out=left_out, cut=7, too_long=1)
    assert "3 rows are left out (2 no key, 1 empty option)" in text
    assert "mine:4: empty option: How" in text
    assert "7 of 200 sampled explanations" in text
    assert "1 of 200 sampled questions" in text
    assert not any(word in previewed() for word in ("left out", "explanations", "questions"))


def test_a_previewed_example_shows_what_is_learned_apart_from_what_is_not():
    made = Preview(
        (Rendered("Question", "Answer: A)", 20, 15),), Estimate(1, 1, 20, 1, None, None), Loaded(()), 1, 0, 0
    )
    html = views.preview(made)
    assert '<span class="masked">Question</span><span class="learned">Answer: A)</span>' in html
    assert "20 tokens: 15 masked (dimmed), 5 learned (marked)." in Tree(html).text


def test_an_upload_is_summed_up_with_each_row_left_out_and_its_reason():
    questions = (Question("Which?", ("a", "b"), 0),)
    text = Tree(
        views.upload_summary("mine.csv", Loaded(questions), Loaded((), (Skipped("mine:2", "no key", "Why"),)))
    ).text
    assert "mine.csv: 1 questions to train on, 0 held out." in text
    assert "1 row is left out (1 no key)" in text
    assert "mine:2: no key: Why" in text
    assert "none left out" in views.upload_summary("mine.csv", Loaded(questions), Loaded(questions))


def test_of_many_rows_left_out_the_first_hundred_are_shown_and_the_others_counted():
    skipped = tuple(Skipped(f"mine:{i}", "no key", "") for i in range(130))
    tree = Tree(views.upload_summary("mine.csv", Loaded((), skipped[:60]), Loaded((), skipped[60:])))
    assert tree.tags.count("li") == 100
    assert "and 30 more" in tree.text


def test_no_error_is_no_box():
    assert views.error("") == ""
    assert "Too long." in Tree(views.error("Too long.")).text


def test_an_explanation_of_something_else_is_told_when_it_is_whole():
    answer = answered(-0.1, -2.0, options=("Iron", "Zinc"))
    growing, whole, right = (
        Tree(views.answer_card(answer, "it.", explanation)).text
        for explanation in (
            Explanation("Copper is"),
            Explanation("Copper is a metal.", ended=True),
            Explanation("Iron is a metal.", ended=True),
        )
    )
    assert "nowhere says “Iron”" in whole
    assert "nowhere says" not in growing + right
