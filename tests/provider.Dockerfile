# The scripted model provider of the tests, for envoy/docker-compose.yaml.
#
#   docker build --file tests/provider.Dockerfile --tag tollgate-provider .
#   docker run --rm --publish 127.0.0.1:8080:8080 tollgate-provider --listen 0.0.0.0:8080
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY filters filters
COPY tests tests
RUN cargo build --locked --profile tools --package tollgate-tests --bin scripted-provider

FROM debian:12-slim
COPY --from=build /src/target/tools/scripted-provider /usr/local/bin/scripted-provider
USER 65534:65534
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/scripted-provider"]
