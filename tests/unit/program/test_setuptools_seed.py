"""Who misses setuptools."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.setuptools_seed import setuptools_seed


@pytest.mark.parametrize(
    ("files", "python", "who"),
    [
        ({"shop.py": "import pkg_resources\n"}, "3.11", "shop.py"),
        ({"shop.py": "from distutils.util import strtobool\n"}, "3.12", "shop.py"),
        ({"shop.py": "from distutils.util import strtobool\n"}, "3.11", None),
        ({"shop.py": "try:\n    import pkg_resources\nexcept Exception: ...\n"}, "3.12", None),
        ({"setup.py": "import distutils\n"}, "3.12", None),
        ({"requirements.txt": "gunicorn==20.1.0  # old\n"}, "3.11", "gunicorn 20.1.0"),
        ({"requirements.txt": "Django[argon2]==2.2.28 ; python_version>'3'\n"}, "3.12", "Django"),
        ({"requirements.txt": "Django==2.2.28\n"}, "3.11", None),
        (
            {"pyproject.toml": "[project]\ndependencies = ['fs==1', 'razorpay==1.2']"},
            "3.11",
            "razorpay",
        ),
        (
            {"requirements.txt": "gunicorn==20.0.4\n", "shop.py": "import distutils\n"},
            "3.12",
            "gunicorn",
        ),
        ({"requirements.txt": "gunicorn==23.0.0\n"}, "3.12", None),
        ({"requirements.txt": "gunicorn\n"}, "3.12", None),
        ({"requirements.txt": "gunicorn===20\ngunicorn==20.*\n== ==\n"}, "3.12", None),
    ],
)
def test_who_misses_setuptools(
    tmp_path: Path, files: dict[str, str], python: str, who: str | None
) -> None:
    """Code that imports what only setuptools has, or a pin of a package that did."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    seed = setuptools_seed(tmp_path, python)
    assert (seed and seed.who.startswith(who or "?")) == (who and True)
