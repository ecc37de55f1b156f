"""What to do with a checkout that is no Python program: a sentence for each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from iac_wrapper.program import conda
from iac_wrapper.program.detection.folders import find_folders
from iac_wrapper.program.detection.markers import DOCKERFILE, Marker, language_marker
from iac_wrapper.program.python_project import inside

BY_DOCKERFILE = "`build: dockerfile`"

_COMPILED = {"C or C++", "Crystal", "Go", "Haskell", "Rust", "Swift", "Zig"}


def other_kind(root: Path) -> str:
    """What would work for the checkout, empty if nothing tells what it is."""
    return next(filter(None, (kind(root) for kind in _KINDS)), "")


def platform_files(root: Path) -> list[str]:
    """Files in which another platform is told what to start."""
    return [name for name in _PLATFORMS if inside(root, name)]


_PLATFORMS = (
    *("app.yaml", "nixpacks.toml", "railpack.json", "railway.json", "railway.toml", "render.yaml"),
    *("fly.toml", "project.toml", "app.json"),
)


_MAX_NAMED = 5


def own_dockerfile(root: Path) -> str:
    """The line that builds by a Dockerfile of the checkout, or lines to choose from; empty without
    one."""
    if inside(root, DOCKERFILE) or inside(root, DOCKERFILE.lower()):
        return BY_DOCKERFILE
    ends = ("*.Dockerfile", "Dockerfile.*", "*/Dockerfile", "*/*/Dockerfile")
    patterns = ("Containerfile", *ends, *(end.lower() for end in ends))
    paths = (path for pattern in patterns for path in sorted(root.glob(pattern)))
    names = dict.fromkeys(path.relative_to(root).as_posix() for path in paths)
    found = [f"`build: {n}`" for n in names if inside(root, n) and not n.startswith(".")]
    more = f" (and {len(found) - _MAX_NAMED} more)" if len(found) > _MAX_NAMED else ""
    return " or ".join(found[:_MAX_NAMED]) + more


def in_language(root: Path, marker: Marker) -> str:
    """What would work for a folder that is a project of another language."""
    what = f"{marker.language} ({marker.file}) needs a Dockerfile"
    if line := own_dockerfile(root):
        return f"{what}, and the repository has one: write {line} in its entry"
    ready = "; or commit the built program as the executable file `main`"
    return (
        f"{what}: add one and write {BY_DOCKERFILE} in its entry, or write"
        f" `image: NAME` in place of the slug if its image is in a registry"
        f"{ready if marker.language in _COMPILED else ''}"
    )


def _dockerfile(root: Path) -> str:
    line = own_dockerfile(root)
    if line != BY_DOCKERFILE:
        return ""
    return f"write {line} in its entry: the {DOCKERFILE} of the repository makes the image"


def _language(root: Path) -> str:
    marker = language_marker(root)
    return in_language(root, marker) if marker else ""


def _folder(root: Path) -> str:
    for folder in find_folders(root):
        if not folder.is_python and not folder.is_image:
            said = in_language(root / folder.path, folder.marker)
            return f"add the folder to the slug, …#:{folder.path}; {said}"
    return ""


def _any_dockerfile(root: Path) -> str:
    line = own_dockerfile(root)
    return f"write {line} in its entry to build the image by that file" if line else ""


def _compose(root: Path) -> str:
    name = _first(root, "compose.y*ml", "docker-compose.y*ml")
    if not name:
        return ""
    return (
        f"write an entry for each service of {name}: `image: NAME` where it has an image, a slug"
        f" with {BY_DOCKERFILE} where it is built"
    )


def _conda(root: Path) -> str:
    name = conda.conda_file(root)
    if not name:
        return ""
    return f"write `entrypoint:` in its entry, and {conda.advice(name)}"


def _notebook(root: Path) -> str:
    name = _first(root, "*.ipynb", "*/*.ipynb")
    if not name:
        return ""
    return (
        f"{name} is a notebook and no program: `jupyter nbconvert --to script {name}` makes one of"
        " it, to be committed and named by `entrypoint:`"
    )


def _pages(root: Path) -> str:
    name = _first(root, "index.html", "*/index.html")
    if not name:
        return ""
    folder = name.rpartition("/")[0]
    where = f" --directory {folder}" if folder else ""
    return (
        f"{name} is a page without a program: write `entrypoint: python -m http.server"
        f" $PORT{where}` in its entry to have the files served as they are, or add a Dockerfile"
        f" with a web server and write {BY_DOCKERFILE}"
    )


def _shell_script(root: Path) -> str:
    name = _first(root, "*.sh")
    if not name:
        return ""
    makes = "" if (root / name).stat().st_mode & 0o111 else "; git update-index --chmod=+x "
    return f"write `entrypoint: {name}` in its entry if that starts it{makes}{makes and name}"


def _first(root: Path, *patterns: str) -> str:
    paths = (path for pattern in patterns for path in sorted(root.glob(pattern)))
    names = (path.relative_to(root).as_posix() for path in paths)
    return next((name for name in names if inside(root, name) and name[0] != "."), "")


def _bun(root: Path) -> str:
    name = _first(root, "bun.lock", "bun.lockb")
    return in_language(root, Marker(name, "Bun")) if name else ""


def _go_source(root: Path) -> str:
    name = _first(root, "main.go", "*.go", "cmd/*/*.go")
    if not name:
        return ""
    said = in_language(root, Marker(name, "Go"))
    return f"{said}; `go mod init` writes the go.mod that a build needs and that is missing"


_KINDS: tuple[Callable[[Path], str], ...] = (
    *(_dockerfile, _language, _bun, _folder, _any_dockerfile, _compose, _conda, _notebook, _pages),
    *(_go_source, _shell_script),
)
"""Asked in this order."""
