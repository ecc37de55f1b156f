#!/usr/bin/env bash
# A client of h2 cannot read the answer to a request that was sent before the server's GOAWAY.
#
# Version:  h2 4.4.1 (PyPI)
# Expected: a GOAWAY without an error whose last stream is ours or a later one lets that stream end
#           (RFC 9113, 6.8): its answer is an event as before. Servers send it first when they drain.
# Seen:     ConnectionTerminated, and then ProtocolError at the answer's first frame. With both in one
#           call of receive_data() not even that event is returned.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check h2==4.4.1
cd "$dir"
cat > ask.py <<'PROGRAM'
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

NOTICE = GoAwayFrame(last_stream_id=2**31 - 1).serialize()


def run(notice, together):
    client = H2Connection(H2Configuration(client_side=True))
    server = H2Connection(H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    fields = {":method": "GET", ":scheme": "https", ":authority": "a.example", ":path": "/"}
    client.send_headers(1, list(fields.items()), end_stream=True)
    server.receive_data(client.data_to_send())
    settings = server.data_to_send()
    server.send_headers(1, [(":status", "200")], end_stream=True)
    answer = server.data_to_send()
    client.receive_data(settings)
    seen = []
    for data in [notice + answer] if together else [notice, answer]:
        try:
            seen += [type(event).__name__ for event in client.receive_data(data)]
        except ProtocolError as error:
            seen.append(type(error).__name__)
    return ", ".join(seen)


print("no notice:", run(b"", False))
print("notice, then the answer:", run(NOTICE, False))
print("both at once:", run(NOTICE, True))
PROGRAM
venv/bin/python ask.py | tee seen
diff seen - <<'SEEN'
no notice: ResponseReceived, StreamEnded
notice, then the answer: ConnectionTerminated, ProtocolError
both at once: ProtocolError
SEEN
