from medqa.ui.presses import Presses


def test_an_answer_ends_when_the_button_is_pressed_again():
    presses, closed = Presses(), []

    def pieces():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    presses.another()
    shown = presses.until_another(pieces())
    assert [next(shown), next(shown)] == [0, 1]
    presses.another()
    assert list(shown) == []
    assert closed == [True]
    assert list(presses.until_another(pieces())) == list(range(10))
