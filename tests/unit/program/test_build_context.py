"""From a checkout to a build context: the tag, the files, and what stays out."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError, SourceError
from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug
from iac_wrapper.program import bytecode
from iac_wrapper.program.build_context import AppBuild, describe
from iac_wrapper.program.context_folder import KEPT_CONTEXTS, write
from iac_wrapper.program.detection import detect
from iac_wrapper.settings import Settings
from iac_wrapper.sources.tree import tree_hash
from tests.support.git_server import GitServer

BASES = {
    version: PythonBase(f"iac/python:{version}-slim", f"iac/runtime:{version}-x")
    for version in ("3.11", "3.13")
}
HOST = Host("docker", "terraform", "node", "embedded", "iac/envoy:x", BASES)
SPEC = AppSpec("shop", Slug("gh:acme/shop", "gh", "acme/shop"))

Describe = Callable[..., AppBuild]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    (root / "main.py").write_text("print('hi')\n")
    return root


@pytest.fixture
def describe_it(tmp_path: Path, source: Path) -> Describe:
    """`describe` with defaults; each keyword changes one input."""

    def call(
        *,
        host: Host = HOST,
        spec: AppSpec = SPEC,
        tree: str = "",
        project: str = "p",
        around: Path | None = None,
    ) -> AppBuild:
        checkout = Checkout(
            spec, source, tree or tree_hash(source), "c" * 40, "archive", source=around
        )
        return describe(
            checkout,
            detect(source, entrypoint=spec.entrypoint).entrypoint,
            host=host,
            layout=Layout(tmp_path),
            settings=Settings(),
            project=project,
        )

    return call


def tag(build: AppBuild) -> str:
    return build.image.rpartition(":")[2]


def test_same_inputs_same_image(describe_it: Describe) -> None:
    """Two descriptions of one thing are equal, and the image is named as agreed."""
    build = describe_it()
    assert build == describe_it()
    assert build.image.startswith("iac/p-shop:")
    assert len(tag(build)) == 12
    assert (build.python, build.base) == ("3.11", "iac/runtime:3.11-x")


def test_every_input_changes_the_tag(describe_it: Describe, source: Path) -> None:
    """Tree, base, port, entrypoint and dependencies each make another image."""
    tags = {tag(describe_it())}
    tags.add(tag(describe_it(tree="sha256:02")))
    other = {**BASES, "3.11": replace(BASES["3.11"], runtime_image="iac/runtime:3.11-y")}
    tags.add(tag(describe_it(host=replace(HOST, bases=other))))
    tags.add(tag(describe_it(spec=replace(SPEC, port=80))))
    (source / "other.py").write_text("print('ho')\n")
    tags.add(tag(describe_it(spec=replace(SPEC, entrypoint="other.py"))))
    (source / "requirements.txt").write_text("idna\n")
    tags.add(tag(describe_it()))
    (source / "main.py").write_text('# /// script\n# dependencies = ["idna"]\n# ///\nprint()\n')
    tags.add(tag(describe_it()))
    assert len(tags) == 7


def test_the_commit_alone_does_not_change_the_tag(describe_it: Describe, source: Path) -> None:
    """A commit that leaves the tree as it was must not restart the service."""
    checkout = Checkout(SPEC, source, tree_hash(source), "d" * 40, "archive")
    build = describe(
        checkout,
        detect(source).entrypoint,
        host=HOST,
        layout=Layout(source.parent),
        settings=Settings(),
        project="p",
    )
    assert tag(build) == tag(describe_it())
    assert f'org.opencontainers.image.revision="{"d" * 40}"' in build.files["Dockerfile"]


def test_labels_name_the_source_without_credentials(describe_it: Describe) -> None:
    """A clone URL's user and password stay out of the image; a local path is no source at all."""
    slug = Slug("git+https://me:pw@host.test/x.git", "git", "https://me:pw@host.test/x.git")
    text = describe_it(spec=replace(SPEC, slug=slug)).files["Dockerfile"]
    assert 'image.source="git+https://host.test/x.git"' in text
    assert "pw" not in text
    local = describe_it(spec=replace(SPEC, slug=Slug("./x", "path", "./x")))
    assert "image.source" not in local.files["Dockerfile"]


def test_the_project_chooses_its_python(describe_it: Describe, source: Path) -> None:
    """requires-python selects among the bases of this machine."""
    (source / "pyproject.toml").write_text('[project]\nname="x"\nrequires-python=">=3.12"\n')
    build = describe_it()
    assert (build.python, build.base) == ("3.13", "iac/runtime:3.13-x")
    assert "FROM iac/runtime:3.13-x\n" in build.files["Dockerfile"]


def test_a_binary_takes_the_default_base(describe_it: Describe, source: Path) -> None:
    """It has no Python of its own, but runs beside the runner."""
    (source / "main.py").unlink()
    (source / "main").write_text("#!/bin/sh\n")
    (source / "main").chmod(0o755)
    build = describe_it()
    assert (build.python, build.base) == (None, "iac/runtime:3.11-x")
    with pytest.raises(ConfigError, match="no base image"):
        describe_it(host=replace(HOST, bases={"3.13": BASES["3.13"]}))


def test_the_context_holds_the_whole_source(describe_it: Describe, source: Path) -> None:
    """Modes are normal; names that are caches elsewhere, a CA's key and links inside are there."""
    (source / "bin").mkdir()
    (source / "bin" / "tool").write_text("#!/bin/sh\n")
    (source / "bin" / "tool").chmod(0o4777)
    (source / "main.py").chmod(0o666)
    for name in (".hg", ".venv", "certs", "secrets"):
        (source / name).mkdir()
        (source / name / "ca.key").write_text("key")
    (source / "link").symlink_to("bin")
    context = write(describe_it())
    app = context / "app"
    files = (p for p in app.rglob("*") if not p.is_dir() and p.suffix != ".pyc")
    found = sorted(str(p.relative_to(app)) for p in files)
    keys = [f"{name}/ca.key" for name in (".hg", ".venv", "certs", "secrets")]
    assert found == sorted([*keys, "bin/tool", "main.py"])
    assert (app / "bin" / "tool").stat().st_mode & 0o7777 == 0o755
    assert (app / "main.py").stat().st_mode & 0o7777 == 0o644
    assert (app / "link").readlink() == Path("bin")


def test_modes_do_not_depend_on_the_umask(
    describe_it: Describe, source: Path, strict_umask: None
) -> None:
    """User code runs under another uid than who deployed: under umask 077 as well."""
    del strict_umask
    (source / "package" / "inner").mkdir(parents=True)
    (source / "package" / "inner" / "data").write_text("x")
    (source / "package" / "run").write_text("#!/bin/sh\n")
    (source / "package" / "run").chmod(0o700)
    (source / "main.py").write_text('# /// script\n# dependencies = ["idna"]\n# ///\nprint()\n')
    context = write(describe_it())
    modes = {str(p.relative_to(context)): p.stat().st_mode & 0o7777 for p in context.rglob("*")}
    for cache in [name for name in modes if "__pycache__" in name]:
        assert modes.pop(cache) == (0o644 if cache.endswith(".pyc") else 0o755)
    assert modes == {
        "Dockerfile": 0o644,
        "deps": 0o755,
        "deps/main.py": 0o644,
        "app": 0o755,
        "app/main.py": 0o644,
        "app/package": 0o755,
        "app/package/run": 0o755,
        "app/package/inner": 0o755,
        "app/package/inner/data": 0o644,
    }


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_a_link_that_leaves_the_source_is_not_copied(
    describe_it: Describe, source: Path, target: str
) -> None:
    """A folder of a source may have links to its neighbours: no image gets them."""
    (source / "sub").mkdir()
    (source / "sub" / "link").symlink_to("../" + target if target[0] != "/" else target)
    app = write(describe_it()) / "app"
    assert (app / "main.py").is_file()
    assert list((app / "sub").iterdir()) == []


def test_an_existing_context_is_kept(describe_it: Describe) -> None:
    """The second deploy of the same thing writes nothing."""
    build = describe_it()
    first = (write(build) / "Dockerfile").stat()
    second = (write(build) / "Dockerfile").stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)


def test_a_faster_deploy_wins(describe_it: Describe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two deploys that write the same context at once both succeed."""
    build = describe_it()
    write(build)
    seen = iter([False])
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda p: next(seen, None) is not False and real(p))
    assert write(build) == build.context


@pytest.mark.parametrize("gone", ["", "main.py"])
def test_a_source_that_goes_meanwhile_is_an_error(
    describe_it: Describe, source: Path, gone: str
) -> None:
    """As by `rm -r` of the cache in the middle of a deploy: a context that lacks a part would be
    taken for the whole by every later deploy."""
    build = describe_it()
    shutil.rmtree(source) if not gone else (source / gone).unlink()
    with pytest.raises(SourceError, match="removed or changed") as caught:
        write(build)
    assert caught.value.retryable
    assert list(build.context.parent.iterdir()) == []


def test_old_contexts_of_the_service_go(describe_it: Describe, source: Path) -> None:
    """The latest few stay; those of a service with a longer name are not ours."""
    contexts = []
    for number in range(KEPT_CONTEXTS + 2):
        (source / "number").write_text(str(number))
        contexts.append(write(describe_it()))
        os.utime(contexts[-1], (number, number))
    stranger = contexts[-1].parent / "p-shop-extra-0123456789ab"
    stranger.mkdir()
    (source / "number").write_text("last")
    write(describe_it())
    left = [path for path in contexts if path.exists()]
    assert left == contexts[-(KEPT_CONTEXTS - 1) :]
    assert stranger.exists()


def test_inline_requirements_are_a_file_of_the_context(describe_it: Describe, source: Path) -> None:
    """They lie beside the source, not in it."""
    (source / "main.py").write_text('# /// script\n# dependencies = ["idna"]\n# ///\nprint()\n')
    context = write(describe_it())
    assert (context / "deps" / "main.py").read_text().startswith("# /// script\n")
    assert "print()" not in (context / "deps" / "main.py").read_text()


def test_what_lies_around_the_folder_goes_along(describe_it: Describe, source: Path) -> None:
    """A part of the context that no image has, and that the tag depends on."""
    (source / "requirements.txt").write_text("-r ../common.txt\n")
    common = source.parent / "common.txt"
    common.write_text("idna\n")
    build = describe_it(around=source.parent)
    context = write(build)
    assert (context / "beside" / "common.txt").read_text() == "idna\n"
    assert (context / "beside" / source.name / "main.py").is_file()
    assert not (context / "app" / "common.txt").exists()
    common.write_text("idna==3.6\n")
    assert tag(describe_it(around=source.parent)) != tag(build)


def test_a_file_that_the_entry_names(describe_it: Describe, source: Path) -> None:
    """`dependencies:` chooses what is installed, and so the image."""
    (source / "requirements.txt").write_text("idna\n")
    (source / "requirements").mkdir()
    (source / "requirements" / "bot.txt").write_text("six\n")
    options = Options(dependencies="requirements/bot.txt")
    build = describe_it(spec=replace(SPEC, options=options))
    assert build.made_from.endswith("requirements/bot.txt, as `dependencies:` says")
    assert tag(build) != tag(describe_it())


DJANGO = {
    "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "shop/settings.py": "INSTALLED_APPS = ['django.contrib.staticfiles']\n",
    "requirements.txt": "Django\n",
    "main.py": "print('hi')\n",
}


@pytest.mark.parametrize(
    ("change", "supplied", "collected"),
    [
        ({}, True, False),
        ({"shop/settings.py": DJANGO["shop/settings.py"] + "STATIC_ROOT = 'x'\n"}, True, True),
        ({"requirements.txt": "Django\nwhitenoise\n"}, False, False),
        (
            {
                "requirements.txt": "Django\nwhitenoise\n",
                "shop/settings.py": DJANGO["shop/settings.py"] + "STATIC_ROOT = 'x'\n",
            },
            False,
            True,
        ),
        ({"requirements.txt": "flask\n"}, False, False),
        ({"shop/settings.py": "INSTALLED_APPS = []\n"}, False, False),
    ],
)
def test_static_files_of_django(
    describe_it: Describe, source: Path, change: dict[str, str], supplied: bool, collected: bool
) -> None:
    """What Django would not serve is served, and said; what is to be collected is."""
    for name, text in {**DJANGO, **change}.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    build = describe_it()
    assert any("WhiteNoise" in note for note in build.notes) == supplied
    dockerfile = build.files["Dockerfile"]
    assert ("karstkit_static_files" in dockerfile) == ("flask" not in str(change))
    assert ("\n    True \\" in dockerfile) == supplied
    assert ("collectstatic" in build.files["Dockerfile"]) == collected


@pytest.mark.parametrize(
    ("line", "is_said"),
    [
        ("", True),
        ("ALLOWED_HOSTS = []\n", True),
        ("ALLOWED_HOSTS = ['shop.example.org', 'localhost']\n", True),
        ("ALLOWED_HOSTS = ['*']\n", False),
        ("ALLOWED_HOSTS: list[str] = env.list('HOSTS')\n", True),
    ],
)
def test_django_answers_to_its_name(
    describe_it: Describe, source: Path, line: str, is_said: bool
) -> None:
    """Whatever hosts its settings name; said unless they let everybody in."""
    for name, text in {**DJANGO, "shop/settings.py": DJANGO["shop/settings.py"] + line}.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    notes = describe_it().notes
    assert any("ALLOWED_HOSTS" in note for note in notes) == is_said


def test_files_that_a_framework_writes_are_links(describe_it: Describe, source: Path) -> None:
    """Unless the repository has them; that they do not stay is said."""
    (source / "main.py").write_text("from fasthtml.common import *\nserve()\n")
    (source / "requirements.txt").write_text("python-fasthtml\n")
    build = describe_it()
    assert "RUN ln -s /tmp/.sesskey /app/.sesskey\n" in build.files["Dockerfile"]
    assert ".sesskey is written to memory: every container has its own" in build.notes
    (source / ".sesskey").write_text("x")
    assert "ln -s" not in describe_it().files["Dockerfile"]


def test_bytecode_is_made_before_the_build(
    describe_it: Describe, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where our Python is the image's: equal files whenever it is made, none for what does not
    compile; the tag is the same as where the image makes it."""
    monkeypatch.setattr(bytecode, "PYTHON", "3.11")
    (source / "broken.py").write_text("print 'two'\n")
    build = describe_it()
    assert "compileall" not in build.files["Dockerfile"]
    app = write(build) / "app"
    compiled = sorted((app / "__pycache__").iterdir())
    assert [path.name.partition(".")[0] for path in compiled] == ["main"]
    assert compiled[0].read_bytes()[4:8] == b"\x01\0\0\0"  # PEP 552: by hash, unchecked
    monkeypatch.setattr(bytecode, "PYTHON", "3.99")
    elsewhere = describe_it()
    assert "compileall" in elsewhere.files["Dockerfile"]
    assert elsewhere.image == build.image


def test_bytecode_of_what_is_the_same_is_taken(tmp_path: Path) -> None:
    """From the same place of an earlier source, if it was made here; the rest is made anew."""
    before, after, fresh = (tmp_path / name for name in ("before", "after", "fresh"))
    for folder in (before, after, fresh):
        (folder / "shop").mkdir(parents=True)
        for name in ("same.py", "moved.py", "broken.py", "shop/same.py"):
            (folder / name).write_text("print 'two'\n" if name == "broken.py" else "A = 1\n")
        (folder / "changed.py").write_text(f"A = {folder == before}\n")
    (before / "moved.py").rename(before / "other.py")
    bytecode.compile_source(before)
    cached = "{}/__pycache__/{}.cpython-" + bytecode.PYTHON.replace(".", "") + ".pyc"
    taken = before / cached.format("shop", "same")
    taken.write_bytes(taken.read_bytes() + b"of before")
    (before / cached.format(".", "broken")).write_bytes(b"of the repository")
    for folder, earlier in ((after, before), (fresh, None)):
        bytecode.compile_source(folder, earlier)
    found, made = (
        {str(p.relative_to(f)): p.read_bytes() for p in f.rglob("*.pyc")} for f in (after, fresh)
    )
    assert found.pop(str(taken.relative_to(before))).endswith(b"of before")
    assert {Path(name).name.partition(".")[0] for name in found} == {"same", "moved", "changed"}
    assert found.items() <= made.items()


def test_what_is_the_same_is_no_copy(
    describe_it: Describe, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the file of the context before, with its bytecode; what differs has its own, whatever
    the repository keeps where bytecode goes."""
    monkeypatch.setattr(bytecode, "PYTHON", "3.11")
    own = f"__pycache__/{Path(cache_from_source('own.py')).name}"
    names = ["same.py", "changed.py", "run.sh", "own.py", own]
    (source / "__pycache__").mkdir()
    for name in names:
        (source / name).write_text("A = 1\n")
    first = write(describe_it()) / "app"
    kept = {name: (first / name).read_bytes() for name in names}
    (source / "changed.py").write_text("A = 2\n")
    (source / "run.sh").chmod(0o755)
    second = write(describe_it()) / "app"
    cached = f"__pycache__/{Path(cache_from_source('same.py')).name}"
    shared = {name for name in (*names, cached) if (first / name).samefile(second / name)}
    assert shared == {"same.py", "own.py", cached, own}
    assert (second / own).read_bytes() != b"A = 1\n"
    assert (second / "run.sh").stat().st_mode & 0o777 == 0o755
    assert {name: (first / name).read_bytes() for name in names} == kept


def test_a_context_that_was_altered_is_not_taken_over(describe_it: Describe, source: Path) -> None:
    """What is there is compared, not assumed."""
    first = write(describe_it()) / "app"
    (first / "main.py").write_text("altered\n")
    (source / "other.py").write_text("A = 1\n")
    second = write(describe_it()) / "app"
    assert (second / "main.py").read_bytes() == (source / "main.py").read_bytes()


def test_bytecode_goes_through_no_link(tmp_path: Path) -> None:
    """Neither to a file nor to a folder; the name of a module may be any."""
    folder, outside = tmp_path / "shop", tmp_path / "outside"
    for made in (folder / "linked", outside, folder / "__pycache__"):
        made.mkdir(parents=True)
    (folder / "linked" / "__pycache__").symlink_to(outside)
    (folder / "linked" / "a.py").write_text("A = 1\n")
    cached = folder / "__pycache__" / Path(cache_from_source("a.py")).name
    cached.symlink_to(outside / "a.pyc")
    for name in ("a.py", "two\nlines.py"):
        (folder / name).write_text("A = 1\n")
    (folder / "nowhere.py").symlink_to("gone.py")
    bytecode.compile_source(folder)
    assert list(outside.iterdir()) == []
    names = {path.name.partition(".")[0] for path in folder.rglob("*.pyc") if path != cached}
    assert names == {"two\nlines"}
    code = marshal.loads(next(folder.rglob("two*.pyc")).read_bytes()[16:])  # noqa: S302 - made here
    assert code.co_filename == "/app/two\nlines.py"


def test_debian_packages(describe_it: Describe, source: Path) -> None:
    """By requirements and by name; what compiles is in a stage of its own. Lines of an Aptfile that
    are not followed are said."""
    assert "apt.sh" not in describe_it().files
    (source / "requirements.txt").write_text("psycopg2\n")
    (source / "Aptfile").write_text(
        "ffmpeg # film\n:repo:deb http://x.test y\nhttps://x.test/a.deb\n"
    )
    options = replace(SPEC.options, packages=("libyaml-dev", "xxd=2.0"))
    build = describe_it(spec=replace(SPEC, options=options))
    stage, _, image = build.files["Dockerfile"].partition("\nFROM ")
    assert "apt.sh build-essential pkg-config git\n" in stage
    assert "apt.sh libyaml-dev libpq-dev\n" in stage
    assert "apt.sh ffmpeg xxd=2.0 libpq5\n" in image
    assert "COPY --from=build /venv /venv\nCOPY app/ /app/\n" in image
    assert [note[:10] for note in build.notes[:2]] == ["Aptfile:2:", "Aptfile:3:"]


def test_private_requirements_are_fetched_by_this_machine(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The context has the repository and leads git to it; the token is in no file of it."""
    (tmp_path / "repositories").mkdir()
    with GitServer(tmp_path / "repositories") as server:
        sha = server.repository("acme/lib").commit({"lib.py": "X = 1\n"})
        server.token = "sentinel-token"
        url = f"{server.url}/acme/lib.git"
        (source / "requirements.txt").write_text(f"lib @ git+{url}@main\n")
        build = describe(
            Checkout(SPEC, source, tree_hash(source), None, "archive"),
            detect(source).entrypoint,
            host=HOST,
            layout=Layout(tmp_path),
            settings=Settings(IAC_GITHUB_URL=server.url, GITHUB_TOKEN=server.token),
            project="p",
        )
        context = write(build)
    texts = [path.read_bytes() for path in context.rglob("*") if path.is_file()]
    assert not [text for text in texts if b"sentinel-token" in text]
    assert "sentinel-token" not in repr(build)
    config = (context / "git" / "config").read_text().replace("/run/git", str(context / "git"))
    (tmp_path / "gitconfig").write_text(config)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    listed = subprocess.run(
        ["git", "ls-remote", url, "HEAD"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [sha, "HEAD"]
