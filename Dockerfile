# syntax=docker/dockerfile:1
# One image, all stations:
#
#   docker build -t nemeses .
#   docker run --rm --read-only -v nemeses:/var/lib/nemeses -p 127.0.0.1:1883:1883 nemeses
#
# It runs as a user without rights and needs to write nowhere but in its volume.

ARG RUST_VERSION=1.91
ARG DEBIAN=bookworm

FROM node:22-${DEBIAN}-slim AS page
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web .
RUN npm run build

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
# C for SQLite, ring and jemalloc; nothing else is compiled that is not Rust. Python writes the bill
# of materials.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=page /web/dist web/dist
# The caches outlive this step, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package nemeses \
    && install -D target/release/nemeses /out/usr/local/bin/nemeses \
    && tools/sbom.py /out/usr/share/doc/nemeses/nemeses.cdx.json \
    && install -d -m 0700 /out/var/lib/nemeses

FROM debian:${DEBIAN}-slim
# Certificates: rediss:// and databases by TLS.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 nemeses \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/nemeses --no-create-home --shell /usr/sbin/nologin nemeses
COPY --from=build /out/usr/local/bin/nemeses /usr/local/bin/nemeses
COPY --from=build /out/usr/share/doc/nemeses /usr/share/doc/nemeses
COPY --from=build --chown=10001:10001 /out/var/lib/nemeses /var/lib/nemeses

# Within a container the listeners are reached through its network only; what may
# reach that is compose's, or the orchestrator's, to say. Devices need logins.
# hadolint ignore=DL3064
ENV NEMESES_DATA_DIR=/var/lib/nemeses \
    NEMESES_PRIVATE_NETWORK=true \
    NEMESES_MQTT_LISTEN=0.0.0.0:1883 \
    NEMESES_MQTT_ANONYMOUS=false \
    NEMESES_HTTP_LISTEN=0.0.0.0:5000 \
    NEMESES_ADMIN_LISTEN=0.0.0.0:9180 \
    NEMESES_HEALTH_URL=http://127.0.0.1:9180/healthz \
    NEMESES_LOG_FORMAT=json

USER 10001:10001
WORKDIR /var/lib/nemeses
VOLUME ["/var/lib/nemeses"]
EXPOSE 1883 5000 9180
# SIGTERM: what is in flight is committed first, within 20 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["nemeses", "health"]
ENTRYPOINT ["nemeses"]
CMD ["up"]
