import json
import random
import re
from dataclasses import asdict, replace

import pytest

from medqa import training_rows
from medqa.adapters import AdapterError
from medqa.datasets import handbook
from medqa.probes.neighbours import NEARLY, neighbours
from medqa.question import Question

PLANTED = Question(
    "A 62-year-old man with chest pain has ST elevation in leads II, III and aVF. Which artery is occluded?",
    ("Left circumflex artery", "Left anterior descending artery", "Right coronary artery", "Left main stem"),
    2,
    "The right coronary artery supplies the inferior wall in most people.",
    "Medicine",
    "planted:1",
)


@pytest.fixture(scope="module")
def rows():
    return [*handbook.questions("train"), PLANTED]


@pytest.fixture(scope="module")
def adapter(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    training_rows.write(folder, rows)
    return folder


def asked(stem, options=PLANTED.options):
    """As a person asks it: without key, explanation or source."""
    return Question(stem, options)


def test_a_planted_duplicate_is_the_nearest_and_warned_of(adapter, rows):
    result = neighbours(asked(PLANTED.stem), adapter)
    assert result.rows == len(rows)
    assert result.found[0].row == PLANTED
    assert result.found[0].same == 1
    assert [neighbour.row for neighbour in result.repeats] == [PLANTED]
    assert "has the very words of a training row" in result.sentences[0]
    assert "Its key is C) Right coronary artery." in " ".join(result.sentences)


def test_moved_options_hide_no_duplicate(adapter):
    result = neighbours(asked(PLANTED.stem, PLANTED.options[::-1]), adapter)
    assert result.found[0].row == PLANTED
    assert result.warning


def test_light_rewording_with_moved_options_hides_no_duplicate(adapter):
    reworded = "A 64-year-old man with chest pain has ST elevation in leads II, III, and aVF: which artery is blocked?"
    result = neighbours(asked(reworded, PLANTED.options[::-1]), adapter)
    assert result.repeats[0].row == PLANTED
    assert NEARLY <= result.repeats[0].same < 1
    assert "is nearly a training row" in result.warning


def test_an_unrelated_question_has_neighbours_perhaps_but_no_warning(adapter):
    result = neighbours(asked("Where do penguins of the Antarctic breed?", ("Ice shelves", "Beaches")), adapter)
    assert all(neighbour.same < 0.3 for neighbour in result.found)
    assert (result.repeats, result.warning) == ((), "")
    assert "not cause" in result.sentences[-1]


def test_a_question_without_a_word_in_common_has_no_neighbours(adapter):
    result = neighbours(asked("Xyzzy qwfp?", ("Plugh", "Zxcv")), adapter)
    assert result.found == ()
    assert "None of the " in result.sentences[0]


def test_the_same_stem_with_other_options_is_another_question(tmp_path):
    stem = "Which artery is occluded?"
    training_rows.write(tmp_path, [Question(stem, ("Popliteal", "Splenic", "Ulnar", "Facial"), 0)])
    result = neighbours(asked(stem, ("Basilar", "Radial", "Uterine", "Gonadal")), tmp_path)
    assert len(result.found) == 1
    assert result.warning == ""


def test_the_same_fact_in_other_words_is_no_duplicate(adapter):
    drawn = random.Random(0).sample(list(handbook.questions("test")), 300)
    results = [neighbours(question, adapter) for question in drawn]
    assert [result.question.stem for result in results if result.warning] == []
    fact = re.compile(r"handbook/([^/]+)/").match
    found = sum(
        any(fact(n.row.source) and fact(n.row.source)[1] == fact(r.question.source)[1] for n in r.found)
        for r in results
    )
    assert found > 0.8 * len(drawn)


def test_training_questions_are_all_recognised(adapter, rows):
    drawn = random.Random(0).sample(rows, 100)
    assert all(neighbours(asked(row.stem, row.options[::-1]), adapter).warning for row in drawn)


def test_a_repeat_comes_first_even_where_longer_rows_score_higher(tmp_path):
    question = Question("Zebra?", ("Yes", "No"))
    longer = [Question(f"Zebra zebra zebra {i}?", ("Yes yes yes yes", f"No no no no {i}"), 0) for i in range(12)]
    training_rows.write(tmp_path, [*longer, replace(question, answer=1)])
    raw = training_rows.nearest(tmp_path, ["zebra", "yes", "no"], 5)
    assert raw.found[0][0] in longer
    assert neighbours(question, tmp_path, k=3).found[0].row == replace(question, answer=1)


def test_shared_words_are_named_rarest_first_without_those_most_rows_have(adapter):
    shared = neighbours(asked(PLANTED.stem), adapter).found[0].shared
    assert {"62", "elevation", "coronary"} <= set(shared)
    assert shared.index("62") < shared.index("artery")
    assert not {"a", "is", "which"} & set(shared)


def test_as_many_are_found_as_asked_for(adapter):
    assert [len(neighbours(PLANTED, adapter, k).found) for k in (1, 5, 30)] == [1, 5, 30]


def test_the_base_model_alone_has_no_rows_and_says_so():
    result = neighbours(PLANTED, None)
    assert (result.rows, result.found, result.warning) == (0, (), "")
    assert result.sentences == (result.absent,)
    assert "base model alone has no training rows" in result.absent


def test_an_adapter_without_rows_says_so(tmp_path):
    result = neighbours(PLANTED, tmp_path)
    assert "came without its training rows" in result.sentences[0]


def test_damaged_rows_are_said_to_be_damaged_not_absent(tmp_path):
    (tmp_path / training_rows.FOLDER).mkdir()
    with pytest.raises(AdapterError, match="can't be read"):
        neighbours(PLANTED, tmp_path)


def test_the_result_is_plain_values(adapter):
    written = json.loads(json.dumps(asdict(neighbours(PLANTED, adapter, 2))))
    assert written["found"][0]["row"]["source"] == "planted:1"
