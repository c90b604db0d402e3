# One image for every role. Built from the lock file with hashes; no Java inside, since a server has a broker of its own.
FROM python:3.11-slim AS build
WORKDIR /app
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY connectors connectors
COPY streams streams
RUN /venv/bin/pip install --no-cache-dir hatchling==1.33.0 && /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 lockstep && install -d -o lockstep -m 0700 /var/lib/lockstep
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER lockstep
WORKDIR /etc/lockstep
ENTRYPOINT ["lockstep"]
CMD ["--help"]
