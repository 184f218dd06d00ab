# The gateway alone: its binary, the C library it was linked with, the system's trust anchors.
# No shell, no package manager, not root. A compose file that was written for the Collector's
# image works: the binary is the entry point and takes `command: ["--config=/etc/otel/config.yaml"]`.
#
#   docker build -t portcullis .
#   docker run -v ./config.yaml:/etc/otel/config.yaml:ro -v ./certs:/certs:ro -p 4317:4317 portcullis

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin portcullis \
    && install -D target/release/portcullis /image/usr/bin/portcullis
# Shared libraries from where the loader will look for them; since glibc 2.34 resolving names needs
# no further ones.
RUN for library in $(ldd /image/usr/bin/portcullis | grep -o '/[^ ]*'); do \
        install -D "$library" "/image$library"; \
    done \
    && install -D /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && echo 'portcullis:x:10001:10001::/:/sbin/nologin' > /image/etc/passwd \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
    && install -d -m 0755 /image/etc/otel \
    && install -d -m 1777 /image/tmp \
    && install -d -o 10001 -g 10001 -m 0700 /image/var/lib/portcullis

FROM scratch
COPY --from=build /image /
# The user id of the Collector's image. Files that are mounted must be readable by it: keys that
# `openssl` or `portcullis certs` write have mode 0600 and belong to whoever made them.
USER 10001:10001
EXPOSE 4317 4318
# Asks the health_check extension, which the configuration must enable for this to succeed.
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/usr/bin/portcullis", "healthcheck"]
ENTRYPOINT ["/usr/bin/portcullis"]
CMD ["--config=/etc/otel/config.yaml"]
