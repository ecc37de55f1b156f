"""The one way to the database: DATABASE_URL, such as postgresql://notes:secret@db/notes."""

import os

import psycopg
from psycopg.rows import dict_row


def connect() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row)
