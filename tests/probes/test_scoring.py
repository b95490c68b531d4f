from contextlib import suppress

import pytest

from medqa.probes import Cancelled
from medqa.probes.scoring import written_together
from medqa.question import Explanation


def growing(words, heard=None):
    try:
        for i in range(1, len(words) + 1):
            if heard is not None:
                heard.append(words[i - 1])
            yield Explanation(" ".join(words[:i]))
    finally:
        if heard is not None:
            heard.append("closed")


def test_texts_take_turns_and_each_is_whole_at_the_end():
    heard = []
    texts = [growing(["a1"], heard), growing(["b1", "b2", "b3"], heard), [Explanation("at hand")], []]
    whole = written_together(texts, lambda done: None)
    assert [text.text for text in whole] == ["a1", "b1 b2 b3", "at hand", ""]
    assert heard[:4] == ["a1", "b1", "closed", "b2"]


def test_cancelling_ends_all_of_them():
    heard = []

    def told(whole):
        if len(heard) == 3:
            raise Cancelled

    with suppress(Cancelled):  # not pytest.raises, which keeps the frames and so the texts alive
        written_together([growing("abc", heard), growing("xyz", heard)], told)
        pytest.fail("nothing was cancelled")
    assert sorted(heard) == ["a", "b", "closed", "closed", "x"]
