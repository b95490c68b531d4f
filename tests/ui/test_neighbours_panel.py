from dataclasses import replace
from types import SimpleNamespace

import pytest

from medqa.adapters import Adapter
from medqa.probes.neighbours import Neighbours
from medqa.question import Answer, Explanation, Question
from medqa.settings import Settings
from medqa.ui.answering import Asked
from medqa.ui.panels import neighbours

ANSWER = Answer(Question("Which?", ("Iron", "Zinc")), (-1.0, -2.0), "medqa-nano")
HIDDEN = "A public page does not show the training rows"


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """shown(dataset, public): what the panel says of an answer by an adapter that was trained on this."""
    found = Neighbours(ANSWER.question, 0, (), "The rows are searched.")
    monkeypatch.setattr(neighbours, "neighbours", lambda question, folder: found)
    monkeypatch.setattr(neighbours, "probe_panel", lambda title, asked, work, elem_id: work)

    def show(dataset, public=True):
        settings = replace(Settings(runs=tmp_path), public=public)
        adapter = Adapter("quick-1", tmp_path, "medqa-nano", {"dataset": dataset})
        work = neighbours.panel(None, SimpleNamespace(settings=settings))
        return work(Asked(ANSWER, adapter, Explanation("")), lambda done, of: None)

    return show


@pytest.mark.parametrize("dataset", ["disputes", "/srv/runs/.uploads/1f.csv", "/srv/handbook", "not recorded"])
def test_a_public_page_shows_no_rows_that_a_person_has_disputed_or_brought(shown, dataset):
    assert HIDDEN in shown(dataset)
    assert HIDDEN not in shown(dataset, public=False)


@pytest.mark.parametrize("dataset", ["handbook", "medmcqa", "medqa_usmle"])
def test_rows_of_published_data_sets_are_shown_to_everybody(shown, dataset):
    assert HIDDEN not in shown(dataset)
