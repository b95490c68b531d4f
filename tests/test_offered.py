from dataclasses import replace

import pytest

from medqa import offered
from medqa.settings import Settings
from medqa.spec import PRESETS, RunSpec, SpecError, told

PLAIN = RunSpec(name="trial-1")


@pytest.fixture
def machine_with(monkeypatch):
    return lambda cards: monkeypatch.setattr(offered.gpus, "count", lambda: cards)


@pytest.fixture
def private(tmp_path):
    return Settings(runs=tmp_path)


@pytest.fixture
def public(private):
    return replace(private, public=True)


def faults(spec, settings):
    with pytest.raises(SpecError) as refused:
        offered.check(spec, settings)
    return refused.value.faults


def test_more_devices_than_there_are_is_refused_with_how_many_there_can_be(machine_with, private):
    machine_with(4)
    offered.check(RunSpec(devices=4), private)
    assert "8 devices are asked for; there can be 4 here" in faults(RunSpec(devices=8), private)["devices"]


# A public page


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_offered_to_visitors_where_there_is_a_gpu(machine_with, public, preset):
    machine_with(1)
    assert preset in offered.presets(public)


@pytest.mark.parametrize("field", offered.MOST)
def test_a_visitor_may_set_a_field_up_to_its_limit_and_is_told_field_value_and_limit_beyond_it(
    machine_with, public, field
):
    machine_with(1)
    limit = offered.MOST[field]
    offered.check(replace(PLAIN, **{field: limit}), public)
    [(named, sentence)] = faults(replace(PLAIN, **{field: limit + 1}), public).items()
    assert named == field
    assert sentence.startswith(
        f"{told(field, 'label')} is {limit + 1:,}; on this public page it can be at most {limit:,}"
    )


def test_all_that_is_too_much_is_told_at_once(machine_with, public):
    machine_with(1)
    assert set(faults(replace(PLAIN, batch_size=1024, lora_rank=512, epochs=100), public)) == {
        "batch_size",
        "lora_rank",
        "epochs",
    }


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_on_a_public_cpu_only_the_embedded_model_is_offered_and_the_refusal_says_why(machine_with, public, device):
    machine_with(0 if device == "auto" else 1)
    settings = replace(public, device=device)
    assert offered.base_models(settings) == ["medqa-nano"]
    assert list(offered.presets(settings)) == ["quick"]
    sentence = faults(replace(PLAIN, base_model="Qwen/Qwen3-4B"), settings)["base_model"]
    assert "“Qwen/Qwen3-4B” is not offered here: all visitors share a CPU" in sentence
    assert sentence.endswith("Choose medqa-nano.")


def test_on_a_public_cpu_the_hosts_own_base_model_is_offered_too_by_its_last_part(machine_with, public):
    machine_with(0)
    settings = replace(public, base_model="/srv/models/nano")
    assert offered.base_models(settings) == ["/srv/models/nano", "medqa-nano"]
    offered.check(replace(PLAIN, base_model="/srv/models/nano"), settings)
    assert "Choose nano, medqa-nano." in faults(replace(PLAIN, base_model="gpt2"), settings)["base_model"]


def test_on_a_public_cpu_a_large_data_set_takes_a_number_of_rows(machine_with, public):
    machine_with(0)
    offered.check(replace(PLAIN, dataset="medmcqa", rows=offered.MOST_ROWS_ON_A_CPU), public)
    sentence = faults(replace(PLAIN, dataset="medmcqa"), public)["rows"]
    assert "Rows is empty, which asks for all of medmcqa; on this public page it can be at most 5,000" in sentence
    assert list(faults(replace(PLAIN, rows=5_001), public)) == ["rows"]
    offered.check(PLAIN, public)


def test_a_file_is_offered_to_visitors_only_where_it_is_an_upload_that_is_there(machine_with, public):
    machine_with(1)
    uploads = public.runs / ".uploads"
    uploads.mkdir()
    (uploads / "1f.csv").touch()
    (uploads / "2f.csv.part").touch()
    offered.check(replace(PLAIN, dataset=str(uploads / "1f.csv")), public)
    for other in (uploads / "3f.csv", uploads / "2f.csv.part", uploads / "..", uploads, public.runs / "own.csv"):
        assert "is not offered here" in faults(replace(PLAIN, dataset=str(other)), public)["dataset"]


def test_a_refused_file_is_not_told_by_its_folder(machine_with, public):
    machine_with(1)
    assert "/srv" not in faults(replace(PLAIN, dataset="/srv/private/own.csv"), public)["dataset"]


def test_settings_that_make_too_many_steps_are_refused_with_how_many_there_can_be(machine_with, public):
    machine_with(0)
    many = replace(PLAIN, dataset="medmcqa", rows=5_000, epochs=10, batch_size=1)
    sentence = faults(many, public)["batch_size"]
    assert "make 50,000 steps; on this public page there can be at most 10,000" in sentence
    offered.check(replace(many, batch_size=5), public)
    # No data set has more rows than it has.
    offered.check(replace(many, dataset="handbook", epochs=8), public)


def test_the_steps_of_an_upload_are_counted_by_its_rows(machine_with, public):
    machine_with(1)
    file = public.runs / ".uploads" / "1f.csv"
    file.parent.mkdir()
    file.write_text("question,A,B,answer\n" + "Which?,x,y,A\n" * 1500)
    spec = replace(PLAIN, dataset=str(file), epochs=10)
    offered.check(spec, public)
    assert list(faults(replace(spec, batch_size=1), public)) == ["batch_size"]


def test_visitors_know_the_hosts_base_model_by_its_last_part_alone(machine_with, private, public):
    machine_with(0)
    assert offered.located("nano", replace(public, base_model="/srv/models/nano")) == "/srv/models/nano"
    assert offered.located("medqa-nano", public) == "medqa-nano"
    assert offered.located("nano", replace(private, base_model="/srv/models/nano")) == "nano"


def test_what_visitors_have_disputed_is_offered_to_the_host_alone(machine_with, private, public):
    machine_with(1)
    assert "disputes" in offered.data_sets(private)
    offered.check(replace(PLAIN, dataset="disputes"), private)
    assert "disputes" not in offered.data_sets(public)
    assert "disputes” is not offered here" in faults(replace(PLAIN, dataset="disputes"), public)["dataset"]


def test_which_rows_were_disputed_cannot_be_learned_by_leaving_them_out_on_a_public_page(machine_with, private, public):
    machine_with(1)
    leaving_out = replace(PLAIN, disputed_rows="leave out")
    offered.check(leaving_out, private)
    assert "left out by whoever runs this MedQA alone" in faults(leaving_out, public)["disputed_rows"]


# A page of one's own


def test_on_a_page_of_ones_own_all_is_offered_and_nothing_limited(machine_with, private):
    machine_with(0)
    assert list(offered.presets(private)) == list(PRESETS)
    assert offered.base_models(private) == list(offered.BASE_MODELS)
    assert {offered.most(field, private) for field in offered.MOST} == {None}
    large = replace(PLAIN, base_model="/any/where", dataset="/any/file.csv", batch_size=1024, lora_rank=512, epochs=100)
    offered.check(large, private)


def test_what_a_visitor_calls_a_layer_is_not_told_to_the_others(machine_with, private, public):
    machine_with(1)
    spec = replace(PLAIN, target_modules=("q_proj", "Buy pills at example.com"))
    offered.check(spec, private)
    assert "Target modules can be q_proj, k_proj" in faults(spec, public)["target_modules"]
    for preset in PRESETS.values():
        assert set(preset.spec.target_modules) <= set(offered.LAYERS)
