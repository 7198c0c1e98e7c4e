"""What tests of data sets share: a machine without a network."""

import pytest


@pytest.fixture
def offline(monkeypatch):
    """Refuses every connection, and counts them."""
    requests = pytest.importorskip("requests")
    calls = []

    def refuse(self, request, **kwargs):
        calls.append(request.url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)
    return calls
