import threading
import time
from dataclasses import replace

import pytest

from medqa.adapters import WEIGHTS, Adapter, AdapterError
from medqa.probes import Cancelled
from medqa.question import Answer, Explanation, Question
from medqa.receipt import weights_sha256
from medqa.ui.answering import Asked
from medqa.ui.panels.panel import SECONDS_BETWEEN_NEWS, stages

ASKED = Asked(Answer(Question("Which?", ("Iron", "Zinc")), (-1.0, -2.0), "medqa-nano"), None, Explanation("Because."))
PATIENCE_SECONDS = 20


def test_quick_work_shows_its_result_and_no_progress():
    def work(asked, tell, *values):
        tell(1, 2)
        return f"<p>{asked.answer.base} {values}</p>"

    assert list(stages(work, ASKED, True, "B")) == [("<p>medqa-nano (True, 'B')</p>", False)]


def test_slow_work_says_how_far_it_is_until_its_result_is_there():
    def work(asked, tell):
        for done in (1, 2, 3):
            tell(done, 3)
        time.sleep(SECONDS_BETWEEN_NEWS * 1.5)
        return "<p>found</p>"

    *before, last = stages(work, ASKED)
    assert before and all("3 of 3 done" in html and busy for html, busy in before)
    assert last == ("<p>found</p>", False)


def test_work_that_has_nothing_to_tell_yet_is_heard_of_all_the_same_so_that_it_can_be_closed():
    ready = threading.Event()

    def work(asked, tell):
        assert ready.wait(PATIENCE_SECONDS)
        return "<p>found</p>"

    heard = stages(work, ASKED)
    first, second = next(heard), next(heard)
    assert first == second
    assert "Scoring" in first[0] and first[1]
    ready.set()
    assert list(heard)[-1] == ("<p>found</p>", False)


def test_closing_ends_the_work_the_next_time_it_tells():
    closed, ended = threading.Event(), threading.Event()
    reached = []

    def work(asked, tell):
        tell(1, 3)
        reached.append(1)
        assert closed.wait(PATIENCE_SECONDS)
        try:
            tell(2, 3)
            reached.append(2)
        except Cancelled:
            ended.set()
            raise

    heard = stages(work, ASKED)
    assert "1 of 3" in next(heard)[0]
    heard.close()
    closed.set()
    assert ended.wait(PATIENCE_SECONDS)
    assert reached == [1]


@pytest.mark.model
def test_an_error_meant_for_a_person_is_shown_as_its_sentence():
    def work(asked, tell):
        raise AdapterError("<quick-1> has gone. Choose another.")

    [(html, busy)] = stages(work, ASKED)
    assert "&lt;quick-1&gt; has gone. Choose another." in html
    assert 'role="alert"' in html and not busy


@pytest.mark.model
def test_an_unexpected_error_is_raised_again_after_a_word_to_the_person():
    def work(asked, tell):
        return 1 / 0

    heard = stages(work, ASKED)
    html, busy = next(heard)
    assert 'role="alert"' in html and not busy
    with pytest.raises(ZeroDivisionError):
        next(heard)


def test_an_adapter_that_was_replaced_or_deleted_is_not_asked_about(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"old")
    adapter = Adapter("mine", tmp_path, "medqa-nano", {})
    asked = replace(ASKED, adapter=adapter, weights=weights_sha256(tmp_path))
    assert list(stages(lambda asked, tell: "<p>found</p>", asked)) == [("<p>found</p>", False)]

    def replaced_meanwhile(asked, tell):
        (tmp_path / "new").write_bytes(b"newer")
        (tmp_path / "new").replace(tmp_path / WEIGHTS)
        return "<p>a difference between two adapters</p>"

    for work in (replaced_meanwhile, lambda asked, tell: pytest.fail("asked")):
        [(html, busy)] = stages(work, asked)
        assert "The adapter mine has been replaced since this answer" in html and not busy
    (tmp_path / WEIGHTS).unlink()
    [(html, _)] = stages(lambda asked, tell: pytest.fail("asked"), asked)
    assert "The adapter mine is gone" in html
