"""Apply every file of migrations/ that the database has not seen yet, in order."""

from pathlib import Path

from database import connect

with connect() as database:
    database.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
    done = {row["name"] for row in database.execute("SELECT name FROM migrations")}
    for file in sorted(Path(__file__).with_name("migrations").glob("*.sql")):
        if file.name not in done:
            print("applying", file.name, flush=True)
            database.execute(file.read_text())
            database.execute("INSERT INTO migrations VALUES (%s)", [file.name])
