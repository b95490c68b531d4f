"""Who may reach a page that takes whoever reaches it for its host. Knows nothing of the page behind it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from medqa.settings import is_loopback

# What proxies say of whom they ask for; each has its own.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip", "true-client-ip")
REFUSED = (
    "This MedQA takes whoever reaches it for its host, and this request came {how}. Whoever runs it can start it with "
    "MEDQA_PUBLIC=1 where others reach it, or with MEDQA_PROXY=1 where a proxy or another name leads here and nobody "
    "else can.\n"
)


class OwnMachineOnly:
    """ASGI middleware: refuses what came through a proxy or under another name than this machine's own.

    Another name can be a web site's that has itself looked up as 127.0.0.1 (DNS rebinding): the browser takes the page
    for that site's own and lets it press every button.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        how = _astray(Headers(scope=scope)) if scope["type"] in ("http", "websocket") else None
        if how is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(REFUSED.format(how=how), 403)(scope, receive, send)


def _astray(headers: Headers) -> str | None:
    through = next((name for name in FORWARDED if name in headers), None)
    if through:
        return f"through a proxy (it has the header {through})"
    asked = headers.get("host", "")
    return None if is_loopback(_without_port(asked)) else f"under the name {asked!r}"


def _without_port(host: str) -> str:
    """Of a Host header; IPv6 addresses stand in brackets there."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
