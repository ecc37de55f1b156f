"""Which program is found in a checkout, why, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError, SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program import detection

CALLS_NOTHING = "def main():\n    print('hi')\n"
GUARDED = "def main():\n    pass\n\nif __name__ == '__main__':\n    main()\n"
SCRIPTS = '[project]\nname = "shop"\n[project.scripts]\nserve = "shop.cli:serve"\nother = "x:y"\n'


def detect(root: Path, **wishes: str) -> Entrypoint:
    return detection.detect(root, **wishes).entrypoint


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def executable(root: Path, name: str = "main", text: str = "#!/bin/sh\n") -> Path:
    path = tree(root, {name: text}) / name
    path.chmod(0o755)
    return root


def test_the_documented_order(tmp_path: Path) -> None:
    """Each place wins only when all places before it are gone, and the losers are listed."""
    tree(
        tmp_path,
        {
            "__main__.py": GUARDED,
            "main.py": GUARDED,
            "pyproject.toml": SCRIPTS,
            "shop/__main__.py": GUARDED,
            "app.py": GUARDED,
            "src/shop/__main__.py": GUARDED,
            "tools/run.py": GUARDED,
        },
    )
    executable(tmp_path)
    expected = [
        ("__main__.py", "__main__.py"),
        ("main.py", "main.py"),
        ("pyproject.toml", "shop.cli:serve"),
        ("shop/__main__.py", "shop"),
        ("app.py", "app.py"),
        ("src/shop/__main__.py", "shop"),
        ("tools/run.py", "tools/run.py"),
        ("main", "/app/main"),
    ]
    for file, display in expected:
        found = detect(tmp_path)
        assert found.display == display
        assert any(reject.startswith("/app/main: comes after") for reject in found.rejected) == (
            file != "main"
        )
        (tmp_path / file).unlink()
    with pytest.raises(EntrypointError):
        detect(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        CALLS_NOTHING,
        "async def main():\n    pass\n",
        "def main(argv=None, *, fast=False):\n    pass\n",
        "import click\n@click.command()\ndef main(name):\n    pass\n",
        "import typer\nmain = typer.Typer()\n",
        "from shop import main\ndef helper():\n    pass\n",
        "def helper():\n    main()\ndef main():\n    pass\n",
        "def main():\n    pass\nif __name__ == '__main__':\n    pass\n",
        "from flask import Flask\napp = Flask(__name__)\ndef main():\n    app.run()\n",
    ],
)
def test_a_main_that_nothing_calls_is_called(tmp_path: Path, text: str) -> None:
    """main.py that defines main() and never calls it gets it called, and the reason says so."""
    found = detect(tree(tmp_path, {"main.py": text}))
    assert (found.kind, found.target, found.function) == ("script", "main.py", "main")
    assert "never calls it" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        GUARDED,
        "import sys\ndef main():\n    pass\nif '__main__' == __name__:\n    sys.exit(main())\n",
        "import asyncio\nasync def main():\n    pass\nasyncio.run(main())\n",
        "def main():\n    pass\ndef start():\n    main()\nstart()\n",
        "import threading\ndef main():\n    pass\nthreading.Thread(target=main).start()\n",
        "class App:\n    def go(self):\n        main()\ndef main():\n    pass\nApp().go()\n",
        "try:\n    import x\nexcept ImportError:\n    x = None\ndef main():\n    pass\nmain()\n",
        "import typer\napp = typer.Typer()\n@app.command()\ndef main():\n    pass\napp()\n",
        "def main():\n    pass\ndef other():\n    pass\nif __name__ == '__main__':\n    other()\n",
        "print('hello')\n",
        "import shop.server\n",
        "while True:\n    pass\n",
        "def run():\n    pass\nresult = run()\n",
        "main = 3\nprint(main)\n",
    ],
)
def test_a_file_that_works_by_itself_is_run_as_it_is(tmp_path: Path, text: str) -> None:
    """A program that calls its own main(), by whatever way, does not get it called twice."""
    found = detect(tree(tmp_path, {"main.py": text}))
    assert (found.display, found.args) == ("main.py", ())


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("", "runs none"),
        ("import os\ndef serve():\n    pass\n", "runs none"),
        ("X = 1\n", "runs none"),
        ("def main(path):\n    pass\n", "cannot be without arguments"),
        ("def main(*, path):\n    pass\n", "cannot be without arguments"),
    ],
)
def test_a_file_that_would_do_nothing_loses(tmp_path: Path, text: str, note: str) -> None:
    """A main.py that would end at once, having done nothing, is passed over with its reason."""
    found = detect(tree(tmp_path, {"main.py": text, "app.py": GUARDED}))
    assert found.target == "app.py"
    assert note in found.rejected[0]


FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app():\n    return Flask(__name__)\n"
ASGI = "import fastapi\napi = fastapi.FastAPI()\n"
ASGI_FACTORY = "from starlette.applications import Starlette\ndef make_app(): ...\n"


@pytest.mark.parametrize(
    ("text", "requirements", "display"),
    [
        (FLASK, "flask", "gunicorn app:app --bind 127.0.0.1:$PORT"),
        (FLASK, "-r web.txt", "gunicorn app:app --bind 127.0.0.1:$PORT"),
        (FLASK, "waitress==3", "waitress --listen=127.0.0.1:$PORT app:app"),
        (FACTORY, "flask\nwaitress", "waitress --call --listen=127.0.0.1:$PORT app:create_app"),
        (FACTORY, "Gunicorn>=2 # web", "gunicorn app:create_app() --bind 127.0.0.1:$PORT"),
        (ASGI, "fastapi[standard]", "uvicorn app:api --host 127.0.0.1 --port $PORT"),
        (ASGI, "hypercorn", "hypercorn app:api --bind 127.0.0.1:$PORT"),
        (
            ASGI_FACTORY,
            "uvicorn",
            "uvicorn app:make_app --factory --host 127.0.0.1 --port $PORT",
        ),
    ],
)
def test_an_application_object_gets_the_server_the_project_asks_for(
    tmp_path: Path, text: str, requirements: str, display: str
) -> None:
    """A web application that nothing serves would end at once: a declared server serves it."""
    files = {"app.py": text, "requirements.txt": requirements, "web.txt": "gunicorn"}
    found = detect(tree(tmp_path, files))
    assert found.display == display
    assert found.kind == "module"


def test_an_application_that_serves_itself_is_left_alone(tmp_path: Path) -> None:
    """app.run() at module level is the program's own way to serve."""
    found = detect(tree(tmp_path, {"app.py": FLASK + "app.run()\n"}))
    assert found.display == "app.py"


def test_the_package_named_like_the_project_comes_first(tmp_path: Path) -> None:
    """With two packages that have a __main__, the project's own wins; tests never run."""
    files = {f"{name}/__main__.py": GUARDED for name in ("alpha", "my_shop", "tests", ".hidden")}
    found = detect(tree(tmp_path, {**files, "pyproject.toml": '[project]\nname = "My-Shop"\n'}))
    assert (found.kind, found.target) == ("module", "my_shop")
    assert found.rejected == ("alpha/__main__.py: comes after my_shop",)


@pytest.mark.parametrize(
    ("toml", "display"),
    [
        ('[project.scripts]\na = "no colon"\nb = "p.q:r"\n', None),
        ('[tool.poetry.scripts]\na = "p.q:r"\n', "p.q:r"),
        ('[project.scripts]\na = "p.q:obj.run [extra]"\n', "p.q:obj.run"),
    ],
)
def test_project_scripts(tmp_path: Path, toml: str, display: str | None) -> None:
    """The first script counts, Poetry's table too; one that is no reference is reported."""
    root = tree(tmp_path, {"pyproject.toml": toml, "p/__init__.py": ""})
    if display:
        assert detect(root).display == display
        return
    with pytest.raises(EntrypointError) as caught:
        detect(root)
    assert "'no colon' is not of the form module:function" in str(caught.value)


def test_the_scan_prefers_the_nearest_file_with_a_guard(tmp_path: Path) -> None:
    """Files for developers are skipped; in a package the file is run as a module."""
    files = {
        "setup.py": GUARDED,
        "manage.py": GUARDED,
        "test_it.py": GUARDED,
        "docs/conf.py": GUARDED,
        "helper.py": "print('side effect')\n",
        "svc/__init__.py": "",
        "svc/run.py": GUARDED,
        "svc/lazy.py": CALLS_NOTHING,
        "a/b/c/deep.py": GUARDED,
        "a/b/c/d/too_deep.py": GUARDED,
    }
    found = detect(tree(tmp_path, files))
    assert (found.kind, found.target) == ("module", "svc.run")
    assert found.rejected == (
        "svc/lazy.py: comes after svc.run",
        "a/b/c/deep.py: comes after svc.run",
    )


def test_the_scan_finds_modules_below_src(tmp_path: Path) -> None:
    """src is no package: the module's name starts below it."""
    found = detect(tree(tmp_path, {"src/p/__init__.py": "", "src/p/serve.py": CALLS_NOTHING}))
    assert found.display == "p.serve:main"


@pytest.mark.parametrize(
    ("mode", "text", "note"),
    [
        (0o644, "#!/bin/sh\n", "chmod=+x main"),
        (0o755, "echo hi\n", "neither an ELF program nor a script"),
    ],
)
def test_a_main_that_cannot_be_executed(tmp_path: Path, mode: int, text: str, note: str) -> None:
    """The error says what the file named main lacks."""
    executable(tmp_path, text=text)
    (tmp_path / "main").chmod(mode)
    with pytest.raises(EntrypointError, match="nothing to run") as caught:
        detect(tmp_path)
    assert note in str(caught.value.detail)


def test_a_binary_is_found(tmp_path: Path) -> None:
    """An ELF file named main is run as it is."""
    executable(tmp_path, text="\x7fELF...")
    assert (detect(tmp_path).kind, detect(tmp_path).target) == ("binary", "/app/main")


@pytest.mark.parametrize("name", ["Main.py", "mian.py", "__main_.py", "App.py", "man.py"])
def test_a_misspelt_name_is_pointed_out(tmp_path: Path, name: str) -> None:
    """The error names the file that was nearly right, and what to write otherwise."""
    with pytest.raises(EntrypointError) as caught:
        detect(tree(tmp_path, {name: "x = 1\n"}), where="repos.yaml:3")
    assert f"rename {name} to " in str(caught.value.next_step)
    assert f"`entrypoint: {name}`" in str(caught.value.next_step)
    assert caught.value.where == "repos.yaml:3"


def test_the_error_lists_everything_that_was_looked_for(tmp_path: Path) -> None:
    """An empty checkout names all places, in the order in which they count."""
    with pytest.raises(EntrypointError) as caught:
        detect(tmp_path)
    places = [line.split(":")[0] for line in str(caught.value.detail).splitlines()[1:]]
    assert places == [
        "an override (entrypoint",
        "Procfile",
        "__main__.py",
        "main.py",
        "[project.scripts]",
        "{package}/__main__.py",
        "a web application for which the requirements name a server",
        "a file that a framework's tool runs, such as `streamlit run`",
        "app.py",
        "src/{package}/__main__.py",
        "any other web application",
        "a file of Celery, Locust or Scrapy",
        "any other Python file with a `__main__` guard or a `main()`",
        "/app/main",
    ]
    assert caught.value.found == "an empty directory"


def test_a_long_listing_is_cut(tmp_path: Path) -> None:
    """The listing of a large checkout stays one line."""
    with pytest.raises(EntrypointError, match="and 8 more"):
        detect(tree(tmp_path, {f"{n:02}.txt": "" for n in range(20)}))


@pytest.mark.parametrize(
    ("text", "where"), [("x = 1\ndef main(:\n", "main.py:2"), ("\0", "main.py")]
)
def test_a_syntax_error_is_named_with_its_line(tmp_path: Path, text: str, where: str) -> None:
    """A main.py that does not parse is an error, not a reason to run something else."""
    root = tree(tmp_path, {"main.py": text, "app.py": GUARDED})
    with pytest.raises(EntrypointError, match="cannot be read as Python") as caught:
        detect(root)
    assert str(caught.value.where).startswith(where)
    assert detect(root, entrypoint="main.py").display == "main.py"


def test_a_program_for_python_2_is_called_so(tmp_path: Path) -> None:
    """To correct the line that Python 3 stumbles over first would not help."""
    for text in (
        "print 'orders'\n",
        "exec 'x = 1'\n",
        "MODE = 0755\n",
        "PATH = ur'/orders'\n",
        "raise ValueError, 'no orders'\n",
        "ORDERS = 10L\n",
        "TEXT = `os`\n",
        "NEW = os <> None\n",
    ):
        with pytest.raises(EntrypointError, match="written for Python 2") as caught:
            detect(tree(tmp_path, {"app.py": f"import os\n{text}"}))
        assert (caught.value.where, "port the repository" in str(caught.value.next_step)) == (
            "app.py:2",
            True,
        )


def test_lines_of_a_newer_python_are_not_those_of_an_old_one(tmp_path: Path) -> None:
    """Python 2 bound the last name; Python 3.14 takes several classes without parentheses."""
    for names in ("KeyError, ValueError", "desk.Full, desk.Empty", "KeyError, desk.Full, OSError"):
        text = f"import os\ntry:\n    os.x\nexcept {names}:\n    pass\n"
        with pytest.raises(EntrypointError, match=r"cannot be read as Python") as caught:
            detect(tree(tmp_path, {"app.py": text}))
        assert "as Python 3.14 has it" in str(caught.value.found)
    text = "import os\ntry:\n    os.x\nexcept desk.Full, error:\n    pass\n"
    with pytest.raises(EntrypointError, match="written for Python 2"):
        detect(tree(tmp_path, {"app.py": text}))


OLD = "print 'orders'\n"
STARTS = "from shop import orders\nif __name__ == '__main__':\n    orders.start()\n"


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": STARTS},
        {"serve.py": STARTS, "Procfile": "web: python serve.py"},
        {"serve.py": "from shop.orders import app", "Procfile": "web: gunicorn serve:app"},
    ],
)
def test_what_the_program_imports_is_for_python_3_as_well(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """It would end on its first line; what is imported on some condition may never be."""
    root = tree(tmp_path, {"shop/__init__.py": "", "shop/orders.py": OLD, **files})
    with pytest.raises(EntrypointError, match=r"orders\.py is written for Python 2") as caught:
        detect(root)
    assert caught.value.where == "shop/orders.py:1"
    (name, text), *_ = files.items()
    imports, _, rest = text.partition("\n")
    tree(root, {name: f"try:\n    {imports}\nexcept ImportError:\n    pass\n{rest}"})
    assert detect(root)


def test_a_syntax_error_after_the_winner_is_only_a_note(tmp_path: Path) -> None:
    """Files that are not run need not parse."""
    found = detect(tree(tmp_path, {"main.py": GUARDED, "app.py": "def (\n"}))
    assert found.target == "main.py"
    assert "app.py: does not parse" in found.rejected[0]


def test_a_link_out_of_the_checkout_is_no_file(tmp_path: Path) -> None:
    """Detection reads nothing outside the checkout."""
    tree(tmp_path, {"outside.py": GUARDED})
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "main.py").symlink_to("../outside.py")
    with pytest.raises(EntrypointError, match="nothing to run"):
        detect(tmp_path / "repo")


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    """A generated file of megabytes cannot stall a deploy."""
    root = tree(tmp_path, {"main.py": "x = 1\n" * 200_000})
    with pytest.raises(EntrypointError, match="cannot be read as Python"):
        detect(root)


def test_broken_toml_is_named(tmp_path: Path) -> None:
    """pyproject.toml with a syntax error is not ignored."""
    with pytest.raises(SourceError, match=r"pyproject.toml: not valid TOML"):
        detect(tree(tmp_path, {"pyproject.toml": "[project\n", "main.py": GUARDED}))


class TestOverrides:
    def test_precedence(self, tmp_path: Path) -> None:
        """repos.yaml beats the environment, which beats the Dockerfile's label; losers are told."""
        files = {f"{n}.py": GUARDED for n in ("one", "two", "three", "main")}
        root = tree(tmp_path, {**files, "Dockerfile": "LABEL ENTRYPOINT=three\n"})
        found = detect(root, entrypoint="one", environment="two")
        assert (found.display, found.reason) == ("one", "entrypoint: in repos.yaml")
        assert found.rejected == (
            "ENTRYPOINT in the environment (two): comes after one",
            "LABEL ENTRYPOINT in the Dockerfile (three): comes after one",
            "main.py: comes after one",
        )
        assert detect(root, environment="two").reason == "ENTRYPOINT in the environment"
        assert detect(root).display == "three"

    @pytest.mark.parametrize(
        "dockerfile",
        [
            "FROM x\nLABEL ENTRYPOINT=pkg.mod:run\n",
            'label a="b c" \\\n  entrypoint="no" ENTRYPOINT="pkg.mod:run"\n',
            "LABEL ENTRYPOINT pkg.mod:run\n",
            "LABEL ENTRYPOINT=old\nLABEL ENTRYPOINT='pkg.mod:run'",
        ],
    )
    def test_dockerfile_labels(self, tmp_path: Path, dockerfile: str) -> None:
        """LABEL ENTRYPOINT is read in every form Docker takes, the last one counts."""
        root = tree(tmp_path, {"Dockerfile": dockerfile, "pkg/mod.py": "def run(): ..."})
        assert detect(root).display == "pkg.mod:run"

    def test_other_labels_are_ignored(self, tmp_path: Path) -> None:
        """Comments, other labels and open quotes say nothing."""
        text = "# LABEL ENTRYPOINT=x\nLABEL MY_ENTRYPOINT=y\nLABEL ENTRYPOINT='open\nRUN LABEL\n"
        assert detect(tree(tmp_path, {"Dockerfile": text, "app.py": GUARDED})).target == "app.py"

    @pytest.mark.parametrize(
        ("value", "kind", "display"),
        [
            ("pkg.mod:run", "module", "pkg.mod:run"),
            ("pkg.mod:Cli.run", "module", "pkg.mod:Cli.run"),
            ("pkg", "module", "pkg"),
            ("lib", "module", "lib"),
            ("lazy", "module", "lazy:main"),
            ("http.server", "module", "http.server"),
            ("lazy.py", "script", "lazy.py:main"),
            ("./pkg/mod.py:run", "script", "pkg/mod.py:run"),
            ("/app/pkg/mod.py", "script", "pkg/mod.py"),
            ("pkg/", "script", "pkg/__main__.py"),
            ("bin/tool", "binary", "/app/bin/tool"),
            ("tool", "binary", "/app/tool"),
            ("star:anything", "module", "star:anything"),
        ],
    )
    def test_forms(self, tmp_path: Path, value: str, kind: str, display: str) -> None:
        """A module, a module with a function, or a path; an uncalled main() is called here too."""
        root = tree(
            tmp_path,
            {
                "pkg/__init__.py": "",
                "pkg/__main__.py": GUARDED,
                "pkg/mod.py": "class Cli: ...\ndef run(): ...\n",
                "src/lib/__main__.py": GUARDED,
                "lazy.py": CALLS_NOTHING,
                "star.py": "from os import *\n",
            },
        )
        executable(root, "bin/tool")
        executable(root, "tool")
        found = detect(root, entrypoint=value)
        assert (found.kind, found.display) == (kind, display)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("pkg.mod:", "not an entrypoint"),
            (":main", "not an entrypoint"),
            ("no/such.py", "no such file"),
            ("../outside.py", "no such file"),
            ("pkg.missing", "no such module"),
            ("pkg", "no such module"),
            ("pkg.mod:walk", "no walk in pkg/mod.py"),
            ("empty:run", "no run in empty.py"),
            ("data.txt", "not executable"),
        ],
    )
    def test_refusals(self, tmp_path: Path, value: str, message: str) -> None:
        """An override that names nothing is an error with its place, never a fallback."""
        tree(tmp_path, {"outside.py": GUARDED})
        files = {"pkg/mod.py": "def run(): ...", "empty.py": "", "data.txt": "", "main.py": GUARDED}
        with pytest.raises(EntrypointError, match=message) as caught:
            detect(tree(tmp_path / "repo", files), entrypoint=value, where="repos.yaml:7")
        assert caught.value.where == "repos.yaml:7"
        assert caught.value.found == f"entrypoint: {value!r}"
        assert caught.value.expected


def test_user_code_never_runs(tmp_path: Path) -> None:
    """Detection reads; a file that would leave a mark leaves none."""
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w').close()\n"
    root = tree(tmp_path / "repo", {"main.py": code, "setup.py": code, "p/__main__.py": code})
    detect(root)
    assert not mark.exists()
