import json
from dataclasses import fields, replace

import pytest

from medqa import disputes
from medqa.spec import (
    CHOICES,
    PRESETS,
    RANGES,
    RunSpec,
    SpecError,
    checked,
    told,
    with_text_settings,
    without_folder,
    without_folders,
)

VALID = RunSpec(name="trial-1")


def faults(**changes):
    with pytest.raises(SpecError) as refused:
        checked(replace(VALID, **changes))
    return refused.value.faults


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_can_be_run_once_it_is_named(preset):
    spec = replace(preset.spec, name="trial-1")
    assert checked(spec) is spec


@pytest.mark.parametrize("field", RANGES)
def test_both_ends_of_a_range_are_in_it(field):
    low, high, _ = RANGES[field]
    for end in (low, high):
        # A batch that any number of devices in the range can share.
        checked(replace(VALID, **({"batch_size": 1024} | {field: end})))


def test_a_batch_that_the_devices_cannot_share_evenly_is_refused_with_the_numbers_that_can():
    checked(replace(VALID, batch_size=12, devices=4))
    sentence = faults(batch_size=12, devices=8)["devices"]
    assert sentence.startswith("An effective batch of 12 can't be shared evenly by 8 devices.")
    assert "one of 1, 2, 3, 4, 6, 12 devices" in sentence
    assert list(faults(batch_size=12, devices=24)) == ["devices"]


def test_one_device_cannot_share_the_base_weights_and_the_way_out_is_told():
    checked(replace(VALID, devices=2, base_weights="shared"))
    assert "Choose 2 devices or more, or base_weights=auto" in faults(base_weights="shared")["base_weights"]


@pytest.mark.parametrize("field", RANGES)
def test_what_is_outside_a_range_is_refused_with_the_field_its_value_and_the_range(field):
    low, high, unit = RANGES[field]
    for outside in (low - 1, high + 1):
        [(name, sentence)] = faults(**{field: outside}).items()
        assert name == field
        assert sentence.startswith(f"{told(field, 'label')} is {outside!r};")
        assert "it should be from " in sentence
        assert unit in sentence


@pytest.mark.parametrize("field", RANGES)
def test_what_is_no_number_is_refused(field):
    for wrong in ("8", True, float("nan")):
        assert list(faults(**{field: wrong})) == [field]


@pytest.mark.parametrize("field", [f.name for f in fields(RunSpec) if f.type.startswith("int")])
def test_half_a_thing_is_refused_where_things_are_counted(field):
    assert list(faults(**{field: 1.5 if field != "max_length" else 64.5})) == [field]


@pytest.mark.parametrize(("field", "shown"), [("rows", "10,000,000"), ("seed", "2,147,483,647")])
def test_the_highest_value_is_written_in_full(field, shown):
    assert shown in faults(**{field: -1})[field]


def test_no_number_of_rows_means_all_of_them():
    checked(replace(VALID, rows=None))


@pytest.mark.parametrize("field", CHOICES)
def test_a_choice_outside_the_list_is_refused_with_the_list(field):
    [(name, sentence)] = faults(**{field: "hourly"}).items()
    assert name == field
    assert "'hourly'" in sentence
    for allowed in CHOICES[field]:
        assert str(allowed) in sentence


@pytest.mark.parametrize("name", ["", "Quick", "../up", ".hidden", "a b", "a" * 65, "naïve", "run\n", "-x", "a/b"])
def test_a_name_that_is_unfit_for_a_folder_is_refused_and_quoted(name):
    assert f"“{name}”" in faults(name=name)["name"]


@pytest.mark.parametrize("name", ["a", "quick-1", "0.5_epochs", "a" * 64])
def test_a_name_of_small_letters_digits_hyphens_dots_and_underscores_is_taken(name):
    checked(replace(VALID, name=name))


def test_no_run_can_have_the_name_of_the_file_of_marks_that_lies_beside_the_runs():
    assert f"“{disputes.FILE}” is taken" in faults(name=disputes.FILE)["name"]
    checked(replace(VALID, name="disputes"))


@pytest.mark.parametrize(("field", "nothing"), [("base_model", " "), ("dataset", ""), ("target_modules", ())])
def test_what_is_left_empty_is_named(field, nothing):
    assert list(faults(**{field: nothing})) == [field]


def test_all_faults_are_told_at_once():
    found = faults(name="A", epochs=0, schedule="never")
    assert set(found) == {"name", "epochs", "schedule"}


def test_a_spec_survives_json_unchanged():
    for spec in (VALID, PRESETS["full"].spec, replace(VALID, rows=7, cop_base=1, target_modules=("q_proj", "o_proj"))):
        assert RunSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_field_of_a_newer_version_is_ignored():
    assert RunSpec.from_json({**VALID.to_json(), "quantum": True}) == VALID


def test_a_field_that_an_older_version_lacks_takes_its_default():
    lacking = ("evaluations", "devices", "base_weights")
    older = {name: value for name, value in VALID.to_json().items() if name not in lacking}
    assert RunSpec.from_json(older).evaluations == RunSpec().evaluations
    assert (RunSpec.from_json(older).devices, RunSpec.from_json(older).base_weights) == (1, "auto")


def test_text_settings_become_values_of_the_fields_types():
    texts = ["rows=2,000", "learning_rate = 2e-4", "target_modules=q_proj, v_proj,", "schedule=linear", "cop_base=1"]
    spec = with_text_settings(VALID, texts)
    assert (spec.rows, spec.learning_rate, spec.schedule, spec.cop_base) == (2000, 2e-4, "linear", 1)
    assert spec.target_modules == ("q_proj", "v_proj")
    assert spec.name == "trial-1"


@pytest.mark.parametrize("text", ["rows=", "rows=all", "rows=None"])
def test_all_rows_can_be_asked_for_in_text(text):
    assert with_text_settings(replace(VALID, rows=5), [text]).rows is None


def test_a_text_value_may_hold_an_equals_sign():
    assert with_text_settings(VALID, ["base_model=/models/a=b"]).base_model == "/models/a=b"


def test_of_two_texts_for_one_field_the_later_counts():
    assert with_text_settings(VALID, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("text", "field"), [("epochs=two", "epochs"), ("rows=1.5", "rows"), ("batch_size=", "batch_size")]
)
def test_a_text_that_is_no_such_value_is_refused_with_field_and_value(text, field):
    with pytest.raises(SpecError) as refused:
        with_text_settings(VALID, [text])
    assert list(refused.value.faults) == [field]
    assert f"“{text.partition('=')[2]}”" in str(refused.value)


@pytest.mark.parametrize("text", ["rank=8", "lora_rank", "=8"])
def test_a_text_without_a_known_field_is_refused_with_the_fields_there_are(text):
    with pytest.raises(SpecError, match="lora_rank") as refused:
        with_text_settings(VALID, [text])
    assert f"“{text}”" in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs", "steps"),
    [(100, 16, 1.0, 7), (96, 16, 1.0, 6), (96, 16, 2.5, 15), (5, 16, 1.0, 1), (5, 16, 0.01, 1)],
)
def test_an_epoch_takes_a_step_for_each_batch_the_last_may_be_short(rows, batch_size, epochs, steps):
    assert RunSpec(batch_size=batch_size, epochs=epochs).steps(rows) == steps


@pytest.mark.parametrize("field", [f.name for f in fields(RunSpec)])
def test_every_field_has_a_label_and_says_what_it_is_for(field):
    assert told(field, "label")
    assert told(field, "help").endswith(".")


# What people are told of a data set or base model


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("handbook", "handbook"),
        ("Qwen/Qwen3-1.7B", "Qwen/Qwen3-1.7B"),
        ("/app/runs/.uploads/1f.csv", "1f.csv"),
        ("/models/nano/", "nano"),
        ("~/nano", "nano"),
        ("./nano", "nano"),
        ("../data/own.csv", "own.csv"),
        ("/", "/"),
        (".", "."),
        ("", ""),
    ],
)
def test_of_a_path_the_last_part_is_told_and_a_name_or_hub_id_as_it_is(name, told):
    assert without_folder(name) == told


def test_a_text_names_data_set_and_base_model_without_their_folders_also_where_one_lies_in_the_other():
    spec = replace(VALID, dataset="/srv", base_model="/srv/models/nano")
    assert without_folders("/srv with /srv/models/nano", spec) == "srv with nano"
