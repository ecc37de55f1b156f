"""Repositories with projects in folders, and those that are no Python program."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.program.detection import Detection, detect
from tests.unit.program.detection.test_detection import GUARDED, executable, tree

NODE = '{"scripts": {"start": "node ."}}'


def refusal(root: Path, slug: str = "gh:acme/shop#v1") -> str:
    with pytest.raises(EntrypointError) as caught:
        detect(root, slug=slug)
    return str(caught.value)


def test_projects_in_several_folders_are_a_question(tmp_path: Path) -> None:
    """Each is named with what it is, what it would run, and the slug that takes it."""
    files = {
        "api/app.py": GUARDED,
        "api/requirements.txt": "flask",
        "services/mail/main.py": GUARDED,
        "services/mail/pyproject.toml": '[project]\nname = "mail"\n',
        "lib/pyproject.toml": '[project]\nname = "lib"\n',
        "lib/lib/__init__.py": "",
        "agent/go.mod": "",
        "web/package.json": NODE,
        "web/Dockerfile": "FROM x",
        "tests/requirements.txt": "pytest",
        "tests/run.py": GUARDED,
    }
    text = refusal(tree(tmp_path, files))
    assert "several projects lie in folders" in text
    assert "- slug: gh:acme/shop#v1:api    # Python, requirements.txt: runs api/app.py" in text
    assert "#v1:services/mail    # Python, pyproject.toml: runs services/mail/main.py" in text
    assert "#v1:agent    # Go, go.mod: needs a Dockerfile and `build: dockerfile`" in text
    assert "#v1:web    # Node.js, package.json: add `build: dockerfile`" in text
    assert "tests" not in text


@pytest.mark.parametrize("name", ["Dockerfile", "dockerfile"])
def test_a_dockerfile_around_folders_is_one_of_the_answers(tmp_path: Path, name: str) -> None:
    """It may well make one image of all; Docker takes either name, and so does `build:`."""
    files = {
        "api/app.py": GUARDED,
        "api/requirements.txt": "flask",
        "web/package.json": NODE,
        f"web/{name}": "FROM x",
        name: "FROM x\nCOPY api /app\nCOPY web /web\n",
    }
    text = refusal(tree(tmp_path, files))
    whole = "- slug: gh:acme/shop#v1    # the whole repository: add `build: dockerfile`"
    assert whole in text
    assert "#v1:web    # Node.js, package.json: add `build: dockerfile`" in text


def test_a_service_among_others_is_none_the_less_for_an_init_file(tmp_path: Path) -> None:
    """Its imports start in it, so it is no package of the root; one that is stays part of that."""
    web = "from fastapi import FastAPI\napp = FastAPI()\n"
    files = {
        "requirements.txt": "fastapi\nuvicorn",
        "stock/main.py": web,
        "stock/requirements.txt": "fastapi\nuvicorn",
        "orders/__init__.py": "",
        "orders/main.py": f"import prices\n{web}",
        "orders/prices.py": "",
        "orders/requirements.txt": "fastapi\nuvicorn",
    }
    root = tree(tmp_path, files)
    assert "#v1:orders    # Python, requirements.txt: runs uvicorn main:app" in refusal(root)

    (root / "orders/main.py").write_text(f"from orders import prices\n{web}")
    assert detect(root).entrypoint.args[0] == "orders.main:app"


def test_the_only_folder_is_taken_and_said(tmp_path: Path) -> None:
    """With its own requirements it is the root of the build, as if the slug named it."""
    files = {"README.md": "", "site/notes/app.py": GUARDED, "site/notes/requirements.txt": "flask"}
    found = detect(tree(tmp_path, files), slug="gh:acme/shop#v1")
    assert (found.folder, found.entrypoint.display) == ("site/notes", "app.py")
    assert found.notes[0].endswith("is built, as for the slug gh:acme/shop#v1:site/notes")
    deeper = detect(tmp_path, slug="./shop")
    assert deeper.notes[0].endswith("./shop#:site/notes")


def test_a_library_or_an_image_beside_it_asks_nothing(tmp_path: Path) -> None:
    """Neither is a program that could be meant."""
    files = {
        "api/Procfile": "web: gunicorn app:app",
        "api/app.py": "",
        "api/requirements.txt": "gunicorn",
        "lib/setup.py": "",
        "proxy/Dockerfile": "FROM nginx",
        "proxy/nginx.conf": "",
    }
    found = detect(tree(tmp_path, files))
    assert (found.folder, found.entrypoint.display) == ("api", "gunicorn app:app")


def test_the_requirements_of_the_root_are_kept(tmp_path: Path) -> None:
    """A folder without any is started from the root, where they are installed."""
    files = {
        "site/manage.py": "",
        "site/shop/__init__.py": "",
        "site/shop/__main__.py": "from shop import x\n" + GUARDED,
        "requirements.txt": "flask",
    }
    found = detect(tree(tmp_path, files))
    assert (found.folder, found.entrypoint.target) == ("", "shop")
    assert found.entrypoint.variables == (("PYTHONPATH", "/app/site"),)
    found = detect(tree(tmp_path, {"site/Procfile": "web: gunicorn shop:app -b :$PORT\n"}))
    assert (found.entrypoint.kind, found.entrypoint.target) == (
        "shell",
        "cd site && exec gunicorn shop:app -b :$PORT",
    )


def test_a_server_finds_what_the_application_imports_by_bare_names(tmp_path: Path) -> None:
    """It is started as its author starts it: in the folder of the file."""
    files = {
        "backend/main.py": "from fastapi import FastAPI\nimport store\napp = FastAPI()\n",
        "backend/store.py": "",
        "requirements.txt": "fastapi\nuvicorn\n",
    }
    for entrypoint in (None, "backend.main:app"):
        found = detect(tree(tmp_path, files), entrypoint=entrypoint).entrypoint
        assert found.display.startswith("uvicorn main:app ")
        assert found.variables == (("PYTHONPATH", "/app/backend"),)


@pytest.mark.parametrize(
    "root",
    [
        {"main.py": GUARDED},
        {
            "pyproject.toml": '[project]\nname="a"\n[project.scripts]\na="a:b"\n',
            "a.py": "def b(): ...",
        },
        {"server.py": GUARDED},
        {"Procfile": "web: python -m a"},
    ],
)
def test_a_program_at_the_root_comes_before_folders(tmp_path: Path, root: dict[str, str]) -> None:
    """Its folders are its parts."""
    files = {"api/app.py": GUARDED, "api/requirements.txt": "", "web/package.json": NODE}
    found = detect(tree(tmp_path, {**files, **root}))
    assert isinstance(found, Detection)
    assert found.folder == ""


def test_what_the_only_folder_has_and_cannot_run_is_named_from_the_root(tmp_path: Path) -> None:
    """The place in an error is one that a person can open."""
    files = {"api/main.py": "def (", "api/requirements.txt": ""}
    assert refusal(tree(tmp_path, files)).startswith("api/main.py:1: main.py cannot be read")


def test_a_helper_in_python_is_not_the_program_of_another_language(tmp_path: Path) -> None:
    """What makes icons or reports beside it would run, and serve nobody."""
    files = {"go.mod": "", "make_icons.py": GUARDED, "tools/report.py": GUARDED}
    assert "Go (go.mod) needs a Dockerfile" in refusal(tree(tmp_path, files))
    assert detect(tree(tmp_path, {"server.py": GUARDED})).entrypoint.target == "server.py"


@pytest.mark.parametrize(
    ("files", "step"),
    [
        ({"go.mod": ""}, "Go (go.mod) needs a Dockerfile: add one and write `build: dockerfile`"),
        ({"Cargo.toml": ""}, "as the executable file `main`"),
        ({"package.json": NODE}, "Node.js (package.json) needs a Dockerfile"),
        ({"package.json": "{"}, "Node.js (package.json) needs a Dockerfile"),
        ({"package.json": NODE, "Dockerfile": ""}, "write `build: dockerfile` in its entry"),
        ({"pom.xml": "", "docker/Dockerfile": ""}, "write `build: docker/Dockerfile` in its"),
        ({"web/package.json": NODE}, "add the folder to the slug, …#:web; Node.js"),
        ({"Shop.csproj": ""}, ".NET (Shop.csproj)"),
        ({"Dockerfile": ""}, "write `build: dockerfile` in its entry"),
        (
            {"one/Dockerfile": "", "two/Dockerfile": ""},
            "write `build: one/Dockerfile` or `build: two/Dockerfile` in its entry",
        ),
        ({"deploy/web/Dockerfile": ""}, "write `build: deploy/web/Dockerfile` in its entry"),
        ({"docker-compose.yml": ""}, "`image: NAME` where it has an image"),
        ({"environment.yml": "dependencies: [gdal]"}, "packages of environment.yml that PyPI"),
        ({"a.ipynb": ""}, "`jupyter nbconvert --to script a.ipynb`"),
        ({"index.html": ""}, "`entrypoint: python -m http.server $PORT` in its entry"),
        ({"public/index.html": ""}, "http.server $PORT --directory public` in its entry"),
        ({"start.sh": ""}, "`entrypoint: start.sh` in its entry if that starts it; git update"),
        ({"package.json": '{"devDependencies": {}}'}, "`entrypoint: package.module:function`"),
    ],
)
def test_what_would_work_is_said_for_each_kind(
    tmp_path: Path, files: dict[str, str], step: str
) -> None:
    """One sentence, by the file that tells what it is."""
    text = refusal(tree(tmp_path, files))
    assert text.startswith("nothing to run in the checkout")
    assert step in text.partition("next:")[2].partition("\n")[0]


def test_the_line_for_pages_is_one_that_works(tmp_path: Path) -> None:
    """Python serves them; nobody has to add a file."""
    found = detect(
        tree(tmp_path, {"index.html": ""}), entrypoint="python -m http.server $PORT"
    ).entrypoint
    assert (found.display, found.run) == ("http.server $PORT", "web")
    script = executable(tmp_path, "start.sh")
    assert detect(script, entrypoint="start.sh").entrypoint.target == "/app/start.sh"


def test_the_only_service_may_have_an_init_file_and_start_below(tmp_path: Path) -> None:
    """Its program lies a folder deeper, and imports from the service's folder by bare names."""
    files = {
        "shop/__init__.py": "",
        "shop/settings.py": "PORT = 80\n",
        "shop/requirements.txt": "",
        "shop/server/__init__.py": "",
        "shop/server/server.py": f"import settings\n{GUARDED}",
    }
    found = detect(tree(tmp_path, files))
    assert (found.folder, found.entrypoint.display) == ("shop", "server.server")
    tree(tmp_path, {"shop/server/server.py": f"from shop import settings\n{GUARDED}"})
    found = detect(tmp_path)
    assert (found.folder, found.entrypoint.display) == ("", "shop.server.server")
