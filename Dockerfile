# Builds the one binary, and runs it as nobody.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package colloquy

FROM debian:bookworm-slim
# A volume over the folder of attachments belongs to whom the folder belongs.
RUN useradd --system --home-dir /var/lib/colloquy --create-home colloquy && install -d -m 700 -o colloquy /var/lib/colloquy/files
COPY --from=build /src/target/release/colloquy /usr/local/bin/colloquy
USER colloquy
WORKDIR /var/lib/colloquy
ENV COLLOQUY_LISTEN=0.0.0.0:8000 COLLOQUY_DATA=/var/lib/colloquy/data
EXPOSE 8000
ENTRYPOINT ["colloquy"]
CMD ["serve"]
