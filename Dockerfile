# The gateway's image; `make image` builds it. Any user and a read-only root file system will do: all that is written
# are uploads under way of more than 1 MB, in /tmp or where TMPDIR says.

# An index of several architectures. Renewed with what this prints, tag and digest together:
#   docker buildx imagetools inspect python:3.13-slim
FROM python:3.13-slim@sha256:70729b46c69b4f1e97c4822c1af3df53a1476cf5ddc6c087c0c10bc3a5678c2f AS base

FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Wheels alone, so that nothing is compiled and no package runs code of its own here.
COPY release/build.lock release/runtime.lock release/
RUN pip install --quiet --no-deps --require-hashes --only-binary :all: -r release/build.lock \
    && python -m venv --without-pip /opt/blue-gateway \
    && pip --python /opt/blue-gateway/bin/python install --quiet --no-compile \
        --no-deps --require-hashes --only-binary :all: -r release/runtime.lock
COPY LICENSE README.md pyproject.toml ./
COPY schema schema
COPY gateway gateway
# Byte code is compiled here, and never compared with its source: times of files differ between builders of images.
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/blue-gateway/bin/python install --quiet --no-compile --no-deps --no-index wheels/*.whl \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/blue-gateway/lib

FROM base
ENV PATH=/opt/blue-gateway/bin:$PATH
COPY --from=build /opt/blue-gateway /opt/blue-gateway
ARG VERSION=""
# Nothing will be installed any more. The import leaves the standard library's byte code, which the base comes without.
RUN pip uninstall --quiet --yes pip \
    && python -c 'import gateway.app, gateway.server, gateway.services.migrate, http.client' \
    && { test -z "$VERSION" || test "$VERSION" = "$(blue-gateway --version)"; }
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ARG REVISION=""
LABEL org.opencontainers.image.title="Blue FaaS Gateway" \
    org.opencontainers.image.description="The GraphQL gateway of the Blue Functions-as-a-Service platform" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="docker.io/library/python:3.13-slim" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
USER 10001:10001
EXPOSE 8000
# Drains for DRAIN_TIMEOUT_S at most: what stops it has to wait longer (`docker stop --time 30`).
STOPSIGNAL SIGTERM
# For engines that look at it; Kubernetes has the chart's probes.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["blue-gateway"]
CMD ["serve"]
