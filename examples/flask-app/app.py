"""A web application on $PORT. Nothing here knows about TLS, certificates or other services."""

import os

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/")
def greeting() -> ResponseReturnValue:
    return jsonify(greeting=os.environ.get("GREETING", "Hello"))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
