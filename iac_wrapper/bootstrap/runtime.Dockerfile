# What every app image starts FROM: a slim Python base, the runner, the launcher, uv.
# Build context: runner/ (without sidecar/), iac_wrapper/{__init__.py,grpc_pb/}, images/uv-requirements.txt.
# No `# syntax=` line: it would fetch a frontend from a registry, and there may be none.
ARG BASE
FROM ${BASE} AS build

# The steps that reach a package index know the builder's CA bundle and index settings as secrets,
# which no layer keeps: `ca` (PEM) and `env` (a file of sh exports); either may be missing.
COPY images/uv-requirements.txt /tmp/
RUN --mount=type=secret,id=ca --mount=type=secret,id=env --mount=type=cache,id=iac-pip,target=/root/.cache/pip \
    set -eu; \
    if [ -s /run/secrets/env ]; then . /run/secrets/env; fi; \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /tmp/tools; \
    /tmp/tools/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --require-hashes -r /tmp/uv-requirements.txt; \
    install -D /tmp/tools/bin/uv /opt/iac/bin/uv

# The runner's packages live apart from the app's: /opt/iac/runner is a virtual environment of its
# own, /opt/iac/otel a directory that telemetry.py adds to the end of the app's sys.path, and
# /opt/iac/otlp what the exporter needs besides, which it adds only where spans are exported.
# /opt/iac/static is on the path of Django programs that have nothing to serve static files with,
# /opt/iac/servers at the end of the path of web applications that name no server.
COPY runner/requirements.txt runner/otel-requirements.txt runner/otlp-requirements.txt \
    runner/static-requirements.txt runner/server-requirements.txt /tmp/
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
RUN --mount=type=secret,id=ca --mount=type=secret,id=env --mount=type=cache,id=iac-uv,target=/root/.cache/uv \
    set -eu; \
    if [ -s /run/secrets/env ]; then . /run/secrets/env; fi; \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    uv=/opt/iac/bin/uv python="$(command -v python3)"; \
    $uv venv --quiet --no-project --python "$python" /opt/iac/runner; \
    $uv pip install --quiet --only-binary :all: --require-hashes --compile-bytecode \
        --python /opt/iac/runner/bin/python -r /tmp/requirements.txt; \
    $uv pip install --quiet --only-binary :all: --require-hashes --compile-bytecode \
        --python "$python" --target /opt/iac/otel -r /tmp/otel-requirements.txt; \
    $uv pip install --quiet --only-binary :all: --require-hashes --compile-bytecode \
        --python "$python" --target /opt/iac/otlp -r /tmp/otlp-requirements.txt; \
    $uv pip install --quiet --only-binary :all: --require-hashes --compile-bytecode \
        --python "$python" --target /opt/iac/static -r /tmp/static-requirements.txt; \
    $uv pip install --quiet --only-binary :all: --require-hashes --compile-bytecode \
        --python "$python" --target /opt/iac/servers -r /tmp/server-requirements.txt; \
    (cd /opt/iac/otel && find . -type f -print0) | (cd /opt/iac/otlp && xargs -0 rm -f)

# The runner finds its code by a .pth file, not by PYTHONPATH: nothing leaks to the user's program,
# and `python -I` keeps a runner.py or grpc/ in the user's source from shadowing ours.
COPY iac_wrapper /opt/iac/lib/iac_wrapper
COPY runner /opt/iac/lib/runner
RUN set -eu; \
    mv /opt/iac/lib/runner/launch.py /opt/iac/lib/runner/telemetry.py /opt/iac/; \
    mv /opt/iac/lib/runner/static_files.py /opt/iac/static/karstkit_static_files.py; \
    rm -f /opt/iac/lib/runner/*requirements.txt; \
    chmod -R go+rX,go-w /opt/iac; \
    echo /opt/iac/lib > "$(/opt/iac/runner/bin/python -c 'import site; print(site.getsitepackages()[0])')/iac.pth"; \
    python3 -m compileall -q /opt/iac/lib /opt/iac/telemetry.py \
        /opt/iac/static/karstkit_static_files.py; \
    /opt/iac/runner/bin/python -I -c 'import runner, iac_wrapper'

FROM ${BASE}
# The root file system is read-only at run time, so what is not compiled now is compiled at every
# start. Debian ships compiled modules (this is a no-op then), python:X.Y-slim removes them.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && echo 'iac:x:10001:10001:user code:/tmp:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'iac:x:10001:' >> /etc/group
COPY --from=build /opt/iac /opt/iac
WORKDIR /app
ENTRYPOINT ["/opt/iac/runner/bin/python", "-I", "-u", "-m", "runner"]
