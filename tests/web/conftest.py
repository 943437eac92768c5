import pytest
from starlette.testclient import TestClient

from served import HOST
from vitrial.web.serve import serve_app


@pytest.fixture
def client(panel):
    return TestClient(serve_app(panel, HOST), base_url=f"http://{HOST}:8572")


@pytest.fixture
def ask(client):
    """Sends a file as the page does."""

    def ask(content, **headers):
        own = {"origin": "http://127.0.0.1:8572"}
        return client.post("/answer", content=content, headers=own | headers)

    return ask
