"""The smallest service: a function main() that nothing calls. It is found, called, and ends."""

import platform


def main() -> None:
    print(f"hello from Python {platform.python_version()}", flush=True)
