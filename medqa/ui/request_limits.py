"""How large a request may be, and how much of what is uploaded may lie about. Knows nothing of the page behind it.

Gradio keeps what is posted before a handler of ours sees it: in memory what is posted to an event, on the disk what is
uploaded.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = "/gradio_api/upload"
# Writes a session's fields to the disk for whoever asks; the page offers no such links.
DEEP_LINK = "/gradio_api/deep_link"
# The largest event the page sends is a question with its options: some 10 kB at MEDQA_MAX_QUESTION_TOKENS.
EVENT_BYTES = 256_000
# Around an uploaded file stand its name and boundaries.
FRAME_BYTES = 64_000
# What each file and folder takes of the disk at least.
LEAST_BYTES = 4096
TOO_LARGE = "This is larger than the {most:,} bytes that may be sent at once here. Send less."
NO_ROOM = "The server has no room for uploads left. Try again in an hour, when the oldest ones are deleted."


class RequestLimits:
    """ASGI middleware. `room`: how many bytes may lie in Gradio's `folder`; what is older than `kept_seconds` goes."""

    def __init__(self, app: ASGIApp, upload_bytes: int, folder: Path, kept_seconds: float, room: float) -> None:
        self.app = app
        self.upload_bytes = upload_bytes + FRAME_BYTES
        self.folder = folder
        self.kept_seconds = kept_seconds
        self.room = room
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == DEEP_LINK:
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        elif scope["path"] == UPLOAD:
            await self._with_room(scope, receive, send)
        else:
            await self._limited(EVENT_BYTES, scope, receive, send)

    async def _with_room(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = min(_announced(scope, self.upload_bytes), self.upload_bytes)
        # Counted before it is there, or a hundred at the same moment would each find room.
        self._under_way += wanted
        try:
            lying = await to_thread.run_sync(self._lying)
            if lying + self._under_way > self.room:
                await PlainTextResponse(NO_ROOM, 507)(scope, receive, send)
            else:
                await self._limited(self.upload_bytes, scope, receive, send)
        finally:
            self._under_way -= wanted

    def _lying(self) -> int:
        """Bytes in the folder once what is too old is deleted: Gradio forgets what a broken upload left there."""
        total, oldest = 0, time.time() - self.kept_seconds
        for folder, folders, files in os.walk(self.folder, topdown=False):
            for path in (Path(folder, name) for name in (*files, *folders)):
                # Gone meanwhile, or a folder that is not empty.
                with suppress(OSError):
                    status = path.lstat()
                    if status.st_mtime >= oldest:
                        total += max(status.st_size, LEAST_BYTES)
                    elif path.is_dir():
                        path.rmdir()
                    else:
                        path.unlink()
        return total

    async def _limited(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        too_large = TOO_LARGE.format(most=most)
        if _announced(scope, 0) > most:
            await PlainTextResponse(too_large, 413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                # FastAPI lets this one through to the client, and no other exception.
                raise HTTPException(413, too_large)
            return message

        await self.app(scope, counted, send)


def _announced(scope: Scope, otherwise: int) -> int:
    """The length in the request's own words; `otherwise` where it comes in chunks of unknown number."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else otherwise
