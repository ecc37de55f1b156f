"""examples/notes: a web application with its database and worker, used in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.conftest import ROOT, Project
from tests.support import foreign_images
from tests.support.browser import browser
from tests.support.git_server import GitServer, Repository
from tests.support.stream import result_of

pytestmark = pytest.mark.integration

NOTES = ROOT / "examples" / "notes"
PASSWORD = "s3cret-of-the-notes"


@pytest.fixture(scope="module")
def chromium() -> Iterator[WebDriver]:
    with browser() as made:
        yield made


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    """The application in a git repository of its own."""
    made = git_server.repository("acme/notes")
    shutil.copytree(NOTES / "app", made.path, dirs_exist_ok=True)
    made.commit({})
    return made


@pytest.fixture(scope="module")
def deployed(project: Project, repository: Repository) -> Project:
    """The example, with a repository for its folder and Debian's PostgreSQL and Redis."""
    text = (NOTES / "repos.yaml").read_text()
    for said, here in (
        ("postgres:17", foreign_images.built("postgres")),
        ("redis:7", foreign_images.built("redis")),
        ("./app", "gh:acme/notes"),
    ):
        assert said in text
        text = text.replace(said, here)
    project.file.write_text(text)
    project.environment |= {"DB_PASSWORD": PASSWORD, "IAC_PROBATION": "2"}
    verdict = project.deploy()
    assert verdict["verdict"] == "ok", verdict
    return project


def url(project: Project) -> str:
    """Where the web application is, as the table says."""
    (found,) = project.health()["notes"]["urls"]
    return str(found)


def notes(chromium: WebDriver) -> list[str]:
    return [item.text for item in chromium.find_elements(By.TAG_NAME, "li")]


def see(chromium: WebDriver, address: str, text: str) -> None:
    """Reload the page until `text` is one of its notes."""

    def there(_: WebDriver) -> bool:
        chromium.get(address)
        return text in notes(chromium)

    WebDriverWait(chromium, 15).until(there, f"{text!r} is not there")


def test_a_note_outlives_redeploys_and_a_destroy(
    deployed: Project, repository: Repository, chromium: WebDriver
) -> None:
    """Web, worker, database and broker reach one another; what was written stays."""
    address = url(deployed)
    chromium.get(address)
    assert chromium.title == "Notes"
    chromium.find_element(By.NAME, "text").send_keys("buy two apples")
    chromium.find_element(By.TAG_NAME, "button").click()
    see(chromium, address, "buy two apples (3 words)")

    page = (NOTES / "app" / "templates" / "index.html").read_text()
    migration = "ALTER TABLE notes ADD COLUMN colour text;\n"
    repository.commit(
        {
            "templates/index.html": page.replace("<title>Notes", "<title>Our notes"),
            "migrations/003_colour.sql": migration,
        }
    )
    deployed.deploy()
    see(chromium, address, "buy two apples (3 words)")
    assert chromium.title == "Our notes"

    deployed.environment["IAC_SPARE_IMAGES"] = "100"
    image = deployed.health()["notes"]["image"]
    kept = result_of(deployed.iac("destroy", "--yes", "--json").stdout)
    assert f"{deployed.name}-db-data" in kept["volumes_kept"]
    assert image in kept["images_kept"]
    assert deployed.image_tags() == [image]
    there = json.loads(deployed.iac("images", "--json").stdout)["images"]
    assert {row["why"] for row in there if row["name"] in kept["images_kept"]} == {"spare"}
    deployed.deploy()
    del deployed.environment["IAC_SPARE_IMAGES"]
    assert not [*(deployed.directory / "log").glob("iac_*")], "a build has its log there"
    see(chromium, url(deployed), "buy two apples (3 words)")
    assert PASSWORD not in "".join(
        file.read_text(errors="replace") for file in state_files(deployed)
    )


def state_files(project: Project) -> list[Path]:
    """What Terraform and the tool keep of the project, but its secrets."""
    return [file for file in project.directory.rglob("*") if file.is_file()]
