import io
import json
import shutil
import sys
from pathlib import Path

import pytest

from medqa import probe_command
from medqa.commands import main
from medqa.probe_command import plain
from medqa.question import Answer, Question

ASKED = """A 27-year-old woman took heparin for 7 days. She has a rash. Which drug was it?
A) warfarin
B) heparin
C) aspirin
Answer: B
"""


@pytest.fixture
def settings(monkeypatch, tiny_base, finished_run, tmp_path):
    """Two adapters to choose from, both by the same run."""
    for name in ("tiny-1", "tiny-2"):
        shutil.copytree(finished_run.folder, tmp_path / "runs" / name)
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")
    monkeypatch.setenv("MEDQA_BASE_MODEL", tiny_base)
    monkeypatch.setenv("MEDQA_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MEDQA_MAX_EXPLANATION_TOKENS", "8")


@pytest.fixture
def probe(settings, capsys, monkeypatch):
    """probe(*arguments): exit code, standard output and standard error of `python -m medqa probe`, in this process."""

    def call(*arguments, asked=ASKED):
        monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
        capsys.readouterr()
        code = main(["probe", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


EVERY = {
    ("order",): {"orders", "probabilities", "survived", "averaged", "by_position"},
    ("findings",): {"left_out", "influences"},
    ("what-if", "--years", "10"): {"before", "after", "changed"},
    ("why-not",): {"option", "margin", "pulls", "defences"},
    ("explanation",): {"without", "whole", "half", "defence"},
    ("neighbours",): {"rows", "found"},
    ("compare",): {"names", "answers", "changes"},
}


@pytest.mark.model
@pytest.mark.parametrize("arguments", EVERY, ids=lambda arguments: arguments[0])
def test_every_probe_says_as_text_the_sentences_it_gives_as_json(probe, arguments, tiny_base):
    code, out, error = probe(*arguments, "--adapter", "tiny-1")
    assert (code, error) == (0, "")
    assert out.endswith(f"By {tiny_base} with tiny-1. Not medical advice.\n")
    code, as_json, error = probe(*arguments, "--adapter", "tiny-1", "--json")
    found = json.loads(as_json)
    assert (code, error) == (0, "")
    assert found["sentences"]
    assert out.startswith("\n".join(found["sentences"]))
    assert (found["probe"], found["adapter"], found["base"]) == (arguments[0], "tiny-1", tiny_base)
    assert EVERY[arguments] <= found.keys()


@pytest.mark.model
def test_the_texts_that_a_sentence_speaks_of_are_printed_under_it(probe):
    def both(name):
        found = json.loads(probe(name, "--adapter", "tiny-1", "--json")[1])
        return found, probe(name, "--adapter", "tiny-1")[1]

    found, out = both("neighbours")
    assert found["found"]
    for neighbour in found["found"]:
        row = neighbour["row"]
        assert row["stem"] in out and (row["explanation"] or "without an explanation") in out
    found, out = both("explanation")
    assert f"Its first half:\n{found['half']['text'] or 'Nothing.'}" in out or not found["whole"]["text"]


def test_findings_are_ranked_with_their_figures_and_what_leaving_them_out_changes():
    (ranking,) = probe_command._ranking(("fever", "rash", "cough"), (-0.5, 2.0, 0.1), "towards B", "away from B")
    assert ranking == (
        "Influence on the score, in log-odds:\n  +2.00  towards B: rash\n  −0.50  away from B: fever\n"
        "Hardly any influence (below 0.2): 1 of 3."
    )
    assert probe_command._ranking(("fever",), (0.1,), "towards B", "away from B") == ()


@pytest.mark.model
def test_of_the_question_as_asked_every_probe_has_the_very_figures_that_ask_gives(probe, capsys, monkeypatch):
    from medqa.engine import Engine

    in_a_batch = Engine.score_many

    def rounded_otherwise(*arguments, **named):
        for i, scores in in_a_batch(*arguments, **named):
            yield i, (scores[0] + 0.1, *scores[1:])

    monkeypatch.setattr(Engine, "score_many", rounded_otherwise)
    monkeypatch.setattr(sys, "stdin", io.StringIO(ASKED))
    assert main(["ask", "--json"]) == 0
    asked = list(json.loads(capsys.readouterr().out)["probabilities"].values())
    assert json.loads(probe("order", "--json")[1])["probabilities"][0] == asked
    assert json.loads(probe("findings", "--json")[1])["whole"]["probabilities"] == asked
    assert json.loads(probe("why-not", "--json")[1])["findings"]["whole"]["probabilities"] == asked
    assert json.loads(probe("explanation", "--json")[1])["without"]["probabilities"] == asked


@pytest.mark.model
def test_more_orders_are_tried_on_demand(probe):
    assert len(json.loads(probe("order", "--json")[1])["orders"]) == 3
    assert len(json.loads(probe("order", "--many", "--json")[1])["orders"]) == 6


@pytest.mark.model
def test_an_edit_is_told_with_the_text_that_was_asked_then(probe, tmp_path):
    _, out, _ = probe("what-if", "--years", "-7")
    assert "A 20-year-old woman took heparin for 7 days." in out
    after = json.loads(probe("what-if", "--other-sex", "--json")[1])["after"]
    assert after["question"]["stem"].startswith("A 27-year-old man took heparin")
    by_hand = tmp_path / "edited.txt"
    by_hand.write_text(ASKED.replace("heparin for", "aspirin for"))
    after = json.loads(probe("what-if", "--edited", str(by_hand), "--json")[1])["after"]
    assert "took aspirin for 7 days" in after["question"]["stem"]


@pytest.mark.model
def test_any_option_can_be_asked_about_and_is_defended(probe):
    chosen = json.loads(probe("why-not", "--json")[1])["findings"]["chosen"]
    for option in {0, 1, 2} - {chosen}:
        code, out, _ = probe("why-not", "--option", "abc"[option])
        assert code == 0
        assert out.startswith(("A) warfarin", "B) heparin", "C) aspirin")[option])
        assert out.count("Made to defend ") == 3


@pytest.mark.model
def test_two_adapters_or_adapter_and_base_are_compared(probe, tiny_base):
    told = json.loads(probe("compare", "--adapter", "tiny-1", "--json")[1])["names"]
    assert told == ["tiny-1", f"{Path(tiny_base).name} alone"]
    _, out, _ = probe("compare", "--adapter", "tiny-1", "--other", "tiny-2", "--explain")
    assert "No option's probability differs" in out  # the two hold the same weights
    assert "tiny-1 explains:\n" in out and "tiny-2 explains:\n" in out


@pytest.mark.model
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("order", "--adapter", "nobody-1"), "There is no adapter “nobody-1”."),
        (("compare", "--adapter", "tiny-1", "--other", "tiny-1"), "“tiny-1” is on both sides."),
        (("compare",), "“base” is on both sides."),
        (("why-not", "--option", "D"), "There is no option D; the question has A to C."),
        (("why-not", "--option", "AB"), "There is no option AB"),
        (("what-if", "--edited", "/no/such.txt"), "/no/such.txt can't be read: No such file or directory."),
        (("what-if", "--negate", "fever"), "fever"),
        (("what-if", "--to-generic"), "brand name"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_two(probe, arguments, sentence):
    code, out, error = probe(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("medqa: ") and error.count("\n") == 1
    assert sentence in error


@pytest.mark.model
def test_a_question_that_cannot_be_read_or_is_too_long_is_told(probe, monkeypatch):
    assert probe("order", asked="Is this a question?")[0] == 2
    monkeypatch.setenv("MEDQA_MAX_QUESTION_TOKENS", "30")
    code, _, error = probe("order")
    assert code == 2
    assert "the limit is 30" in error


def test_a_probe_without_a_name_or_with_an_unknown_one_is_refused_with_those_there_are(capsys):
    for arguments in (["probe"], ["probe", "colour"], ["probe", "what-if"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    said = capsys.readouterr().err
    for name in ("order", "findings", "what-if", "why-not", "explanation", "neighbours", "compare"):
        assert name in said


def test_a_result_becomes_json_with_what_it_derives():
    answer = Answer(Question("Which?", ("Iron", "Zinc"), answer=1), (-3.0, -1.0), "nano")
    as_json = json.loads(json.dumps(answer, default=plain))
    assert (as_json["letter"], as_json["correct"], as_json["question"]["key"]) == ("B", True, "B")
    assert sum(as_json["probabilities"]) == pytest.approx(1)
