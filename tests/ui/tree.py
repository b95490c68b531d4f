"""HTML as a browser reads it, for tests of what makes it."""

from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "meta", "link"}


class Tree(HTMLParser):
    """Fails on a tag that is not closed where it should be; keeps tags, attributes with their values, and text.

    `inside`: for each tag the text of all that is within one.
    """

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.inside = [], [], [], "", {}
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert not (self.open and self.open[-1] == "p" and tag in ("p", "div", "section")), f"<{tag}> ends its <p>"
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, text):
        self.text += text
        for tag in self.open:
            self.inside[tag] = self.inside.get(tag, "") + text
