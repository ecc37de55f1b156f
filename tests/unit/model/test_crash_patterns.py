"""What libraries print when something is missing around a program, in their very words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model.crash_patterns import find
from iac_wrapper.model.options import Options
from iac_wrapper.model.source_hints import SourceHints
from tests.support.deployed import app

APP = app("web")

PLAYWRIGHT = """playwright._impl._errors.Error: BrowserType.launch: Executable doesn't exist at \
/root/.cache/ms-playwright/chromium_headless_shell-1255/chrome-headless-shell-linux64/chrome-headless-shell
╔════════════════════════════════════════════════════════════╗
║ Looks like Playwright was just installed or updated.       ║
║ Please run the following command to download new browsers: ║
║                                                            ║
║     playwright install                                     ║"""

SUBPROCESS = """  File "/usr/local/lib/python3.11/subprocess.py", line 1950, in _execute_child
    raise child_exception_type(errno_num, err_msg, err_filename)
FileNotFoundError: [Errno 2] No such file or directory: '{}'"""

SELENIUM = (
    "selenium.common.exceptions.NoSuchDriverException: Message: Unable to obtain driver for {};"
    " For documentation on this error, please visit: https://www.selenium.dev/documentation/"
)

PYDANTIC = """pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
api_token
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.14/v/missing
database_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.14/v/missing"""

PSYCOPG = """psycopg2.OperationalError: connection to server at "localhost" (127.0.0.1), port 5432 \
failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
"""

PSYCOPG3 = """psycopg.OperationalError: Multiple connection attempts failed. All failures were:
- host: 'localhost', port: '5432', hostaddr: '127.0.0.1': connection failed: connection to server \
at "127.0.0.1", port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?"""

PSYCOPG_SOCKET = """psycopg2.OperationalError: connection to server on socket \
"/var/run/postgresql/.s.PGSQL.5432" failed: No such file or directory
\tIs the server running locally and accepting connections on that socket?"""

ASYNCPG = "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)"

GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/main.py", line 6, in <module>
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/venv/lib/redis/asyncio/connection.py", line 876, in connect_check_health
    |     raise e
    | redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connect call \
failed ('127.0.0.1', 6379).
    +------------------------------------"""

CELERY = """[2026-11-28 07:44:57,712: ERROR/MainProcess] consumer: Cannot connect to \
amqp://guest:**@127.0.0.1:5672//: [Errno 111] Connection refused.
Trying again in 2.00 seconds... (1/100)"""

MONGO = (
    "pymongo.errors.ServerSelectionTimeoutError: localhost:27017: [Errno 111] Connection refused"
    " (configured timeouts: socketTimeoutMS: 20000.0ms), Timeout: 1.0s"
)

ELASTIC = (
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='localhost', port=9200): Max"
    " retries exceeded with url: / (Caused by NewConnectionError(\"HTTPConnection(host='localhost',"
    ' port=9200): Failed to establish a new connection: [Errno 111] Connection refused"))'
)

AIOHTTP = (
    "aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host localhost:8000"
    " ssl:default [Connect call failed ('127.0.0.1', 8000)]"
)

MAKEDIRS = """  File "<frozen os>", line 225, in makedirs
OSError: [Errno 30] Read-only file system: 'log'"""

MKDIR = """  File "/usr/local/lib/python3.11/pathlib.py", line 1116, in mkdir
    os.mkdir(self, mode)
OSError: [Errno 30] Read-only file system: '{}'"""

NODE = """Error: {}
    at Object.openSync (node:fs:573:18)
    at Object.readFileSync (node:fs:452:35) {{
  errno: -2,"""

NO_PORT = """  File "/app/shop/settings.py", line 4, in <module>
    PORT = int({}("DB_PORT"))
           ^^^^^^^^^^^^^^^^^^
TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"""

NO_LIST = """  File "/app/shop/settings.py", line 4, in <module>
    HOSTS = os.environ.get('SHOP_HOSTS').split(",")
AttributeError: 'NoneType' object has no attribute 'split'"""

CASES = {
    NO_PORT.format("os.getenv"): ("missing-variable", "`env: {DB_PORT: …}`"),
    NO_PORT.format("values.get"): ("missing-variable", "`env: {DB_PORT: …}`"),
    NO_LIST: ("missing-variable", "`env: {SHOP_HOSTS: …}`"),
    "RuntimeError: Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set.": (
        "missing-variable",
        "the variable that its code reads SQLALCHEMY_DATABASE_URI from",
    ),
    "RuntimeError: Either SQLALCHEMY_DATABASE_URI or SQLALCHEMY_BINDS needs to be set.": (
        "missing-variable",
        "such as `env: {DATABASE_URL: …}`",
    ),
    "WARNING:  You must pass the application as an import string to enable 'reload' or"
    " 'workers'.": ("failed", "`entrypoint: uvicorn MODULE:OBJECT`"),
    "ModuleNotFoundError: No module named 'pkg_resources'": ("missing-module", "setuptools<82"),
    "FileNotFoundError: [Errno 2] No such file or directory: 'config.yaml'": (
        "missing-file",
        "add config.yaml to its source (git may ignore it), or let it read",
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/app/conf/a.toml'": (
        "missing-file",
        "add conf/a.toml to its source",
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/app/.env'": (
        "missing-file",
        "write its variables to `env:`",
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/app/log/x.log'": (
        "missing-file",
        "`volumes: {log: /app/log}` in its entry if that is to stay, `tmpfs: {/app/log: 64m}`",
    ),
    NODE.format("ENOENT: no such file or directory, open 'config.json'"): (
        "missing-file",
        "add config.json to its source",
    ),
    "panic: open config.yml: no such file or directory": ("missing-file", "add config.yml to"),
    SUBPROCESS.format("ffmpeg"): ("missing-program", "`packages: [ffmpeg]`"),
    SUBPROCESS.format("frobnicate"): ("missing-program", "the package that brings frobnicate"),
    SUBPROCESS.format("/usr/bin/chromium"): ("missing-browser", "[chromium, chromium-driver]"),
    PLAYWRIGHT: ("missing-browser", '`executable_path="/usr/bin/chromium"`'),
    SELENIUM.format("chrome"): ("missing-browser", "`packages: [chromium, chromium-driver]`"),
    SELENIUM.format("firefox"): ("missing-browser", "write `build: dockerfile` in its entry"),
    "RuntimeError: Directory 'frontend/dist' does not exist": (
        "missing-build",
        "commit it, or write `build: dockerfile`",
    ),
    "RuntimeError: Directory '/app/static' does not exist": (
        "missing-file",
        "git keeps no empty ones",
    ),
    "ValueError: 'dist' does not exist": ("missing-build", "commit it"),
    PSYCOPG: (
        "connection-refused",
        "list a service with `image: postgres:17`, `name: db`, `tcp: [5432]`; write `needs: [db]`"
        " in this entry; name db:5432 to it",
    ),
    PSYCOPG3: ("connection-refused", "`image: postgres:17`"),
    PSYCOPG_SOCKET: ("connection-refused", "`image: postgres:17`"),
    ASYNCPG: ("connection-refused", "`image: postgres:17`"),
    "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'localhost'"
    ' ([Errno 111] Connection refused)")': ("connection-refused", "`image: mysql:8`"),
    "mysql.connector.errors.InterfaceError: 2003: Can't connect to MySQL server on"
    " 'localhost:3306' (Errno 111: Connection refused)": ("connection-refused", "mysql:8"),
    "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379."
    " Connection refused.": ("connection-refused", "`image: redis:7`"),
    GROUP: ("connection-refused", "`image: redis:7`"),
    CELERY: ("connection-refused", "`image: rabbitmq:4`"),
    "aiormq.exceptions.AMQPConnectionError: [Errno 111] Connect call failed ('127.0.0.1', 5672)": (
        "connection-refused",
        "rabbitmq:4",
    ),
    "pika.exceptions.AMQPConnectionError": ("connection-refused", "`image: rabbitmq:4`"),
    MONGO: ("connection-refused", "`image: mongo:7`"),
    ELASTIC: ("connection-refused", "name elasticsearch:9200 to it"),
    AIOHTTP: ("connection-refused", "`http://NAME/`; for what is not HTTP NAME:8000"),
    NODE.format("connect ECONNREFUSED 127.0.0.1:5432"): ("connection-refused", "postgres:17"),
    "httpx.ConnectError: [Errno 111] Connection refused": ("connection-refused", "`http://NAME/`"),
    "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>": (
        "connection-refused",
        "`http://NAME/`",
    ),
    MAKEDIRS: ("read-only-path", "`volumes: {log: /app/log}` in its entry"),
    MKDIR.format("data"): ("read-only-path", "`tmpfs: {/app/data: 64m}`"),
    MKDIR.format("/app/.nicegui"): ("read-only-path", "`volumes: {nicegui: /app/.nicegui}`"),
    "OSError: [Errno 30] Read-only file system: 'bot.log'": ("read-only-path", "such as"),
    "Error: EROFS: read-only file system, mkdir 'data'": (
        "read-only-path",
        "`volumes: {data: /app/data}`",
    ),
    "sh: 1: cannot create out/x.log: Read-only file system": (
        "read-only-path",
        "`volumes: {out: /app/out}`",
    ),
    "mkdir: cannot create directory \u2018data\u2019: Read-only file system": (
        "read-only-path",
        "`volumes: {data: /app/data}`",
    ),
    PYDANTIC: ("missing-variable", "`env: {API_TOKEN: …, DATABASE_URL: …}` in its entry"),
    'environs.exceptions.EnvNotSetError: Environment variable "API_TOKEN" not set': (
        "missing-variable",
        "`env: {API_TOKEN: …}`",
    ),
    "KeyError: \"Config 'API_TOKEN' is missing, and has no default.\"": (
        "missing-variable",
        "`env: {API_TOKEN: …}`",
    ),
    "ValueError: BOT_TOKEN must be set": ("missing-variable", "`env: {BOT_TOKEN: …}`"),
    "RuntimeError: `SECRET_KEY` is not set!": ("missing-variable", "`env: {SECRET_KEY: …}`"),
    "Exception: API_KEY environment variable not found": ("missing-variable", "{API_KEY: …}"),
    "SystemExit: Missing required environment variables: API_ID": ("missing-variable", "API_ID"),
}


@pytest.mark.parametrize("text", CASES)
def test_what_is_missing_around_a_program_is_named(text: str) -> None:
    """With what to write, whatever unknown was printed before."""
    found = find(["hello", *text.split("\n")], APP)
    code, step = CASES[text]
    assert found
    assert (found.code, step in found.next_step) == (code, True), found
    assert found.evidence in text
    assert not found.evidence.startswith(("|", 'File "'))


@pytest.mark.parametrize(
    "text",
    [
        "redis: Error 111 connecting to localhost:6379. Connection refused.\nusing memory",
        "BOT_TOKEN is not set, notifications are off\nready",
        "no config: open config.yml: no such file or directory\nready",
        "DEBUG_MODE is set",
        "ConnectionRefusedError: [Errno 111] Connect call failed ('192.0.2.7', 5432)",
        f"Error: connect ECONNREFUSED 127.0.0.1:{'9' * 5000}",
    ],
)
def test_what_a_program_says_in_passing_is_no_cause(text: str) -> None:
    """It goes on without; and another host is not its own."""
    assert find(text.split("\n"), APP) is None


HINTS = SourceHints(
    files=frozenset({".env.example", "config.example.yaml", "docs/config.yaml", "Dockerfile"}),
    env_file=".env.example",
    variables={"SHOP_API_TOKEN": "x", "DB_URL": "postgresql://localhost:5432/shop", "DEBUG": "1"},
)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        (
            "KeyError: \"Config 'DEBUG' is missing, and has no default.\"",
            "write `env: {DEBUG: …}` in its entry; .env.example in its source has an example",
        ),
        (PYDANTIC, "`env: {SHOP_API_TOKEN: …, DATABASE_URL: …}`"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'config.yaml'",
            "(git may ignore it), as config.example.yaml there shows",
        ),
        ("RuntimeError: Directory 'dist' does not exist", "if its Dockerfile builds it"),
        (PSYCOPG, "`env: {DB_URL: …}` in its entry as in .env.example, with db for localhost"),
    ],
)
def test_what_the_source_shows_is_part_of_the_step(text: str, step: str) -> None:
    """An example of a `.env` file, a template of a file, a Dockerfile."""
    found = find(text.split("\n"), APP, HINTS)
    assert found
    assert step in found.next_step, found


def test_a_service_that_it_needs_is_named_in_place_of_localhost() -> None:
    """It is listed; what names localhost is its own entry."""
    said = {"DATABASE_URL": "postgresql://127.0.0.1:5432/shop", "URL": "http://localhost:80"}
    web = replace(APP, options=Options(needs=("store",)), env=said)
    found = find(PSYCOPG.split("\n"), web)
    assert found
    assert found.next_step == (
        "write store in place of localhost in DATABASE_URL of `env:` in its entry"
    )
