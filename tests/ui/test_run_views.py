import pytest

from medqa.runs import Progress, Run
from medqa.spec import RunSpec
from medqa.ui import run_views


@pytest.fixture
def panel(tmp_path):
    """panel(status, …): what the page shows of a run that far."""
    return lambda status, **parts: run_views.run_panel(Run(tmp_path / "quick-1"), Progress(status, **parts))


@pytest.fixture
def made_run(tmp_path):
    run = Run(tmp_path / "quick-1")
    run.folder.mkdir()
    run.write_spec(RunSpec(name="quick-1"))
    return run


def step(number, gradient_norm=0.5):
    figures = {"loss": 1.0, "tokens_per_second": 4100, "memory": 2**30, "gradient_norm": gradient_norm}
    return {"step": number, "seconds": float(number), **figures}


def evaluated(number, correct, loss=1.0, kept=False):
    return {"step": number, "correct": correct, "total": 100, "loss": loss, "kept": kept}


def losses(*values, best=1):
    return [evaluated(20 * i, 27 + i, value, kept=i == best) for i, value in enumerate(values)]


def saved(step):
    before = {"step": 0, "correct": 27, "total": 100, "loss": 5.0}
    return {"test": {"before": before, "after": {**before, "step": step}}, "read": {"before": before, "after": before}}


# Which adapter


def test_while_it_runs_the_step_of_the_best_adapter_so_far_is_told(panel):
    measured = [evaluated(0, 27), evaluated(10, 50, kept=True), evaluated(20, 60, kept=True), evaluated(30, 55)]
    assert "best adapter so far: step 20<" in panel("running", steps=[step(31)], evaluations=measured)
    assert "best adapter" not in panel("running", steps=[step(3)], evaluations=measured[:1])


@pytest.mark.parametrize("status", ["done", "stopped"])
def test_at_the_end_the_step_of_the_saved_adapter_is_told_with_how_many_it_was_chosen_from(panel, status):
    measured = [evaluated(0, 27), evaluated(20, 60, kept=True), evaluated(30, 55), evaluated(40, 50)]
    html = panel(status, steps=[step(40)], evaluations=measured, scores=saved(20))
    assert "The adapter of step 20 is the one saved: best of 3 evaluations." in html


@pytest.mark.parametrize(
    ("evaluations", "scores"),
    [
        ([evaluated(0, 27), evaluated(40, 60, kept=True)], saved(40)),
        ([evaluated(0, 27), evaluated(20, 60), evaluated(40, 50)], saved(40)),
        ([], {}),
    ],
    ids=["a single evaluation", "a run of before the best was kept", "not measured"],
)
def test_where_there_was_no_choice_nothing_is_said_of_one(panel, evaluations, scores):
    assert "is the one saved" not in panel("done", steps=[step(40)], evaluations=evaluations, scores=scores)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_did_not_end_well_says_that_it_has_an_adapter_where_it_has_one(panel, made_run, status):
    told, table = run_views.USABLE, [(made_run, Progress(status))]
    assert told not in panel(status)
    assert "adapter saved" not in run_views.runs_table(table)
    made_run.adapter.mkdir()
    (made_run.adapter / "adapter_config.json").touch()
    assert told in panel(status)
    assert f">{status}, step 0, adapter saved</td>" in run_views.runs_table(table)
    assert told not in panel("running") + panel("stopped")


def test_the_log_names_the_evaluations_that_were_the_best_so_far():
    told = [{"event": "evaluated", "time": float(e["step"]), **e} for e in losses(2.0, 1.0, 1.5)]
    last, best, base = run_views.log(told).splitlines()
    assert "(the best so far)." in best
    assert "best" not in last
    assert "(the base model alone)." in base


def test_the_table_of_runs_shows_the_accuracy_of_the_best_adapter(made_run):
    measured = [evaluated(0, 27), evaluated(20, 60, kept=True), evaluated(40, 50)]
    assert "27 % → 60 % of 100" in run_views.runs_table([(made_run, Progress("done", evaluations=measured))])


def test_the_table_of_runs_tells_of_a_folder_its_last_part_only(made_run):
    made_run.write_spec(RunSpec(name="quick-1", base_model="/srv/models/nano", dataset="/app/runs/.uploads/1f.csv"))
    table = run_views.runs_table([(made_run, Progress("done"))])
    assert ">nano</td>" in table and ">1f.csv, all rows</td>" in table


# What is said in words


def test_a_gradient_norm_above_the_bound_is_told_with_its_step_and_size(panel):
    html = panel("running", steps=[step(1, 0.4), step(2, 23.4), step(3, 10.0), step(4, None)])
    assert "The gradient norm was above 10 at one step, step 2 (23.4)." in html
    more = panel("done", steps=[step(1, 11.0), step(2, 23.4), step(3, 12.0)])
    assert "The gradient norm was above 10 at 3 steps, the last of them step 3 (12)." in more
    assert "lower learning rate" in more


def test_gradient_norms_up_to_the_bound_are_not_worth_a_word(panel):
    assert "gradient" not in panel("running", steps=[step(1, 10.0), step(2, None)])


def test_an_evaluation_loss_that_rises_three_times_is_told_with_the_step_that_is_kept(panel):
    measured = losses(3.0, 2.0, 2.1, 2.2, 2.3)
    so_far = "Evaluation loss has risen for 3 evaluations: the best adapter so far, step 20, is kept."
    assert so_far in panel("running", steps=[step(80)], evaluations=measured)
    at_the_end = "Evaluation loss has risen for 3 evaluations: the best adapter, step 20, is kept."
    assert at_the_end in panel("done", steps=[step(80)], evaluations=measured)


@pytest.mark.parametrize(
    "values",
    [(3.0, 2.0, 2.1, 2.2), (3.0, 2.0, 2.1, 2.2, 2.3, 2.2), (3.0, 2.0, 2.1, 2.1, 2.2), (3.0,), ()],
    ids=["two rises", "risen and fallen again", "level in between", "once", "never measured"],
)
def test_fewer_rises_in_a_row_are_not_told(panel, values):
    assert "risen" not in panel("running", evaluations=losses(*values))


def test_a_run_that_kept_nothing_promises_nothing(panel):
    html = panel("running", evaluations=losses(2.0, 2.1, 2.2, 2.3, best=None))
    assert "Evaluation loss has risen for 3 evaluations." in html
    assert "is kept" not in html
