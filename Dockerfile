# Builds with any builder: nothing here needs BuildKit.

FROM rust:1-bookworm AS build
WORKDIR /src

# The dependencies alone first, in a layer that a change of our own source leaves valid.
COPY Cargo.toml Cargo.lock ./
# What the workspace names must be there; only the fake provider is built.
COPY lab/Cargo.toml lab/
COPY tests/race/Cargo.toml tests/race/
COPY fake-provider fake-provider
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --locked --release \
    && rm -r src

# The copied files may be older than that build; touched ones are certainly newer.
COPY . .
RUN touch src/main.rs src/lib.rs \
    && cargo build --locked --release

FROM debian:bookworm-slim

# The certificates of public authorities, for providers and databases that speak TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/pgdial /usr/local/bin/

# A named volume takes the owner and mode of the folder that it covers.
RUN groupadd --system --gid 10001 pgdial \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/pgdial pgdial \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/pgdial /secrets /db-secrets

USER 10001:10001
WORKDIR /var/lib/pgdial
EXPOSE 8080

# The slim image has no curl, and needs none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/pgdial", "healthcheck", "http://127.0.0.1:8080/readyz"]

# Loopback would be unreachable from outside the container. There is no Postgres
# in here, so `demo` points at docker-compose.yml instead.
ENTRYPOINT ["/usr/local/bin/pgdial"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
