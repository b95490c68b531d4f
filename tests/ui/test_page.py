from medqa.settings import Settings
from medqa.ui import page
from medqa.ui.answering import Engines


def test_gradios_own_copies_of_uploads_do_not_stay_for_ever(tmp_path):
    settings = Settings(runs=tmp_path)
    assert page.build(settings, Engines(settings)).delete_cache == page.DELETE_CACHE
