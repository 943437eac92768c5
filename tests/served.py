"""Servers for the tests of pages, requests to them, and files to send."""

import io
import socket
import threading
from contextlib import contextmanager, suppress

import numpy as np
from PIL import Image

from vitrial.web.server import listen, server_of

HOST = "127.0.0.1"


def encoded(pixels, form="PNG", mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@contextmanager
def running(app):
    """Serve an application by a real server on loopback; gives its port."""
    listening = listen(HOST, 0, 0)
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def spoken(port, request):
    """What a server answers to bytes that no client would send."""
    with socket.create_connection((HOST, port), timeout=10) as connection:
        answer = b""
        with suppress(OSError):  # refused before all of it was read
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        return answer.decode("latin-1")
