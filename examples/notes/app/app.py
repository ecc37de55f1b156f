"""A page of notes. The worker counts the words of each."""

from database import connect
from flask import Flask, redirect, render_template, request
from tasks import count_words

app = Flask(__name__)


@app.get("/")
def index():
    with connect() as database:
        notes = database.execute("SELECT text, words FROM notes ORDER BY id DESC").fetchall()
    return render_template("index.html", notes=notes)


@app.post("/")
def add():
    text = request.form["text"].strip()
    if text:
        with connect() as database:
            row = database.execute("INSERT INTO notes (text) VALUES (%s) RETURNING id", [text])
            note = row.fetchone()["id"]
        count_words.delay(note)
    return redirect("/")
