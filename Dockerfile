# syntax=docker/dockerfile:1
# One static binary in an empty image. Build: `docker build -t doorward .`

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY src src
# Named in Cargo.toml, so cargo wants it there.
COPY benches benches
# An explicit target keeps the flag away from build scripts and procedural macros, which cannot be static.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --features otlp --bin doorward --target "$target" \
    && install -D "target/$target/release/doorward" /out/doorward \
    && install -d -m 0700 /out/var

FROM scratch
LABEL org.opencontainers.image.title="doorward" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/doorward /doorward
# Where keys and the embedded database are kept unless configured otherwise.
COPY --from=build --chown=65532:65532 /out/var /var/lib/doorward
WORKDIR /var/lib/doorward
VOLUME /var/lib/doorward
USER 65532:65532
# There is no /tmp; `demo` needs a folder for its keys while it runs.
ENV TMPDIR=/var/lib/doorward \
    DOORWARD__LISTEN__PUBLIC=0.0.0.0:8080 \
    DOORWARD__LISTEN__CHECK=0.0.0.0:9191 \
    DOORWARD__LISTEN__OPS=0.0.0.0:9192
EXPOSE 8080 9191 9192
HEALTHCHECK --interval=5s --timeout=2s --start-period=5s --retries=3 CMD ["/doorward", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/doorward"]
CMD ["serve"]
