"""What is installed under another name than it is imported by. Data."""

from __future__ import annotations

from collections.abc import Mapping

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "yaml": ("PyYAML",),
    "cv2": (
        *("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
        "opencv-contrib-python-headless",
    ),
    "PIL": ("pillow",),
    "sklearn": ("scikit-learn",),
    "bs4": ("beautifulsoup4",),
    "dotenv": ("python-dotenv",),
    "dateutil": ("python-dateutil",),
    "jwt": ("PyJWT",),
    "psycopg2": ("psycopg2-binary", "psycopg2"),
    "MySQLdb": ("mysqlclient",),
    "Crypto": ("pycryptodome",),
    "OpenSSL": ("pyOpenSSL",),
    "google": ("protobuf",),
    "grpc": ("grpcio",),
    "pkg_resources": ("setuptools",),
    "telegram": ("python-telegram-bot",),
    "discord": ("discord.py",),
    "socketio": ("python-socketio",),
    "attr": ("attrs",),
    "magic": ("python-magic",),
}
"""By the name of the import: the distributions that bring it, first the one to recommend."""
