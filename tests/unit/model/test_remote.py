from __future__ import annotations

import base64

import pytest

from iac_wrapper.model.remote import remote_of
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings

SETTINGS = Settings(
    GITHUB_TOKEN="sentinel-gh", GITLAB_TOKEN="sentinel-gl", BITBUCKET_TOKEN="sentinel-bb"
)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("gh:a/b", "x-access-token:sentinel-gh"),
        ("bb:a/b", "x-token-auth:sentinel-bb"),
        ("gl:a/b", "oauth2:sentinel-gl"),
        ("git+https://github.com/a/b", "x-access-token:sentinel-gh"),
    ],
)
def test_token_of_the_host(text: str, pair: str) -> None:
    """A host's own token goes with its URLs, however they are written, and never in clear."""
    remote = remote_of(Slug.parse(text), SETTINGS.hosts)
    encoded = base64.b64encode(pair.encode()).decode()
    assert remote.git_header == f"Authorization: Basic {encoded}"
    assert "sentinel" not in repr(remote)


@pytest.mark.parametrize(
    "text",
    [
        "git+https://github.com.evil.test/a/b",
        "git+https://github.com:8443/a/b",
        "git+ssh://git@github.com/a/b",
        "git+file:///github.com/a",
    ],
)
def test_no_token_elsewhere(text: str) -> None:
    """Another host, port or scheme gets no token."""
    remote = remote_of(Slug.parse(text), SETTINGS.hosts)
    assert remote.git_header is None
    assert remote.archive_headers == {}


def test_gitlab_archive_header() -> None:
    """GitLab's archive route takes PRIVATE-TOKEN, the others Basic authorization."""
    assert remote_of(Slug.parse("gl:a/b"), SETTINGS.hosts).archive_headers == {
        "PRIVATE-TOKEN": "sentinel-gl"
    }
    assert "Authorization" in remote_of(Slug.parse("gh:a/b"), SETTINGS.hosts).archive_headers
