"""Which Python an app gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError, SourceError
from iac_wrapper.program.python_version import PythonChoice, choose_python

INLINE = '# /// script\n# requires-python = ">=3.12"\n# dependencies = ["idna"]\n# ///\nprint()\n'
SETUP_PY = 'from setuptools import setup\nsetup(name="shop", python_requires=">=3.9,<3.12")\n'
CONDA = "dependencies:\n  - numpy=1.26\n  - {}\n  - pip: [flask]\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).write_text(text)


def choose(root: Path, *available: str, script: str | None = None) -> PythonChoice:
    return choose_python(root, default="3.11", available=available, script=script)


def project(spec: str) -> dict[str, str]:
    return {"pyproject.toml": f'[project]\nrequires-python = "{spec}"\n'}


def poetry(spec: str) -> dict[str, str]:
    return {"pyproject.toml": f'[tool.poetry.dependencies]\npython = "{spec}"\n'}


def test_the_default_python_when_nothing_is_said(tmp_path: Path) -> None:
    """No file asks for one: the setting decides."""
    assert choose(tmp_path, "3.11", "3.13").version == "3.11"


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        (">=3.10", "3.13"),
        (">=3.10,<3.13", "3.12"),
        (">=3.10,<=3.13", "3.12"),  # 3.13.0 alone would be in it
        (">=3.13.4", "3.13"),
        ("==3.12.*", "3.12"),
        (">=3.12,!=3.13.*", "3.12"),
        ("~=3.13.1", "3.13"),
        ("", "3.13"),
    ],
)
def test_requires_python_selects(tmp_path: Path, spec: str, version: str) -> None:
    """The newest in the range, of those that fit whatever their patch release is."""
    write(tmp_path, project(spec))
    assert choose(tmp_path, "3.11", "3.12", "3.13").version == version


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ("^3.12", "3.13"),
        ("~3.12", "3.12"),
        ("~3.12.4", "3.12"),
        ("3.12", "3.12"),
        (">=3.9", "3.13"),
        ("^2||^3.12", "3.13"),
        ("~3.11 || ~3.12", "3.12"),
        ("^3.9, <3.13, !=3.12.*", "3.11"),
        (">=3.12 <3.13", "3.12"),
        ("*", "3.13"),
        ("3.12.*", "3.12"),
    ],
)
def test_poetry_ranges(tmp_path: Path, spec: str, version: str) -> None:
    """Poetry's carets and tildes are ranges too."""
    write(tmp_path, poetry(spec))
    assert choose(tmp_path, "3.11", "3.12", "3.13").version == version


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": SETUP_PY},
        {"setup.cfg": "[options]\npython_requires = >=3.9,<3.12\n"},
        {"uv.lock": 'version = 1\nrequires-python = ">=3.9, <3.12"\n'},
        {"pdm.lock": '[metadata]\nrequires_python = ">=3.9,<3.12"\n'},
        {"pylock.toml": 'lock-version = "1.0"\nrequires-python = ">=3.9,<3.12"\n'},
        {
            "poetry.lock": '[[package]]\nname = "idna"\npython-versions = ">=3.6"\n\n'
            '[metadata]\nlock-version = "2.1"\npython-versions = ">=3.9,<3.12"\n'
        },
        project(">=3.9") | {"uv.lock": 'requires-python = "<3.12"\n'},
    ],
)
def test_every_range_holds(tmp_path: Path, files: dict[str, str]) -> None:
    """Ranges of setuptools and of lock files count as well, and all of them together."""
    write(tmp_path, files)
    assert choose(tmp_path, "3.11", "3.13").version == "3.11"


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        (".python-version", "# for the servers\n3.13.2\n", "3.13"),
        (".python-version", "3.16\n3.13\n3.11\n", "3.13"),
        (".python-version", "3.16 3.13", "3.13"),
        (".python-version", "cpython-3.13.1-linux-x86_64-gnu\n", "3.13"),
        (".python-version", "cpython@3.13\n", "3.13"),
        (".python-version", "3.13t  # threads", "3.13"),
        (".python-version", "3.13-dev", "3.13"),
        (".python-version", "3.13.0rc2", "3.13"),
        (".python-version", "3.13.2/envs/shop", "3.13"),
        (".python-version", ">= 3.12, < 3.14", "3.13"),
        (".python-version", "3", "3.13"),
        (".python-version", "system\n", "3.11"),
        ("runtime.txt", "python-3.13.1\n", "3.13"),
        (".tool-versions", "nodejs 20.1\npython 3.13.2 3.11.1\n", "3.13"),
        (".tool-versions", "python latest:3.13\n", "3.13"),
        (".tool-versions", "nodejs 3.13\n", "3.11"),
        ("mise.toml", '[tools]\npython = "3.13"\n', "3.13"),
        (".mise.toml", '[tools]\npython = ["3.16", "3.13"]\n', "3.13"),
        ("mise.toml", '[tools]\npython = {version = "latest"}\n', "3.13"),
        ("Pipfile", '[requires]\npython_version = "3.13"\n', "3.13"),
        ("Pipfile", '[requires]\npython_full_version = "3.13.1"\n', "3.13"),
        ("environment.yml", CONDA.format("python=3.13"), "3.13"),
        ("environment.yml", CONDA.format("conda-forge::python 3.13.*"), "3.13"),
        ("environment.yml", CONDA.format("python>=3.13"), "3.13"),
        ("environment.yaml", CONDA.format("python=3.13.1=h1_cpython"), "3.13"),
        ("environment.yml", CONDA.format("python>=3.9,<3.12"), "3.11"),
        ("environment.yml", CONDA.format("python-dateutil=3.13"), "3.11"),
        ("environment.yml", "dependencies: [", "3.11"),
        ("environment.yml", "[" * 500, "3.11"),
        ("mise.toml", "a = " + "9" * 5000, "3.11"),
        ("Pipfile", "a = " + "[" * 3000, "3.11"),
    ],
)
def test_version_files(tmp_path: Path, name: str, text: str, version: str) -> None:
    """Comments, several versions, files of other tools; the first that can be had counts."""
    (tmp_path / name).write_text(text)
    assert choose(tmp_path, "3.11", "3.13").version == version


def test_a_script_states_its_own_python(tmp_path: Path) -> None:
    """Inline metadata counts alone: only its own requirements are installed."""
    write(tmp_path, {"main.py": INLINE, **project("<3.12")})
    assert choose(tmp_path, "3.11", "3.12", script="main.py").version == "3.12"


@pytest.mark.parametrize(
    ("files", "version", "notes"),
    [
        (
            {".python-version": "3.9", **project(">=3.8")},
            "3.13",
            [
                "python 3.13: .python-version asks for 3.9, which cannot be had here;"
                " requires-python >=3.8 in pyproject.toml allows others"
            ],
        ),
        (
            {".python-version": "pypy3.10", **project(">=3.8")},
            "3.13",
            [
                "python 3.13: .python-version asks for pypy3.10, which cannot be had here;"
                " requires-python >=3.8 in pyproject.toml allows others"
            ],
        ),
        (
            {"runtime.txt": "python-3.11.9"},
            "3.11",
            [
                "python 3.11: runtime.txt asks for python-3.11.9,"
                " the patch release is that of the base image"
            ],
        ),
        (
            {".python-version": "3.13t"},
            "3.13",
            [
                "python 3.13: .python-version asks for 3.13t,"
                " base images have no free-threaded build"
            ],
        ),
        (
            {".python-version": "3.11", **project(">=3.12")},
            "3.13",
            [
                "python 3.13: .python-version asks for 3.11,"
                " which requires-python >=3.12 in pyproject.toml excludes"
            ],
        ),
        (
            {".python-version": "3.13", "runtime.txt": "python-3.11.4"},
            "3.13",
            [
                "python 3.13: runtime.txt asks for python-3.11.4,"
                " and .python-version counts before it"
            ],
        ),
        ({".python-version": "3.11", "runtime.txt": "python-3.11.4"}, "3.11", []),
    ],
)
def test_what_is_not_met_is_said(
    tmp_path: Path, files: dict[str, str], version: str, notes: list[str]
) -> None:
    """One line says what was asked for, where, and why it is not taken."""
    write(tmp_path, files)
    chosen = choose(tmp_path, "3.11", "3.13")
    assert (chosen.version, list(chosen.notes)) == (version, notes)


@pytest.mark.parametrize(
    ("files", "where", "words"),
    [
        (project(">=3.15"), "pyproject.toml", ["requires-python >=3.15 in", "3.13 or 3.11"]),
        (project(">=3.14"), "pyproject.toml", ["docker pull python:3.14-slim"]),
        (
            project(">=3.12") | {"uv.lock": 'requires-python = "<3.12"\n'},
            "pyproject.toml",
            [">=3.12 in pyproject.toml; requires-python <3.12 in uv.lock"],
        ),
        ({".python-version": "3.12"}, ".python-version", ["docker pull python:3.12-slim"]),
        ({".python-version": "2.7"}, ".python-version", ["Python 2.7 cannot be had", "3.11"]),
        ({".python-version": "3.999"}, ".python-version", ["write one of these in"]),
        ({".python-version": "pypy3.10"}, ".python-version", ["no version of CPython"]),
        ({".python-version": "\u0663"}, ".python-version", ["no version of CPython"]),
        ({".python-version": "9" * 400}, ".python-version", ["cannot be had"]),
        ({".python-version": "newish"}, ".python-version", ["newish", "no version of CPython"]),
        ({"Pipfile": '[requires]\npython_version = "3.7"\n'}, "Pipfile", ["3.7"]),
        ({"environment.yml": CONDA.format("python=3.8")}, "environment.yml", ["3.8"]),
    ],
)
def test_nothing_fits(tmp_path: Path, files: dict[str, str], where: str, words: list[str]) -> None:
    """The error names the file, what it asks for, what can be had, and what would help."""
    write(tmp_path, files)
    with pytest.raises(EntrypointError) as caught:
        choose(tmp_path, "3.11", "3.13")
    assert caught.value.where == where
    assert not [word for word in words if word not in str(caught.value)]


@pytest.mark.parametrize(
    ("files", "base"),
    [
        ({".python-version": "2.7"}, "python:2.7-slim"),
        ({".python-version": "3.8.4"}, "python:3.8-slim"),
        (project(">=3.7,<3.11"), "python:3.10-slim"),
    ],
)
def test_an_old_python_takes_a_dockerfile(tmp_path: Path, files: dict[str, str], base: str) -> None:
    """A pull would help nobody, as images of KarstKit have no such Python."""
    write(tmp_path, files)
    with pytest.raises(EntrypointError) as caught:
        choose(tmp_path, "3.11")
    step = str(caught.value.next_step)
    assert "docker pull" not in step
    assert f"add a Dockerfile on {base}, and write `build: dockerfile`" in step
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(EntrypointError) as caught:
        choose(tmp_path, "3.11")
    assert str(caught.value.next_step).count("Dockerfile") == 1


def test_a_range_that_is_none(tmp_path: Path) -> None:
    """requires-python with a typo is named, not ignored."""
    write(tmp_path, project("three"))
    with pytest.raises(EntrypointError, match="not a version range"):
        choose(tmp_path, "3.11")


@pytest.mark.parametrize(
    ("spec", "check"), [(">=3.11", ""), ("~=3.11", ""), (">=3.11.4", ">=3.11.4"), ("<4", "")]
)
def test_a_patch_release_is_left_to_the_image(tmp_path: Path, spec: str, check: str) -> None:
    """A base is known by its minor version: only its own Python can tell the rest."""
    write(tmp_path, project(spec))
    assert choose(tmp_path, "3.11").check == check


def test_a_version_is_had_though_no_base_is_here(tmp_path: Path) -> None:
    """What could be made counts like what is here."""
    write(tmp_path, {".python-version": "3.12"})
    chosen = choose_python(tmp_path, default="3.11", available=["3.11"], more=lambda: ["3.12"])
    assert chosen.version == "3.12"


@pytest.mark.parametrize("files", [{}, {".python-version": "3.11"}])
def test_nobody_is_asked_without_need(tmp_path: Path, files: dict[str, str]) -> None:
    """A registry or a mirror costs seconds."""

    def asked() -> list[str]:
        raise AssertionError

    write(tmp_path, files)
    assert choose_python(tmp_path, default="3.11", available=["3.11"], more=asked).version == "3.11"


LOCK = """\
requires-python = ">=3.11"
[[package]]
name = "numpy"
wheels = [
    { url = "https://example.org/numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl" },
    { url = "https://example.org/numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl" },
    { url = "https://example.org/numpy-1.26.4-cp313-cp313-win_amd64.whl" },
]
[[package]]
name = "cryptography"
wheels = [{ url = "https://example.org/cryptography-44.0-cp37-abi3-manylinux_2_28_x86_64.whl" }]
[[package]]
name = "idna"
wheels = [{ url = "https://example.org/idna-3.10-py3-none-any.whl" }]
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", LOCK),
        (
            "poetry.lock",
            '[[package]]\nfiles = [{file = "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl"},\n'
            '{file = "numpy-1.26.4-cp312-cp312-manylinux_2_17_x86_64.whl"}]\n',
        ),
    ],
)
def test_a_lock_without_wheels_for_the_newest(tmp_path: Path, name: str, text: str) -> None:
    """An old lock under a new Python would compile: the newest that it has wheels for is taken."""
    write(tmp_path, {name: text, **project(">=3.11")})
    chosen = choose(tmp_path, "3.11", "3.12", "3.13")
    assert chosen.version == "3.12"
    assert chosen.reason.endswith(f"; numpy in {name} has no wheel for 3.13")


def test_poetry_takes_its_own_ranges_in_the_table_of_the_project(tmp_path: Path) -> None:
    """Its backend reads them so; for others it is an error."""
    text = '[project]\nrequires-python = "^3.11"\n[build-system]\nbuild-backend = "{}"\n'
    write(tmp_path, {"pyproject.toml": text.format("poetry.core.masonry.api")})
    assert choose(tmp_path, "3.11", "3.12").version == "3.12"
    write(tmp_path, {"pyproject.toml": text.format("hatchling.build")})
    with pytest.raises(EntrypointError, match="not a version range"):
        choose(tmp_path, "3.11")


def test_a_lock_older_than_all_that_can_be_had(tmp_path: Path) -> None:
    """The nearest to its day is taken, and what that means for the build is said."""
    old = LOCK.replace("cp312-cp312", "cp39-cp39").replace("cp311-cp311", "cp310-cp310")
    write(tmp_path, {"uv.lock": old, **project(">=3.9")})
    chosen = choose(tmp_path, "3.11", "3.12", "3.13")
    assert (chosen.version, chosen.notes) == (
        "3.11",
        (
            "python 3.11: in uv.lock, numpy has wheels up to Python 3.10 and none for it: what is"
            " installed of them is compiled, if it can be; a newer lock has newer wheels",
        ),
    )


def test_names_of_one_package_differ_in_a_lock(tmp_path: Path) -> None:
    """A package changed the name in its files; a newer wheel of it is one all the same."""
    both = LOCK.replace("numpy-1.26.4-cp312-cp312", "Num.Py-1.26.4-cp313-cp313")
    write(tmp_path, {"uv.lock": both.replace("numpy-", "num_py-"), **project(">=3.11")})
    assert choose(tmp_path, "3.11", "3.12", "3.13").version == "3.13"


WHEEL = "https://example.org/scale-2.1%2Bcpu-cp{0}-cp{0}-linux_x86_64.whl"


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ([WHEEL.format("312")], "3.12"),
        (["scale @ " + WHEEL.format("312") + " ; sys_platform == 'linux'"], "3.12"),
        (["./wheels/scale-2.1-cp312-cp312-manylinux_2_17_x86_64.whl"], "3.12"),
        ([WHEEL.format("310"), WHEEL.format("312")], "3.12"),
        ([WHEEL.format("310") + " ; python_version == '3.10'"], "3.11"),
        ([WHEEL.format("310").replace("cp310-linux", "abi3-linux")], "3.11"),
        ([WHEEL.format("310").replace("linux_x86_64", "win_amd64")], "3.11"),
    ],
)
def test_a_wheel_that_is_named_is_for_one_python(
    tmp_path: Path, lines: list[str], version: str
) -> None:
    """No other Python can install it; what other platforms or Pythons get asks for nothing."""
    write(tmp_path, {"requirements.txt": "".join(f"{line}\n" for line in lines)})
    assert choose(tmp_path, "3.11", "3.12", "3.13").version == version


def test_a_wheel_for_a_python_that_cannot_be_had(tmp_path: Path) -> None:
    """The error names the wheel, and what to write in its place."""
    write(
        tmp_path, {"base.txt": f"scale@{WHEEL.format('39')}\n", "requirements.txt": "-r base.txt"}
    )
    with pytest.raises(EntrypointError) as caught:
        choose(tmp_path, "3.11")
    assert (caught.value.where, "name a wheel for one" in str(caught.value.next_step)) == (
        "requirements.txt",
        True,
    )
    assert "scale-2.1+cpu-cp39-cp39-linux_x86_64.whl in requirements.txt is for Python 3.9" in str(
        caught.value.found
    )


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 3000])
def test_a_project_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """Numbers and tables without end are an error of ours, too."""
    write(tmp_path, {"pyproject.toml": text})
    with pytest.raises(SourceError, match="not valid TOML"):
        choose(tmp_path, "3.11")


def test_pins_without_wheels_are_an_error_before_the_build(tmp_path: Path) -> None:
    """Nothing in the image compiles them; a lock, or a marker for an older Python, is no pin."""
    write(tmp_path, {"requirements.txt": "numpy==1.17.0\nscipy==1.3.1 # old\nidna==2.0\n"})
    with pytest.raises(EntrypointError, match="older than every Python") as caught:
        choose_python(tmp_path, default="3.11", available=("3.11", "3.13"), pinned=True)
    assert caught.value.found == "numpy==1.17.0, scipy==1.3.1"
    assert "numpy>=1.23.2, scipy>=1.9.2" in str(caught.value.expected)
    assert choose(tmp_path, "3.11").version == "3.11"

    write(tmp_path, {"requirements.txt": "numpy==1.17.0; python_version < '3.8'\nnumpy\n"})
    assert choose_python(tmp_path, default="3.11", available=("3.11",), pinned=True).notes == ()


def test_pins_choose_the_python_that_they_have_wheels_for(tmp_path: Path) -> None:
    """Over the default, and over the newest that a range allows."""
    write(tmp_path, {"requirements.txt": "numpy==1.24.4\n"})
    found = choose_python(tmp_path, default="3.13", available=("3.11", "3.13"), pinned=True)
    assert found.version == "3.11"
    assert found.reason == "numpy in requirements.txt has no wheel for the default"

    write(tmp_path, project(">=3.10"))
    found = choose_python(tmp_path, default="3.11", available=("3.11", "3.13"), pinned=True)
    assert found.version == "3.11"
