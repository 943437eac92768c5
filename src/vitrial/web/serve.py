"""The page on which a person drops an image and sees what each arm of a study makes of it.

Nothing that is sent is stored, and the name of its file is not sent.
"""

from __future__ import annotations

from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vitrial.errors import VitrialError
from vitrial.evaluate.neighborhood import NEEDED
from vitrial.explain.methods import METHODS
from vitrial.report.figures.figure_one import kept_patches, overlay
from vitrial.web.answers import Answer, ArmAnswer, Panel
from vitrial.web.guard import Guard
from vitrial.web.pictures import picture
from vitrial.web.template import environment, static

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MOST_BYTES = 64 * 2**20
"""Of a file: a mammogram of 3,328 x 4,096 pixels of 16 bits takes 26 MiB. How many pixels it may
have is checked where it is decoded, as in training."""
SECONDS = 60
"""In which a file must have arrived."""
MAP_SIDE, NEIGHBOR_SIDE = 320, 112
"""Of the page's pictures, in pixels."""
MOST_CLASSES = 5
"""Shown of each arm at once; the others are folded."""


def serve_app(panel: Panel, host: str) -> ASGIApp:
    """The application.

    Args:
        panel: The arms.
        host: What it listens on.
    """
    one_at_a_time = anyio.CapacityLimiter(1)

    async def page(request: Request) -> Response:
        facts = {"panel": panel, "most_bytes": MOST_BYTES}
        return HTMLResponse(environment().get_template("serve.html.j2").render(facts))

    async def answer(request: Request) -> Response:
        content = await received(request)
        try:
            found = await anyio.to_thread.run_sync(panel.answer, content, limiter=one_at_a_time)
        except VitrialError as error:
            return PlainTextResponse(str(error), 422)
        except MemoryError:
            return PlainTextResponse("The image does not fit into this machine's memory.", 413)
        return HTMLResponse(answer_page(found, panel.classes))

    routes = [
        Route("/", page),
        Route("/answer", answer, methods=["POST"]),
        *static("web.css", "serve.js"),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # a path is one of these, or nothing
    return Guard(app, host, POLICY)


async def received(request: Request) -> bytes:
    """The file that is sent, as far as it may be long.

    Raises:
        HTTPException: It is too long, or takes too long.
    """
    content = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise HTTPException(
                        413, f"The file is larger than {MOST_BYTES // 2**20} MiB: make it smaller."
                    )
    except TimeoutError:
        raise HTTPException(408, f"The file did not arrive within {SECONDS} seconds.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The file did not arrive.") from None
    return bytes(content)


def answer_page(answer: Answer, classes: list[str]) -> str:
    """What the arms answer, as a part of the page."""
    arms = [_shown(arm, classes) for arm in answer.arms]
    facts = {"decoded": answer.decoded, "arms": arms, "most": MOST_CLASSES, "needed": NEEDED}
    return environment().get_template("answer.html.j2").render(facts)


def _shown(arm: ArmAnswer, classes: list[str]) -> dict[str, Any]:
    draw = kept_patches if arm.method == "attention" else overlay
    order = (-arm.probabilities).argsort(kind="stable")
    return {
        "answer": arm,
        "classes": [(classes[c], float(arm.probabilities[c])) for c in order],
        "method": METHODS.entry(arm.method).LABEL,
        "seen": picture(arm.seen, MAP_SIDE),
        "map": picture(draw(arm.seen, arm.map), MAP_SIDE),
        "neighbors": [(one, picture(one.pixels, NEIGHBOR_SIDE)) for one in arm.neighbors],
    }
