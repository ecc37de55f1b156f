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

DEBIAN_PACKAGES: Mapping[str, str] = {
    "convert": "imagemagick",
    "curl": "curl",
    "dot": "graphviz",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "git": "git",
    "gs": "ghostscript",
    "java": "default-jre-headless",
    "libreoffice": "libreoffice",
    "mysql": "default-mysql-client",
    "mysqldump": "default-mysql-client",
    "node": "nodejs",
    "npm": "npm",
    "npx": "npm",
    "pandoc": "pandoc",
    "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils",
    "pg_dump": "postgresql-client",
    "psql": "postgresql-client",
    "redis-cli": "redis-tools",
    "soffice": "libreoffice",
    "ssh": "openssh-client",
    "tesseract": "tesseract-ocr",
    "unzip": "unzip",
    "wget": "wget",
    "zip": "zip",
}
"""By the name of a program that code calls: the Debian package that brings it (12 and 13)."""
