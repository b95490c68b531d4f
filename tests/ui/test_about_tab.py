from medqa.settings import ASSETS
from medqa.ui.about_tab import model_card


def test_the_page_shows_the_shipped_model_card_without_the_hub_s_front_matter():
    card = model_card()
    assert card.startswith("# medqa-nano")
    assert "license: mit" not in card
    assert card.splitlines()[-1] == (ASSETS / "medqa-nano" / "README.md").read_text().rstrip().splitlines()[-1]


def test_the_card_names_every_source_with_its_licence_and_what_the_model_is_not_for():
    card = model_card()
    for part in ("OpenStax", "MedQuAD", "CC BY 4.0", "handbook", "must not be asked about patients"):
        assert part in card
