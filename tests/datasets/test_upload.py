import json

import pytest

from medqa.datasets import upload
from medqa.datasets.rows import DatasetError
from medqa.datasets.upload import read_rows, to_questions


def plain(*keys, options=("Aspirin", "Heparin", "Warfarin"), column="answer"):
    return [{"question": f"Which {i}?", "options": list(options), column: key} for i, key in enumerate(keys)]


def keys_of(loaded):
    return [question.key for question in loaded.questions]


# Files


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_file_is_read_whatever_separates_its_cells(tmp_path, separator, encoding):
    lines = [["question", "A", "B", "answer"], ['"Is it β, or; α?"', "x", "y", "B"]]
    path = tmp_path / "own.csv"
    path.write_text("\r\n".join(map(separator.join, lines)), encoding=encoding)
    assert read_rows(path) == [{"question": "Is it β, or; α?", "A": "x", "B": "y", "answer": "B"}]


@pytest.mark.parametrize("around", ["%s", '{"data": %s}', '{"questions": %s}'])
def test_a_json_file_is_a_list_or_holds_one(tmp_path, around):
    path = tmp_path / "own.json"
    path.write_text(around % '[{"q": "Which?"}]')
    assert read_rows(path) == [{"q": "Which?"}]


def test_a_jsonl_file_may_have_blank_lines_and_odd_separators_inside_strings(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text('\ufeff{"q": "a\u2028b"}\n\n{"q": "c"}\n', encoding="utf-8")
    assert [row["q"] for row in read_rows(path)] == ["a\u2028b", "c"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"q": 1}\n{"q": \n', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", b'{"q": 1}\n3\n', "a.jsonl, line 2: an object with named fields is wanted, not 3"),
        ("a.json", b'[\n{"q": 1},\n]', "a.json, line 3: not valid JSON"),
        ("a.json", b'{"rows": []}', "a.json holds no list of rows"),
        ("a.json", b'[{"q": 1}, "x"]', "a.json, row 2: an object"),
        ("a.json", b"[" * 100_000, "a.json: not valid JSON (lists or objects are nested too deeply)"),
        ("a.jsonl", b'{"q": 1}\n' + b"[" * 100_000, "a.jsonl, line 2: not valid JSON (lists or objects"),
        ("a.json", b'[{"q": %s}]' % (b"9" * 4301), "a.json: not valid JSON (a number has thousands of digits)"),
        ("a.jsonl", b'{"q": 1}\n{"q": %s}\n' % (b"9" * 4301), "a.jsonl, line 2: not valid JSON (a number"),
        ("a.csv", b"q,A,B\nWhich, then?,x,y\n", "a.csv, line 2: more cells than the header has columns"),
        ("a.csv", b'q,A\n"Which?,x\n', "a.csv, line 2"),
        ("a.csv", b"q,A,B\n", "a.csv has no rows"),
        ("a.csv", b"q,A\n\xff\xfe,x\n", "a.csv is not UTF-8 text (byte 4)"),
        ("a.xlsx", b"", "a.xlsx is not a .csv, .json or .jsonl file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError) as error:
        read_rows(path)
    assert message in str(error.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"gone.csv can't be read: No such file"):
        read_rows(tmp_path / "gone.csv")


# Columns


def test_medmcqa_and_medqa_columns_are_recognised():
    medmcqa = {"question": "Which?", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 1}
    assert keys_of(to_questions([medmcqa], "own", cop_base=1)) == ["A"]
    medqa = {"question": "Which?", "options": {"A": "x", "B": "y"}, "answer": "y", "answer_idx": "B"}
    assert keys_of(to_questions([medqa], "own")) == ["B"]


@pytest.mark.parametrize(
    "columns",
    [("A", "B", "C"), ("a", "b", "c"), ("option_a", "option_b", "option_c"), ("option1", "option2", "option3"),
     ("Option A", "Option B", "Option C"), ("opa", "opb", "opc"), ("choice_1", "choice_2", "choice_3")],
)  # fmt: skip
@pytest.mark.parametrize("stem", ["question", "stem", "q", "Question"])
def test_options_are_found_in_their_columns(columns, stem):
    row = {stem: "Which?", **dict(zip(columns, "xyz", strict=True)), "Correct": "c", "Rationale": "It is so."}
    question = to_questions([row], "own").questions[0]
    assert (question.stem, question.options, question.key) == ("Which?", ("x", "y", "z"), "C")
    assert question.explanation == "It is so."


@pytest.mark.parametrize(
    "cell",
    [
        ["x", "y"],
        {"b": "y", "a": "x"},
        '["x", "y"]',
        "{'A': 'x', 'B': 'y'}",  # as pandas writes it
        [{"key": "A", "value": "x"}, {"key": "B", "value": "y"}],
    ],
)
def test_options_are_found_in_one_column(cell):
    loaded = to_questions([{"stem": "Which?", "choices": cell, "key": "B", "subject": "Anatomy"}], "own")
    assert loaded.questions[0].options == ("x", "y")
    assert loaded.questions[0].subject == "Anatomy"


@pytest.mark.parametrize(
    "cell",
    [
        [{"key": ["A"], "value": "x"}, {"key": "B", "value": "y"}],
        [["x"], ["y"]],
        {"1": {"text": "x"}, "2": {"text": "y"}},
        "{[1]: 'x', [2]: 'y'}",
    ],
    ids=["a key that is a list", "lists", "objects", "Python that is none"],
)
def test_what_is_no_list_of_options_leaves_its_row_out(cell):
    good = {"question": "Why?", "options": ["x", "y"], "answer": "B"}
    loaded = to_questions([good, {"question": "Which?", "options": cell, "answer": "B"}], "own")
    assert [question.stem for question in loaded.questions] == ["Why?"]
    assert loaded.skipped_by_reason == {"too few options": 1}


def test_a_row_may_have_fewer_options_than_the_file_has_columns():
    rows = [
        {"q": "Which?", "A": "x", "B": "y", "C": "", "answer": "B"},
        {"q": "Why?", "A": "x", "C": "z", "answer": "A"},
    ]
    loaded = to_questions(rows, "own")
    assert loaded.questions[0].options == ("x", "y")
    assert loaded.skipped_by_reason == {"empty option": 1}


def test_unknown_columns_are_named_with_those_wanted():
    with pytest.raises(DatasetError) as error:
        to_questions([{"frage": "Was?", "A": "x", "B": "y", "answer": "A"}], "own")
    assert "own has the columns frage, a, b, answer. Wanted are a question (question, stem, q)" in str(error.value)
    with pytest.raises(DatasetError, match="its key"):
        to_questions([{"question": "Which?", "A": "x", "B": "y"}], "own")


def test_a_missing_or_doubled_option_column_is_named():
    with pytest.raises(DatasetError, match="option columns a, c: option B is missing"):
        to_questions([{"q": "Which?", "A": "x", "C": "y", "answer": "A"}], "own")
    with pytest.raises(DatasetError, match="two columns for option A: a and option_a"):
        to_questions([{"q": "Which?", "A": "x", "option_a": "y", "B": "z", "answer": "A"}], "own")


def test_a_row_keeps_its_id_or_its_number():
    rows = [row | {"id": i} for row, i in zip(plain("A", "B"), ("x7", ""), strict=True)]
    assert [question.source for question in to_questions(rows, "own").questions] == ["own:x7", "own:2"]


# Keys


@pytest.mark.parametrize("key", ["B", "b", "b)", "(B)", "B.", "Option B", "Heparin", "heparin", "B) Heparin"])
@pytest.mark.parametrize("column", ["answer", "key", "correct", "label", "answer_idx"])
def test_a_key_is_a_letter_or_the_text_of_an_option(key, column):
    assert keys_of(to_questions(plain(key, column=column), "own")) == ["B"]


@pytest.mark.parametrize(
    ("keys", "read"), [((0, 1, 2), "ABC"), (("1", "2", "3"), "ABC"), ((1, 3), "AC"), ((1.0, 0), "BA")]
)
def test_a_number_counts_as_the_whole_column_shows(keys, read):
    assert keys_of(to_questions(plain(*keys), "own")) == list(read)


def test_a_number_that_may_count_either_way_is_asked_about():
    with pytest.raises(DatasetError, match=r"column answer may count from 0 or from 1.*cop_base=0"):
        to_questions(plain(1, 2), "own")
    assert keys_of(to_questions(plain(1, 2), "own", cop_base=0)) == ["B", "C"]
    assert keys_of(to_questions(plain(1, 2), "own", cop_base=1)) == ["A", "B"]
    with pytest.raises(DatasetError, match="is 0 in some rows and the number of options in others"):
        to_questions(plain(0, 3), "own")


def test_numbers_are_texts_where_they_fit_the_texts_only():
    assert keys_of(to_questions(plain("8", "2", options=("2", "4", "8")), "own")) == ["C", "A"]
    with pytest.raises(DatasetError, match="may be places or texts"):
        to_questions(plain("2", options=("2", "4", "8")), "own")
    assert keys_of(to_questions(plain("2", options=("2", "4", "8")), "own", cop_base=1)) == ["B"]


def test_letters_win_when_every_key_is_a_letter():
    assert keys_of(to_questions(plain("B", "A", options=("B", "A", "AB", "O")), "own")) == ["B", "A"]


def test_a_row_whose_key_reads_two_ways_is_skipped():
    loaded = to_questions(plain("AB", "B", "O", options=("B", "A", "AB", "O")), "own")
    assert keys_of(loaded) == ["C", "D"]
    assert loaded.skipped_by_reason == {"ambiguous key": 1}


def test_a_key_that_names_no_option_is_skipped():
    loaded = to_questions(plain("A", "H", "", None), "own")
    assert loaded.skipped_by_reason == {"no key": 2, "key outside the options": 1}
    assert to_questions(plain("Insulin", "Aspirin"), "own").skipped_by_reason == {"key outside the options": 1}


def test_two_key_columns_must_agree():
    rows = [row | {"answer_idx": i} for row, i in zip(plain("Aspirin", "Heparin"), (0, 2), strict=True)]
    loaded = to_questions(rows, "own", cop_base=0)
    assert keys_of(loaded) == ["A"]
    assert loaded.skipped_by_reason == {"answer_idx and answer disagree": 1}


@pytest.mark.parametrize("column", ["label", "correct", "key", "answer_idx"])
def test_a_column_called_like_a_key_that_names_no_option_anywhere_is_left_out(column):
    rows = [row | {column: "renal"} for row in plain("Aspirin", "B", "H", None)]
    loaded = to_questions(rows, "own")
    assert keys_of(loaded) == ["A", "B"]
    assert loaded.skipped_by_reason == {"key outside the options": 1, "no key": 1}


def test_of_two_key_columns_one_that_names_an_option_in_a_single_row_is_read():
    rows = [row | {"label": text} for row, text in zip(plain("A", "B"), ("renal", "Aspirin"), strict=True)]
    assert to_questions(rows, "own").skipped_by_reason == {"answer and label disagree": 2}


def test_where_no_key_column_names_an_option_the_rows_say_so():
    rows = [row | {"label": "renal"} for row in plain("Insulin")]
    assert to_questions(rows, "own").skipped_by_reason == {"key outside the options": 1}


def test_a_file_goes_from_disk_to_questions(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in plain("A", "C")))
    assert keys_of(to_questions(read_rows(path), "own")) == ["A", "C"]


def test_a_cell_longer_than_any_question_is_not_taken_apart(monkeypatch):
    monkeypatch.setattr(upload.ast, "literal_eval", lambda text: pytest.fail("read for seconds"))
    cell = "[" + "1," * 20_000 + "b]"
    assert upload._unpacked(cell) == cell


def test_a_csv_file_of_hundreds_of_columns_is_refused_before_its_lines_fill_the_memory(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"column{i}" for i in range(101)) + "\nx\n")
    with pytest.raises(DatasetError, match=r"^wide.csv has 101 columns, the limit is 100"):
        upload.read_rows(path)
