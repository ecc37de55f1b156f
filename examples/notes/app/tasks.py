"""What the worker does; the web process only asks for it."""

import os

from celery import Celery
from database import connect

celery = Celery("notes", broker=os.environ["BROKER_URL"])
celery.conf.broker_connection_retry_on_startup = True


@celery.task
def count_words(note: int) -> None:
    with connect() as database:
        database.execute(
            "UPDATE notes SET words = array_length(regexp_split_to_array(text, '\\s+'), 1)"
            " WHERE id = %s",
            [note],
        )
