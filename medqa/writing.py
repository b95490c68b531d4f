"""Write several texts at once, in a thread of its own that steps them together. Knows nothing of questions."""

from __future__ import annotations

import atexit
import math
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import torch
from transformers import PreTrainedModel

from medqa.batch import Batch, State, begin
from medqa.device import compute_on
from medqa.graphed_batch import GraphedBatch, Graphs
from medqa.model import Copy, Loaded, adapter_key
from medqa.read_prompts import ReadPrompts, joined

TEXTS_AT_ONCE = 16
# The thread ends when nobody has asked for so long, and is started anew by the next who does.
IDLE_SECONDS = 10.0


@dataclass(eq=False)
class Text:
    """One text being written. `tokens` carries token ids, or the exception that ended it."""

    read: ReadPrompts
    pending: list[int]
    adapter: Path | None
    key: str
    copy: Copy | None
    most: int
    ends: frozenset[int]
    tokens: SimpleQueue = field(default_factory=SimpleQueue)
    done: bool = False

    @property
    def has_window(self) -> bool:
        return self.read.window < math.inf

    def ended_by(self, token: int) -> bool:
        return self.done or self.most == 1 or token in self.ends

    def take(self, token: int) -> None:
        self.tokens.put(token)
        self.done = self.ended_by(token)
        self.most -= 1

    def fail(self, error: Exception) -> None:
        self.tokens.put(error)
        self.done = True


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Python ends a daemon thread wherever it is by then, and if that is in torch, the process aborts."""
    for writer in list(_writers):
        writer.close()


class Writer:
    """Texts with the same weights share a batch; batches take turns, one step each."""

    def __init__(self, loaded: Loaded, ends: frozenset[int]) -> None:
        self.loaded = loaded
        self.ends = ends
        self._graphs = Graphs() if loaded.device.torch_name == "cuda" else None
        self._waiting: deque[Text] = deque()
        self._groups: list[_Group] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        _writers.add(self)

    def close(self) -> None:
        """End the thread after its step, whatever is being written."""
        with self._changed:
            self._closed, thread = True, self._thread
            self._changed.notify()
        if thread:
            thread.join()

    def write(self, read: ReadPrompts, pending: list[int], adapter: Path | None, most: int) -> Iterator[int]:
        """Token ids that follow the prompt read (one) and the pending tokens, greedily, each as it is chosen.

        At most so many; an end token is the last. Closing the iterator ends the text. Raises what the network raised.
        """
        # Made here, in the thread of who waits for it: the other texts go on meanwhile.
        copy = self.loaded.copy_for_writing(adapter)
        text = Text(read, pending, adapter, adapter_key(adapter), copy, most, self.ends)
        with self._changed:
            self._waiting.append(text)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="writer")
                self._thread.start()
        try:
            for _ in range(most):
                token = text.tokens.get()
                if isinstance(token, Exception):
                    raise token
                yield token
                if token in self.ends:
                    return
        finally:
            text.done = True

    def _run(self) -> None:
        if self.loaded.is_copied:
            # A small model's step is hundreds of tiny operations: handing half of each to a second thread that sleeps
            # in between takes medqa-nano's step of eight texts from 12 to 20 ms.
            compute_on(1)
        while True:
            with self._changed:
                if not self._groups and not self._waiting and not self._closed:
                    self._changed.wait(IDLE_SECONDS)
                if self._closed or (not self._groups and not self._waiting):
                    self._thread = None
                    return
                free = TEXTS_AT_ONCE - sum(len(group.texts) for group in self._groups)
                joining = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
            for texts in _alike(joining):
                self._begin(texts)
            self._groups = [left for group in self._groups for left in self._stepped(group)]

    def _begin(self, texts: list[Text]) -> None:
        """Texts with the same weights, all in one pass."""
        try:
            with self._network(texts[0]) as network:
                begun = begin(network, joined([text.read for text in texts]), [text.pending for text in texts])
                self._join(network, [(text, *new) for text, new in zip(texts, begun, strict=True)])
        except Exception as error:  # whoever asked for this text reads it; the others go on
            if len(texts) == 1:
                return texts[0].fail(error)
        else:
            for text, (_, token) in zip(texts, begun, strict=True):
                text.take(token)
            return
        for text in texts:
            self._begin([text])

    def _join(self, network: PreTrainedModel, begun: list[tuple[Text, State, int]]) -> None:
        """Into the group of their weights, those that their first token does not end."""
        going = [one for one in begun if not one[0].ended_by(one[2])]
        if not going:
            return
        texts, states, tokens = map(list, zip(*going, strict=True))
        # The token just chosen is one of them.
        most = max(text.most for text in texts) - 1
        same = next((group for group in self._groups if group.texts[0].key == texts[0].key), None)
        if same:
            same.batch = same.batch.joined(states, network, most)
            same.texts += texts
            same.tokens += tokens
        else:
            self._groups.append(_Group(texts, tokens, self._batch(network, texts[0], states, most)))

    def _batch(self, network: PreTrainedModel, text: Text, states: list[State], most: int) -> Batch | GraphedBatch:
        # A sliding window's layers keep other columns than the graph's memory has.
        if self._graphs is None or text.has_window:
            return Batch(states, text.copy.lean if text.copy else None)
        return self._graphs.begin(network, text.key, states, most)

    def _stepped(self, group: _Group) -> list[_Group]:
        """The group after a step; none when all its texts are done, one for each text when they failed together."""
        try:
            if group.batch.needs_network:
                with self._network(group.texts[0]) as network:
                    return group.stepped(network)
            with torch.inference_mode():
                return group.stepped(None)
        except Exception as error:  # one text's fault must not end the others: each goes on alone, and may fail alone
            return _apart(group, error)

    @contextmanager
    def _network(self, text: Text) -> Iterator[PreTrainedModel]:
        if text.copy is None:
            with self.loaded.using(text.adapter) as network:
                yield network
        else:
            with torch.inference_mode():
                yield text.copy.network


class _Group:
    """Texts with the same weights, the batch they are in, and the token of each to be read next."""

    def __init__(self, texts: list[Text], tokens: list[int], batch: Batch | GraphedBatch) -> None:
        self.texts = texts
        self.tokens = tokens
        self.batch = batch

    def only(self, kept: list[int], batch: Batch | GraphedBatch | None = None) -> _Group:
        batch = batch or self.batch.only(kept)
        return _Group([self.texts[i] for i in kept], [self.tokens[i] for i in kept], batch)

    def stepped(self, network: PreTrainedModel | None) -> list[_Group]:
        going = [i for i, text in enumerate(self.texts) if not text.done]
        if not going:
            return []
        group = self.only(going) if len(going) < len(self.texts) or self.batch.full else self
        group.tokens = group.batch.step(network, group.tokens)
        for text, token in zip(group.texts, group.tokens, strict=True):
            text.take(token)
        return [group]


def _alike(texts: Sequence[Text]) -> list[list[Text]]:
    """Those that nobody has turned from, by their weights. What has a sliding window goes alone."""
    groups: dict[object, list[Text]] = {}
    for text in texts:
        if not text.done:
            groups.setdefault(id(text) if text.has_window else text.key, []).append(text)
    return list(groups.values())


def _apart(group: _Group, error: Exception) -> list[_Group]:
    """Each text in a group of its own; a single one, or all when there is no room even for that, fail."""
    if len(group.texts) > 1:
        try:
            with torch.inference_mode():
                # Without graphs: two batches of the same weights would share one's memory.
                return [group.only([i], Batch([group.batch.state(i)])) for i in range(len(group.texts))]
        except Exception as second:  # most likely memory, which is what the first was too
            error = second
    for text in group.texts:
        text.fail(error)
    return []
