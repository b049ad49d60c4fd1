# The program without a database of its own; compose.yaml puts a PostGIS beside it.
FROM debian:bookworm-slim AS builder
WORKDIR /app
COPY scripts scripts
COPY requirements.lock ./
COPY web/package.json web/package-lock.json web/
RUN scripts/bootstrap image
COPY . .
RUN .venv/bin/python -m compileall -q gis data layers api main.py

FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --create-home --home-dir /var/lib/wangge --uid 10001 wangge
COPY --from=builder /app /app
WORKDIR /app
USER wangge
ENV WANGGE_HOME=/var/lib/wangge PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
  CMD ["/app/.venv/bin/python", "/app/scripts/healthy.py"]
STOPSIGNAL SIGINT
ENTRYPOINT ["/app/.venv/bin/python", "main.py"]
CMD ["serve", "--host", "0.0.0.0"]
