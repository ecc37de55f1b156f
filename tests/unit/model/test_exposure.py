from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.exposure import (
    LOCAL,
    Exposure,
    Exposures,
    PublicPorts,
    check_claims,
    from_json,
    to_json,
    urls_of,
)

APP = Exposure("app.example.com")


def read(text: str) -> Exposures:
    """What `expose:` of one entry says."""
    (spec,) = repos_file.parse_entries(f"- slug: gh:o/r\n  expose: {text}\n", Path("repos.yaml"))
    return spec.options.expose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", LOCAL),
        ("false", ()),
        ("{host: app.example.com}", (APP,)),
        (
            "[{host: app.example.com, path: /api}, {host: b.example.com, tls: 'off'}]",
            (Exposure("app.example.com", "/api"), Exposure("b.example.com", tls="off")),
        ),
        (
            "{host: app.example.com, tls: files, cert: c.pem, key: k.pem, hsts: 60}",
            (Exposure("app.example.com", tls="files", cert="c.pem", key="k.pem", hsts=60),),
        ),
        (
            "{host: app.example.com, redirect: false, hsts: false}",
            (Exposure("app.example.com", redirect=False),),
        ),
    ],
)
def test_what_can_be_written(text: str, expected: Exposures) -> None:
    """A switch, a mapping, a list; a lock keeps it."""
    assert read(text) == expected
    assert from_json(to_json(expected)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yes", "true, or a mapping with host"),
        ("[]", "1 to 100 mappings"),
        ("[true]", "expose is not a mapping"),
        ("{path: /}", "no host"),
        ("{host: localhost}", "a host name with a dot"),
        ("{host: App.example.com}", "in lower case"),
        ("{host: 192.0.2.1}", "a host name with a dot"),
        ("{host: app.example.com, path: api}", "a path such as /api"),
        ("{host: app.example.com, path: /api/}", "without a final slash"),
        ("{host: app.example.com, path: /a/../b}", "a path such as /api"),
        ("{host: app.example.com, tls: files, cert: c}", "tls: files without cert and key"),
        ("{host: app.example.com, cert: c, key: k}", "cert with tls: auto"),
        ("{host: app.example.com, tls: 'off', hsts: 60}", "hsts with tls: off"),
        ("{host: app.example.com, hsts: 99999999}", "seconds up to 63072000"),
        ("{host: app.example.com, redirect: maybe}", "true or false"),
        ("{hosst: app.example.com}", "expected: 'host'"),
    ],
)
def test_what_cannot(text: str, said: str) -> None:
    """Each with its line and the form that was expected."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert (caught.value.where or "").startswith("repos.yaml:2")
    assert said in str(caught.value)


def test_urls_are_what_people_type() -> None:
    """Ports only where they are not the usual ones."""
    every = (*LOCAL, APP, Exposure("a.example.com", "/x", tls="off"))
    assert urls_of("web", every, PublicPorts(15080)) == (
        "http://a.example.com/x/",
        "https://app.example.com/",
        "http://web.localhost:15080/",
    )
    ports = PublicPorts(1, 8080, 8443)
    assert urls_of("web", (APP,), ports) == ("https://app.example.com:8443/",)


def test_two_cannot_have_one_address() -> None:
    """Both are named, with the places where they are written; another path is another address."""
    api = (Exposure("app.example.com", "/api"),)
    check_claims([("web", "", (APP,)), ("api", "", api), ("a", "", LOCAL), ("b", "", LOCAL)])
    with pytest.raises(ConfigError, match=r"app\.example\.com is exposed twice") as caught:
        check_claims([("web", "repos.yaml:1", (APP,)), ("api", "repos.yaml:4", (APP,))])
    assert caught.value.found == "web (repos.yaml:1) and api (repos.yaml:4)"
    with pytest.raises(ConfigError) as caught:
        check_claims([("web", "", (APP, APP))])
    assert caught.value.found == "web, twice"


def test_one_host_has_one_certificate() -> None:
    """Whatever its paths are; plain HTTP needs none."""
    files = Exposure("app.example.com", "/api", tls="files", cert="c", key="k")
    check_claims(
        [("web", "", (APP,)), ("api", "", (Exposure("app.example.com", "/a", tls="off"),))]
    )
    with pytest.raises(ConfigError, match=r"two certificates for app\.example\.com") as caught:
        check_claims([("web", "r:1", (APP,)), ("api", "r:2", (files,))])
    assert "tls: auto of web (r:1), tls: files, cert: c, key: k of api (r:2)" in str(caught.value)
