from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.files import repos_file
from iac_wrapper.model import forms
from iac_wrapper.model.exposure import LOCAL, Exposure
from iac_wrapper.model.options import KEYS, Options

EVERY = Options(
    run="web",
    rollout="replace",
    health="/healthz",
    health_timeout=180,
    stop_grace=90,
    memory_mb=1024,
    cpus=1.5,
    tmpfs={"/data": 256, "/app/cache": 64},
    volumes={"uploads": "/app/uploads", "db_files": "/srv"},
    needs=("db", "cache"),
    release="python manage.py migrate",
    tcp=(5432, 6379),
    expose=(Exposure("app.example.com", "/api", hsts=3600), Exposure("a.example.com", tls="off")),
    dependencies="requirements/prod.txt",
    command="serve --slow 'two words'",
    capabilities="CHOWN SETUID",
    writable=True,
    user="999:998",
    lfs=True,
    submodules=False,
    schedule={"backup": "0 3 * * * python backup.py 'all of it'", "ping": "* * * * * true"},
    packages=("ffmpeg", "libpq-dev"),
    allow={"cache": (), "db": ("/api/*", "/a.B/Get", "tcp:5432")},
    egress=("api.example.com", "db.example.com:5432", "10.0.0.0/8", "10.1.2.3:53"),
)


@pytest.mark.parametrize(
    "options",
    [
        replace(EVERY, dependencies=None, packages=()),
        Options(dependencies="pyproject.toml[web, bot]", packages=("ffmpeg", "libpq-dev")),
        Options(allow={}),
        Options(egress=()),
        Options(memory_mb=65, health_timeout=3600, stop_grace=1, cpus=0.25, expose=LOCAL),
        Options(
            expose=(Exposure("a.example.com", tls="files", cert="a", key="b", redirect=False),)
        ),
    ],
)
def test_written_options_are_read_as_what_they_were(options: Options) -> None:
    """Keys and units are those of repos.yaml."""
    lines = "".join(f"  {key}: {text}\n" for key, text in options.written().items())
    kind = "" if options.packages else "  build: dockerfile\n"
    text = f"- slug: gh:o/r\n{kind}{lines}- gh:o/db\n- gh:o/cache\n"
    spec, *_ = repos_file.parse_entries(text, Path("repos.yaml"))
    assert spec.options == options
    assert Options.from_dict(options.to_dict()) == options


def test_every_key_can_be_written() -> None:
    """A new key of repos.yaml has words in a plan as well."""
    assert set(EVERY.written()) == {key.name for key in KEYS.values()}
    assert EVERY.written()["tmpfs"] == "{/app/cache: 64m, /data: 256m}"
    assert Options().written() == {}


def test_a_folder_of_the_system_is_refused_in_words_that_fit() -> None:
    """`/usr` is an absolute path without a final slash, so the rest of the rule is said as well."""
    assert not forms.is_mountable("/usr")
    assert "no folder of the system" in forms.mount_path().expected
