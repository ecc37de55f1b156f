from __future__ import annotations

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.slug import Slug
from iac_wrapper.settings import Settings

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "kind", "location", "ref", "subdir"),
    [
        ("gh:owner/repo", "gh", "owner/repo", None, None),
        ("gh:owner/repo.git", "gh", "owner/repo", None, None),
        ("gh:owner/re.po_x-1#v1.2", "gh", "owner/re.po_x-1", "v1.2", None),
        ("gh:owner/repo#feature/x:apps/web", "gh", "owner/repo", "feature/x", "apps/web"),
        ("gh:owner/repo#:apps//./web/", "gh", "owner/repo", None, "apps/web"),
        ("gl:group/sub/repo#main", "gl", "group/sub/repo", "main", None),
        ("bb:team/repo#" + SHA, "bb", "team/repo", SHA, None),
        ("git+https://git.example.org:8443/a/b.git", "git", None, None, None),
        ("git+ssh://git@example.org/a/b.git#main", "git", None, "main", None),
        ("git+http://127.0.0.1:8080/a/b", "git", None, None, None),
        ("git+http://[::1]/a/b", "git", None, None, None),
        ("git+file:///srv/a.git#main:x", "git", "file:///srv/a.git", "main", "x"),
        ("./x", "path", "./x", None, None),
        ("../x/y", "path", "../x/y", None, None),
        ("/srv/x#:app", "path", "/srv/x", None, "app"),
        ("~/x", "path", "~/x", None, None),
        (".", "path", ".", None, None),
    ],
)
def test_forms(
    text: str, kind: str, location: str | None, ref: str | None, subdir: str | None
) -> None:
    """Every documented form is read into kind, location, ref and subdirectory."""
    slug = Slug.parse(text)
    wanted = location or text.removeprefix("git+").partition("#")[0]
    assert (slug.text, slug.kind, slug.location) == (text, kind, wanted)
    assert (slug.ref, slug.subdir) == (ref, subdir)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " gh:a/b",
        "gh:a/b\n",
        "gh:a/b\x1b[31m",
        "gh:" + "a" * 2000 + "/b",
        "gh:owner",
        "gh:owner/",
        "gh:a/b/c",
        "gh:-a/b",
        "gh:../b",
        "gh:a/..",
        "gh:a b/c",
        "gh:a/b?x=1",
        "gl:repo",
        "git+ext::sh -c id",
        "git+ftp://host/x",
        "git+git://host/x",
        "git+https://",
        "git+https://host",
        "git+https://host:99999999/x",
        "git+https://host/x?y=1",
        "git+https://[/x",
        "git+ssh://-oProxyCommand=id/x",
        "git+ssh://-oProxyCommand=id@host/x",
        "git+file://host/x",
        "git+file:x",
        "git+http://example.org/x",
        "svn:a/b",
        "x:y:z",
    ],
)
def test_bad_location(text: str) -> None:
    """What is not a slug is refused with what was found and what is expected."""
    with pytest.raises(ConfigError) as caught:
        Slug.parse(text)
    assert caught.value.found
    assert caught.value.expected
    assert caught.value.next_step


@pytest.mark.parametrize(
    "ref",
    [
        "-x",
        "--upload-pack=id",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "@",
        "@{u}",
        "a@{1}",
        "/a",
        "a/",
        "a//b",
        "a.",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "",
    ],
)
def test_bad_ref(ref: str) -> None:
    """A ref that git itself would refuse, or read as an option, is refused here."""
    with pytest.raises(ConfigError):
        Slug.parse(f"gh:a/b#{ref}")


@pytest.mark.parametrize("subdir", ["/x", "~x", "../x", "x/../y", "a\\b", ".", "./"])
def test_bad_subdir(subdir: str) -> None:
    """A subdirectory is relative and never climbs."""
    with pytest.raises(ConfigError):
        Slug.parse(f"gh:a/b#:{subdir}")


def test_path_has_no_ref() -> None:
    """A ref on a local path is answered with the form that has one."""
    with pytest.raises(ConfigError, match=r"git\+file://.*#main"):
        Slug.parse("./x#main")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("github:owner/repo", "gh:owner/repo"),
        ("GH:owner/repo#v1", "gh:owner/repo#v1"),
        ("gitlab:a/b/c", "gl:a/b/c"),
        ("github.com/owner/repo", "gh:owner/repo"),
        ("https://git.example.org/a/b#x", "git+https://git.example.org/a/b#x"),
        ("owner/repo", "gh:owner/repo"),
        ("owner/repo#v1", "gh:owner/repo#v1"),
        ("folder", "./folder"),
    ],
)
def test_near_miss(text: str, meant: str) -> None:
    """What people write by habit is answered with the right spelling."""
    with pytest.raises(ConfigError) as caught:
        Slug.parse(text)
    assert meant in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://github.com/owner/repo", "gh:owner/repo"),
        ("https://github.com/owner/repo/", "gh:owner/repo"),
        ("https://github.com/owner/repo?tab=readme-ov-file", "gh:owner/repo"),
        ("https://github.com/owner/repo.git#v1:app", "gh:owner/repo#v1:app"),
        ("https://www.github.com/owner/repo/tree/main", "gh:owner/repo#main"),
        ("https://github.com/owner/repo/tree/main/apps/web", "gh:owner/repo#main:apps/web"),
        ("https://github.com/owner/repo/tree/feature%2Fx/app", "gh:owner/repo#feature/x:app"),
        ("https://github.com/owner/repo/commit/0123abc", "gh:owner/repo#0123abc"),
        ("https://github.com/owner/repo/releases/tag/v1.2", "gh:owner/repo#v1.2"),
        ("https://gitlab.com/g/s/repo", "gl:g/s/repo"),
        ("https://gitlab.com/g/r/-/tree/main/a/b?ref_type=heads", "gl:g/r#main:a/b"),
        ("https://bitbucket.org/team/repo/src/main/", "bb:team/repo#main"),
        ("https://bitbucket.org/team/repo/src/main/app/", "bb:team/repo#main:app"),
        ("git@github.com:owner/repo.git", "git+ssh://git@github.com/owner/repo.git"),
        ("git@example.org:a/b.git#x:y", "git+ssh://git@example.org/a/b.git#x:y"),
        ("ssh://git@example.org:2222/a/b.git", "git+ssh://git@example.org:2222/a/b.git"),
        ("https://git.example.org/a/b.git#x", "git+https://git.example.org/a/b.git#x"),
    ],
)
def test_pasted_addresses(text: str, meant: str) -> None:
    """What a browser or a host's Clone button shows is read as the slug that it means."""
    slug = Slug.parse(text)
    assert (slug, slug.text) == (Slug.parse(meant), meant)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("https://github.com/owner/repo/blob/main/app/x.py", "write gh:owner/repo#main:app"),
        ("https://github.com/owner/repo/blob/main/x.py", "write gh:owner/repo#main"),
        ("https://github.com/owner/repo/pull/7/files", "write gh:owner/repo"),
        ("https://gitlab.com/g/s/r/-/merge_requests/1", "write gl:g/s/r"),
        ("https://github.com/owner/repo/tree/main/app#install", "write gh:owner/repo#main:app"),
        ("https://github.com/owner/repo/tree/main/%2e%2e/x", ""),
        ("https://github.com/owner/re%20po", ""),
        ("ssh://-oProxyCommand=id/x", ""),
        ("ssh://git:sentinel-7@example.org/x", ""),
    ],
)
def test_pasted_addresses_that_are_not_one_source(text: str, step: str) -> None:
    """They are answered with the slug to write, where there is one."""
    with pytest.raises(ConfigError, match="no source can be made of this address") as caught:
        Slug.parse(text)
    assert step in (caught.value.next_step or "")
    assert "sentinel-7" not in str(caught.value)


def test_a_pasted_address_is_of_its_own_host() -> None:
    """Where gh: stands for another host, a page of github.com is not taken for one of it."""
    slug = Slug.parse("https://github.com/o/r").with_subdir("x")
    assert slug.clone_url(Settings().hosts) == "https://github.com/o/r.git"
    with pytest.raises(ConfigError, match=r"not at https://github\.com here") as caught:
        slug.clone_url(Settings(IAC_GITHUB_URL="https://gh.test").hosts)
    assert "git+https://github.com/o/r.git" in (caught.value.next_step or "")


@pytest.mark.parametrize(
    "text",
    [
        "git+https://user:sentinel-7@example.org/a/b",
        "git+https://sentinel-7@example.org/a/b",
        "https://x:sentinel-7@example.org/a/b",
    ],
)
def test_credentials_are_refused_and_not_repeated(text: str) -> None:
    """A slug with a token in it is refused, and the message does not show the token."""
    with pytest.raises(ConfigError) as caught:
        Slug.parse(text)
    assert "sentinel-7" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("gh:owner/My_Repo.js", "my-repo-js"),
        ("gh:owner/repo#main:apps/Web_App", "web-app"),
        ("git+https://h/a/some%20thing.git", "some-thing"),
        ("gh:a/" + "x" * 80, "x" * 63),
        ("gh:a/_._", ""),
        ("/srv/Thing", "thing"),
    ],
)
def test_label(text: str, label: str) -> None:
    """The suggested service name is a DNS label."""
    assert Slug.parse(text).label == label


def test_with_subdir_writes_the_text_anew() -> None:
    """The text names the subdirectory, because the lock file compares texts."""
    assert Slug.parse("gh:a/b#v1").with_subdir("x/y").text == "gh:a/b#v1:x/y"
    assert Slug.parse("gh:a/b").with_subdir("x").text == "gh:a/b#:x"


@pytest.mark.parametrize(
    ("text", "clone", "archive"),
    [
        ("gh:o/r", "https://gh.test/o/r.git", f"https://gh.test/o/r/archive/{SHA}.tar.gz"),
        (
            "gl:g/s/r",
            "https://gl.test/x/g/s/r.git",
            f"https://gl.test/x/g/s/r/-/archive/{SHA}/r-{SHA}.tar.gz",
        ),
        ("bb:o/r", "https://bb.test/o/r.git", f"https://bb.test/o/r/get/{SHA}.tar.gz"),
        ("git+https://h.test/r", "https://h.test/r", None),
    ],
)
def test_addresses(text: str, clone: str, archive: str | None) -> None:
    """Clone and archive addresses follow the base URLs in the settings."""
    settings = Settings(
        IAC_GITHUB_URL="https://gh.test/",
        IAC_GITLAB_URL="https://gl.test/x",
        IAC_BITBUCKET_URL="https://bb.test",
    )
    slug = Slug.parse(text)
    assert slug.clone_url(settings.hosts) == clone
    assert slug.archive_url(settings.hosts, SHA) == archive


def test_path_has_no_address() -> None:
    """A local path is never cloned."""
    slug = Slug.parse("./x")
    assert slug.archive_url(Settings().hosts, SHA) is None
    with pytest.raises(ValueError, match="local path"):
        slug.clone_url(Settings().hosts)


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "https://u:sentinel-7@h", "ftp://h", "https://h/?q=1", "https://[", "h"],
)
def test_bad_base_url(url: str) -> None:
    """A base URL that would send code or tokens in clear text is refused, naming the setting."""
    with pytest.raises(ConfigError) as caught:
        Slug.parse("gh:a/b").clone_url(Settings(IAC_GITHUB_URL=url).hosts)
    assert caught.value.where == "IAC_GITHUB_URL"
    assert "sentinel-7" not in str(caught.value)
