import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from medqa import adapters
from medqa.engine import Engine
from medqa.question import Explanation
from medqa.receipt import Receipt, ReceiptError, made_by, weights_sha256
from medqa.reproduce import BFLOAT16, FLOAT32, NOT_CHECKED, Reproduced, adapter_here, adapter_of, base_here, reproduce
from medqa.runs import Run
from medqa.settings import Settings
from medqa.spec import RunSpec

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory, make_adapter):
    """Two finished runs with different adapters."""
    folder = tmp_path_factory.mktemp("finished-runs")
    for seed, name in enumerate(("first", "second")):
        run = Run(folder / name)
        run.folder.mkdir()
        run.write_spec(RunSpec(name=name))
        make_adapter(run.adapter, seed)
    return folder


@pytest.fixture
def engine(loaded):
    return Engine(loaded, max_explanation_tokens=8)


@pytest.fixture
def receipt(engine, runs_folder, questions):
    adapter = adapters.named("first", runs_folder)
    answer = engine.score(questions[5], adapter.folder, adapter.name)
    *_, explanation = engine.explain(answer, adapter.folder)
    return Receipt(questions[5], answer.log_probabilities, explanation, made_by(engine, adapter), "2026-11-24")


def again(receipt, engine, runs_folder):
    return reproduce(receipt, engine, adapter_of(receipt, runs_folder))


def with_made(receipt, **changes):
    return replace(receipt, made=replace(receipt.made, **changes))


def test_an_answer_comes_out_again_and_nothing_differs(receipt, engine, runs_folder):
    result = again(receipt, engine, runs_folder)
    assert result.answer_differs == result.surroundings_differ == ()
    assert result.furthest == 0
    verdict, same, not_checked = result.sentences
    assert verdict.startswith(f"The answer comes out again: {receipt.answer.letter}) ")
    assert verdict.endswith("the same explanation.")
    assert not_checked == NOT_CHECKED
    assert same == "Base model, adapter, device and versions are the receipt's own."


def test_an_adapter_is_found_by_its_weights_whatever_its_name(receipt, engine, runs_folder, tmp_path):
    shutil.copytree(runs_folder / "first", tmp_path / "renamed")
    shutil.copytree(runs_folder / "second", tmp_path / "first")
    assert adapter_of(receipt, tmp_path).name == "renamed"
    assert again(receipt, engine, tmp_path).answer_differs == ()


def test_without_its_weights_the_adapter_of_that_name_answers_and_the_difference_is_told(
    receipt, engine, runs_folder, tmp_path
):
    shutil.copytree(runs_folder / "second", tmp_path / "first")
    result = again(receipt, engine, tmp_path)
    other = weights_sha256(tmp_path / "first" / "adapter")
    [adapter] = result.surroundings_differ
    assert other[:12] in adapter and receipt.made.adapter_sha256[:12] in adapter
    assert any(said.startswith("A probability differs by ") for said in result.answer_differs)
    assert result.sentences[0] == "The answer does not come out the same."


def test_an_adapter_that_is_nowhere_is_named_with_what_to_do(receipt, tmp_path):
    with pytest.raises(ReceiptError, match=r"“first” \(SHA-256 .* is not among the finished runs here.* Copy its run"):
        adapter_of(receipt, tmp_path)


def test_a_receipt_of_the_base_alone_needs_no_adapter(receipt, engine, tiny_base, questions):
    answer = engine.score(questions[5])
    *_, explanation = engine.explain(answer)
    alone = Receipt(questions[5], answer.log_probabilities, explanation, made_by(engine, None), "2026-11-24")
    assert adapter_here(alone, Settings()) is None
    assert reproduce(alone, engine, None).answer_differs == ()
    assert base_here(alone, None, Settings(base_model=tiny_base)) == tiny_base


def test_a_file_that_somebody_gave_loads_no_other_base_model(receipt):
    alone = with_made(receipt, adapter=None, adapter_sha256=None, base="someone/else")
    with pytest.raises(ReceiptError, match="MEDQA_BASE_MODEL=someone/else"):
        base_here(alone, None, Settings())


def test_a_visitor_of_a_public_page_has_nothing_fetched_from_the_hub(receipt, monkeypatch):
    fetched = []
    monkeypatch.setattr(adapters, "from_hub", lambda name: fetched.append(name) or "an adapter")
    from_hub = with_made(receipt, adapter="owner/name")
    with pytest.raises(ReceiptError, match="owner/name"):
        adapter_here(from_hub, Settings(public=True))
    assert fetched == []
    assert adapter_here(from_hub, Settings()) == "an adapter"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_revision": "0123456789abcdef"}, "another revision"),
        ({"device": "rocm", "hardware": "AMD Instinct MI300X"}, "on rocm (AMD Instinct MI300X) in float32"),
        ({"versions": {"torch": "1.0"}}, "torch is "),
    ],
)
def test_what_answers_otherwise_is_told_although_the_answer_is_the_same(receipt, engine, runs_folder, change, said):
    result = again(with_made(receipt, **change), engine, runs_folder)
    assert result.answer_differs == ()
    assert any(said in sentence for sentence in result.surroundings_differ)
    assert "are the receipt's own" not in " ".join(result.sentences)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", FLOAT32), ("bfloat16", BFLOAT16)])
def test_probabilities_may_differ_by_what_the_number_formats_explain_and_no_more(
    receipt, engine, runs_folder, dtype, bound
):
    def off_by(share):
        """The result beside a receipt whose first probability is so much higher, and the others share the rest."""
        result = again(with_made(receipt, dtype=dtype), engine, runs_folder)
        now = result.answer.probabilities
        moved = SimpleNamespace(probabilities=(now[0] + share, *now[1:]), letter=result.answer.letter)
        return replace(result, receipt=SimpleNamespace(**vars(result.receipt), answer=moved))

    assert off_by(0.9 * bound).answer_differs == ()
    [said] = off_by(1.1 * bound).answer_differs
    assert f"up to {100 * bound:.0f} are put down to the number format" in said


def test_another_explanation_is_told(receipt, engine, runs_folder):
    other = replace(receipt, explanation=Explanation("Because.", ended=True))
    assert again(other, engine, runs_folder).answer_differs == ("The model writes another explanation now.",)
    [said] = again(with_made(other, dtype="bfloat16"), engine, runs_folder).answer_differs
    assert said.endswith("explanation now; in another number format a near tie between two words may tip.")


def test_an_explanation_cut_at_another_length_is_the_same_as_far_as_it_goes(receipt, loaded, runs_folder):
    assert receipt.explanation.cut
    longer = again(receipt, Engine(loaded, max_explanation_tokens=12), runs_folder)
    length = len(receipt.explanation.text)
    assert len(longer.explanation.text) > length
    assert longer.answer_differs == ()
    assert longer.sentences[0].endswith(f"the same as far as the receipt's goes ({length} characters).")
    shorter = again(receipt, Engine(loaded, max_explanation_tokens=4), runs_folder)
    here = len(shorter.explanation.text)
    assert here < length
    assert shorter.answer_differs == ()
    assert shorter.sentences[0].endswith(f"the same as far as it is written here ({here} characters).")


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        (Explanation("", cut=True), Explanation("Iron.", ended=True), ""),
        (Explanation("", ended=True), Explanation("", ended=True), "no explanation either time."),
        (Explanation("I", cut=True), Explanation("Iron.", ended=True), "as far as the receipt's goes (1 character)."),
        (Explanation("Iro", ended=True), Explanation("Iron.", ended=True), ""),
        (Explanation("Iron. Take much.", cut=True), Explanation("Iron.", ended=True), ""),
        (Explanation("Iron.", ended=True), Explanation("", cut=True), ""),
    ],
    ids=["emptied", "none", "cut away", "cut, and said to be whole", "added to what is whole", "none now"],
)
def test_an_altered_explanation_passes_at_most_as_far_as_it_goes(receipt, then, now, verdict):
    same = replace(receipt, explanation=then)
    result = Reproduced(same, receipt.answer, now, receipt.made)
    assert ("The model writes another explanation now." in result.answer_differs) is not bool(verdict)
    assert result.sentences[0].endswith(verdict or "does not come out the same.")


# The command line


@pytest.fixture
def command(monkeypatch, capsys, runs_folder, tiny_base):
    """command(*arguments): exit code, standard output and standard error of `python -m medqa`, in this process."""
    from medqa.commands import main

    monkeypatch.setenv("MEDQA_RUNS", str(runs_folder))
    monkeypatch.setenv("MEDQA_BASE_MODEL", tiny_base)
    monkeypatch.setenv("MEDQA_DEVICE", "cpu")
    monkeypatch.setenv("MEDQA_MAX_EXPLANATION_TOKENS", "8")

    def call(*arguments):
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def file(receipt, tmp_path):
    path = tmp_path / "kept.json"
    path.write_text(receipt.as_text(), encoding="utf-8")
    return path


def test_the_command_line_reproduces_a_receipt(command, file, tiny_base, monkeypatch):
    # The adapter names its base as it was given when it was made.
    monkeypatch.setattr(adapters, "found", lambda folder, found=adapters.found: [
        replace(adapter, base=tiny_base) for adapter in found(folder)
    ])  # fmt: skip
    code, out, _ = command("receipt", str(file))
    assert (code, out.startswith("The answer comes out again: ")) == (0, True)
    code, out, _ = command("receipt", str(file), "--adapter", "second")
    assert (code, out.splitlines()[0]) == (1, "The answer does not come out the same.")
    assert "The adapter is another one: “second”" in out
    code, out, _ = command("receipt", str(file), "--adapter", "base")
    assert "The adapter is another one: none here" in out


def test_the_command_line_says_what_is_wrong_with_a_receipt(command, file):
    values = json.loads(file.read_text())
    del values["made"]
    file.write_text(json.dumps(values))
    code, _, error = command("receipt", str(file))
    assert (code, error) == (2, "medqa: The receipt is damaged: it lacks 'made'. Use an undamaged copy.\n")
