from types import SimpleNamespace

import pytest

from medqa.runs import EventReader, EventWriter, Run

pytestmark = pytest.mark.model


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "quick-1"
    folder.mkdir()
    return Run(folder)


@pytest.fixture
def model(tiny_base, cpu):
    from peft import LoraConfig, get_peft_model

    from medqa.model import load_base

    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], init_lora_weights=False)
    return get_peft_model(load_base(tiny_base, cpu), config)


@pytest.fixture
def best(run, model):
    from train.best import Best

    return Best(run, model)


def measured(correct, loss=1.0):
    return {"correct": correct, "total": 100, "loss": loss}


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def train_on(model):
    """Stands in for steps: every trained weight moves."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(1.0)


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(bool((ours[name] == theirs[name]).all()) for name in ours)


def keep_in_turn(best, model, scores):
    """{step: weights} after keeping, or not, what each step measured."""
    seen = {}
    for step, score in scores.items():
        train_on(model)
        best.keep_if_best(step, score)
        seen[step] = weights(model)
    return seen


def files(run):
    return sorted(path.name for path in (run.folder / "checkpoints").glob("best-*"))


def checkpoint_at(run, step):
    folder = run.folder / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "complete").touch()
    return folder


# The best adapter


@pytest.mark.parametrize(
    ("new", "old", "is_better"),
    [
        (measured(51, 9.0), measured(50, 1.0), True),
        (measured(49, 0.1), measured(50, 1.0), False),
        (measured(50, 0.9), measured(50, 1.0), True),
        (measured(50, 1.1), measured(50, 1.0), False),
        (measured(50, 1.0), measured(50, 1.0), False),
    ],
    ids=["more right", "fewer right", "lower loss", "higher loss", "the same"],
)
def test_better_is_more_right_answers_and_then_a_lower_loss(new, old, is_better):
    from train.best import better

    assert better(new, old) == is_better


def test_the_weights_of_the_best_evaluation_come_back(best, model):
    seen = keep_in_turn(best, model, {5: measured(50), 10: measured(60), 15: measured(55), 20: measured(60, 1.2)})
    assert best.restore() == 10
    assert same(weights(model), seen[10])


def test_the_base_models_own_measure_is_never_the_best_adapter(best, model, run):
    assert not best.keep_if_best(0, measured(100))
    before = weights(model)
    assert best.restore() is None
    assert same(weights(model), before)
    assert files(run) == []


def resumed(run, model, *kept):
    from train.best import Best

    return Best(run, model, [{"event": "evaluated", "step": 0, **measured(1)}, *kept])


def event(step, correct, kept=True):
    return {"event": "evaluated", "step": step, "kept": kept, **measured(correct)}


def test_a_resumed_run_has_the_best_of_before_and_measures_up_to_it(best, model, run):
    seen = keep_in_turn(best, model, {5: measured(50), 10: measured(40)})
    again = resumed(run, model, event(5, 50), event(10, 40, kept=False))
    assert not again.keep_if_best(15, measured(45))
    assert again.restore() == 5
    assert same(weights(model), seen[5])


@pytest.mark.parametrize("damage", ["cut short", "missing"])
def test_weights_that_cannot_be_read_to_their_end_leave_the_best_before_them(best, model, run, damage):
    seen = keep_in_turn(best, model, {5: measured(50), 10: measured(60)})
    file = run.folder / "checkpoints" / "best-10.safetensors"
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-100])
    assert resumed(run, model, event(5, 50), event(10, 60)).restore() == 5
    assert same(weights(model), seen[5])


def test_a_run_of_an_older_version_that_kept_nothing_keeps_its_last_weights(run, model):
    assert resumed(run, model, {"event": "evaluated", "step": 5, **measured(50)}).restore() is None


def test_the_best_up_to_each_checkpoint_is_kept_and_no_other(best, model, run):
    keep_in_turn(best, model, {2: measured(20), 4: measured(40), 6: measured(60)})
    (run.folder / "checkpoints" / "best-9.part").touch()
    older, newer = checkpoint_at(run, 3), checkpoint_at(run, 6)
    best.forget_unreachable()
    assert files(run) == ["best-2.safetensors", "best-6.safetensors"]
    older.rename(newer.with_name("checkpoint-8"))
    best.forget_unreachable()
    assert files(run) == ["best-6.safetensors"]


def test_a_checkpoint_before_the_first_measure_needs_no_weights(best, model, run):
    checkpoint_at(run, 1)
    best.forget_unreachable()
    keep_in_turn(best, model, {2: measured(20), 4: measured(40)})
    best.forget_unreachable()
    assert files(run) == ["best-4.safetensors"]


# Events


@pytest.fixture
def reporter(run, best, cpu):
    """reporter(correct, …, evaluate_at): measures what it is told, in that order; the base has been measured."""
    from train.reporting import Clock, Reporter

    def make(*correct, evaluate_at=(2, 4)):
        scripted = iter(correct)
        at, measure = frozenset(evaluate_at), lambda step: measured(next(scripted))
        reporting = Reporter(run, EventWriter(run), Clock(0.0), cpu, measure, best, at, 100)
        reporting.base_measured = True
        return reporting

    return make


def a_step(reporter, number, gradient=0.5, loss=1.0, last=100):
    state = SimpleNamespace(global_step=number, max_steps=last)
    control = SimpleNamespace(should_training_stop=False)
    args = SimpleNamespace(learning_rate=1e-3)
    reporter.trainer = SimpleNamespace(tokens_seen=0, step_figures=lambda: lambda: [loss, gradient, 0.5])
    reporter.on_step_begin(args, state, control)
    reporter.trainer.tokens_seen = 160
    reporter.on_pre_optimizer_step(args, state, control, SimpleNamespace(param_groups=[{"lr": number / 1000}]))
    reporter.on_step_end(args, state, control)


def told(run):
    return [(event["event"], event["step"]) for event in EventReader(run).read()]


def evaluations(run):
    return [(e["step"], e["kept"]) for e in EventReader(run).read() if e["event"] == "evaluated"]


@pytest.mark.parametrize("gradient", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_ends_the_run_before_its_step_is_saved(reporter, gradient):
    from train.failures import TrainingFailed

    with pytest.raises(TrainingFailed, match=f"The gradient became {gradient} at step 1"):
        a_step(reporter(), 1, gradient)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(reporter, run, loss):
    from train.failures import TrainingFailed

    with pytest.raises(TrainingFailed, match=f"The loss became {loss} at step 1: the learning rate 0.001 is too high"):
        a_step(reporter(), 1, loss=loss)
    assert told(run) == []


def test_a_step_is_told_of_with_its_own_figures(reporter, run):
    a_step(reporter(), 1, gradient=0.25, loss=2.5)
    [step] = EventReader(run).read()
    assert (step["loss"], step["gradient_norm"], step["learning_rate"]) == (2.5, 0.25, 0.001)
    assert step["tokens_per_second"] == 320
    assert step["memory"] > 0


@pytest.fixture
def behind(reporter):
    """behind(…) is a reporter as on a GPU, told of a step when the next one has been started."""

    def make(*correct, **options):
        reporting = reporter(*correct, **options)
        reporting.behind = True
        return reporting

    return make


def test_a_gpu_is_asked_for_a_step_when_it_has_the_next(behind, run):
    reporting = behind(evaluate_at=())
    for number in (1, 2, 3):
        a_step(reporting, number, loss=float(number))
        assert told(run) == [("step", step) for step in range(1, number)]
    assert [event["loss"] for event in EventReader(run).read()] == [1.0, 2.0]
    assert [event["learning_rate"] for event in EventReader(run).read()] == [0.001, 0.002]


def test_a_step_of_a_gpu_is_told_of_before_it_is_measured(behind, run):
    reporting = behind(10, evaluate_at=(2,))
    for number in (1, 2, 3):
        a_step(reporting, number)
    assert told(run) == [("step", 1), ("step", 2), ("evaluated", 2)]


@pytest.mark.parametrize("why", ["last", "asked to stop", "saved regularly"])
def test_a_step_of_a_gpu_that_is_no_number_is_never_saved(behind, run, why):
    from train.failures import TrainingFailed

    reporting = behind(evaluate_at=())
    if why == "asked to stop":
        run.stop_file.touch()
    if why == "saved regularly":
        reporting.save_every = 3
    with pytest.raises(TrainingFailed, match="The gradient became nan at step 3"):
        a_step(reporting, 3, gradient=float("nan"), last=3 if why == "last" else 100)


def test_a_loss_of_a_gpu_that_is_no_number_ends_the_run_a_step_later(behind, run):
    from train.failures import TrainingFailed

    reporting = behind(evaluate_at=())
    a_step(reporting, 1)
    a_step(reporting, 2, loss=float("nan"))
    with pytest.raises(TrainingFailed, match="The loss became nan at step 2"):
        a_step(reporting, 3)
    assert told(run) == [("step", 1)]


def test_a_run_asked_to_stop_in_its_last_step_is_done_and_not_stopped(reporter, run):
    run.stop_file.touch()
    for number, stopped in ((5, False), (4, True)):
        reporting = reporter(10, 20)
        a_step(reporting, number, last=5)
        assert reporting.stopped is stopped


def test_an_evaluation_says_whether_its_adapter_is_kept(reporter, run):
    reporting = reporter(90, 10, 30, 20, evaluate_at=(1, 2, 3))
    reporting.base_measured = False
    for number in (1, 2, 3):
        a_step(reporting, number)
    assert evaluations(run) == [(0, False), (1, True), (2, True), (3, False)]


def test_the_base_is_measured_once_when_a_page_has_seen_the_loss_fall(reporter, run):
    reporting = reporter(10, evaluate_at=(100,))
    reporting.base_measured = False
    for number in range(1, 8):
        a_step(reporting, number)
    assert told(run) == [*(("step", i) for i in range(1, 6)), ("evaluated", 0), ("step", 6), ("step", 7)]


def test_a_run_that_stops_sooner_has_its_base_measured_there(reporter, run):
    reporting = reporter(10, 20)
    reporting.base_measured = False
    run.stop_file.touch()
    a_step(reporting, 1)
    assert evaluations(run) == [(0, False), (1, True)]


def test_a_run_asked_to_stop_is_measured_where_it_stops(reporter, run):
    reporting = reporter(10, 20)
    a_step(reporting, 2)
    run.stop_file.touch()
    a_step(reporting, 3)
    assert evaluations(run) == [(2, True), (3, True)]


def test_a_run_asked_to_stop_where_it_is_measured_anyway_is_measured_once(reporter, run):
    run.stop_file.touch()
    a_step(reporter(10), 2)
    assert evaluations(run) == [(2, True)]


def test_without_held_out_questions_stopping_measures_nothing(reporter, run):
    run.stop_file.touch()
    a_step(reporter(evaluate_at=()), 3)
    assert evaluations(run) == []
