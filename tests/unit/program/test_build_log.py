"""Logs of builds that really failed, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.build_log import explain

LOGS = Path(__file__).resolve().parents[2] / "data" / "build_logs"

MEANINGS = {
    "bad_requirement": (
        "a line of requirements.txt is no requirement: flask=2",
        "Couldn't parse requirement",
        "NAME==VERSION",
    ),
    "conflict": (
        "contradict one another: flask==3.0.0 depends on werkzeug>=3.0.0, and werkzeug==2.0.0 is",
        "Because flask==3.0.0 depends on werkzeug>=3.0.0",
        "change one of them",
    ),
    "git_unreachable": ("cannot be reached", "Could not resolve host: git.", "check its address"),
    "hash_mismatch": ("another file than", "Hash mismatch for `idna==3.7`", "the hashes anew"),
    "index_unreachable": ("index does not answer", "Failed to fetch: http://nosuchhost", "_INDEX"),
    "no_compiler": (
        "python-levenshtein==0.12.0 has no wheel for this Python and has to be compiled",
        "'x86_64-linux-gnu-gcc'",
        "`packages: [build-essential]`",
    ),
    "no_debian_package": ("no package nosuchpkg", "E: Unable to locate", "correct its name"),
    "no_header": (
        "pycups==2.0.1 cannot be compiled without cups/http.h",
        "cupsconnection.h:26:10: fatal error: cups/http.h",
        "`packages: [libcups2-dev]`",
    ),
    "no_library": ("pillow==8.0.1", "not be found for zlib", "zlib1g-dev, libtiff-dev"),
    "no_pkg_config": ("mysqlclient==2.3.2", "pkg-config", "[default-libmysqlclient-dev]"),
    "no_rust": ("tokenizers==0.10.3 has no wheel", "can't find Rust compiler", "cargo"),
    "no_such_package": ("has no nosuchpackage-xyzzy-karst", "package registry", "correct its name"),
    "no_such_version": ("there is no flask==99", "Because there is no", "a version that exists"),
    "other_python": (
        "django==6.0 needs Python >=3.12, and the image has 3.11.2",
        "does not satisfy Python>=3.12",
        ".python-version",
    ),
    "other_system": (
        "pywin32==306 is for other systems",
        "no wheels with a matching",
        "sys_platform",
    ),
    "own_error": ("the project cannot be built", "RuntimeError: needs FOO_HOME", "correct that"),
    "own_import": ("the project needs flask to be built", "No module named 'flask'", "requires = "),
    "python_2": (
        "mysql-python==1.2.5 is for Python 2",
        "'ConfigParser'",
        "newer version of mysql-",
    ),
    "undeclared_build_requirement": (
        "pycocotools==2.0.0 needs Cython to be built, and does not say so",
        "No module named 'Cython'",
        'pycocotools = ["Cython"]',
    ),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in LOGS.iterdir()))
def test_the_reason_is_found(name: str) -> None:
    """What went wrong with which package, the line that says so, and what to write."""
    failure = explain((LOGS / f"{name}.txt").read_text().splitlines())
    assert failure is not None
    message, line, step = MEANINGS[name]
    assert message in failure.message
    assert line in failure.line
    assert step in failure.next_step
    assert max(map(len, (failure.message, failure.line, failure.next_step))) < 241


def test_what_is_not_known_is_not_guessed() -> None:
    """Then the end of the log is shown as it is."""
    assert explain(["Step 3", "make: *** [all] Error 2"]) is None


def test_credentials_of_an_index_are_not_repeated() -> None:
    """The URL of an index, or of a repository, can hold a password."""
    failure = explain(
        ["error: Failed to fetch: `https://me:pw@index.test/simple/x/`", "  cause: dns error"]
    )
    assert failure is not None
    assert "pw" not in failure.line


def test_the_exception_of_the_project_s_own_build_backend_is_the_reason() -> None:
    """Nobody can write another version of the project itself."""
    found = explain(
        [
            "error: Failed to build `shop @ file:///app`",
            "  cause: The build backend returned an error",
            "         [stderr]",
            "         Traceback (most recent call last):",
            '           File "backend.py", line 3, in readme',
            "         ValueError: Readme path must be within the project directory: ../README.md",
        ]
    )
    assert found is not None
    assert found.message == (
        "the project's own package cannot be built: ValueError: Readme path must be within the"
        " project directory: ../README.md"
    )
    assert found.next_step == "correct that in the repository"


def test_an_engine_without_a_network_is_not_blamed_on_the_program() -> None:
    """As when its default bridge was taken away behind its back."""
    found = explain(
        [
            "ERROR: executor failed running [/bin/sh -c uv pip install]: failed to create endpoint"
            " q1w2e3 on network bridge: adding interface veth1 to bridge br0 failed: could not find"
            " bridge br0: route ip+net: no such network interface"
        ]
    )
    assert found is not None
    assert found.message.startswith("the Docker engine has no network for builds: adding interface")
    assert found.next_step.startswith("restart the engine (`systemctl restart docker`)")


def test_an_old_setuptools_is_named_by_its_version() -> None:
    """A module that today's has no more: naming the module would install nothing."""
    found = explain(
        [
            "error: Failed to build `oldwire==1.4.0`",
            "  cause: The build backend returned an error",
            "         ModuleNotFoundError: No module named 'pkg_resources'",
        ]
    )
    assert found is not None
    assert found.message == (
        "oldwire==1.4.0 has no wheel for this Python, and is built by a setuptools before 82"
    )
    assert 'oldwire = ["setuptools<82"]' in found.next_step
