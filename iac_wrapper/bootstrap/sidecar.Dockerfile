# The image of every Envoy container, sidecar and gateway alike: a Python base, iptables, Envoy.
# The build context holds `envoy` (the binary), sidecar/ (PID 1) and config/ (what it fills in).
ARG BASE
FROM ${BASE}

# Only a base without iptables needs a package mirror. `ca` and `env` are optional secrets for
# machines behind a proxy: a CA bundle (PEM), and a shell file that sets proxy variables.
RUN --mount=type=secret,id=ca --mount=type=secret,id=env \
    set -eu; \
    if [ ! -x /usr/sbin/iptables-nft-restore ]; then \
        if [ -f /run/secrets/env ]; then set -a; . /run/secrets/env; set +a; fi; \
        ca=; if [ -f /run/secrets/ca ]; then ca="-o Acquire::https::CAInfo=/run/secrets/ca"; fi; \
        apt-get $ca update; \
        apt-get $ca install -y --no-install-recommends iptables; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    mkdir -p /opt/iac /etc/iac/tls; \
    ln -s "$(command -v python3)" /opt/iac/python3

COPY --chmod=0755 envoy /usr/local/bin/envoy
COPY sidecar/ /opt/iac/sidecar/
COPY config/ /opt/iac/envoy/
# The root file system is read-only at run time: what is not compiled here never is.
RUN chmod -R u=rwX,go=rX /opt/iac/sidecar /opt/iac/envoy && \
    /opt/iac/python3 -I -S -m compileall -q /opt/iac/sidecar

LABEL org.opencontainers.image.title="KarstKit sidecar" \
      org.opencontainers.image.description="Envoy with a firewall and an unprivileged supervisor"

# -S: without site-packages the supervisor starts faster and imports nothing but its own.
ENTRYPOINT ["/opt/iac/python3", "-I", "-S", "-B", "/opt/iac/sidecar"]
