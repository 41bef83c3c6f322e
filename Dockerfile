# The service alone: docker build -t hiregraph . && docker run -p 8080:8080 -v hiregraph:/var/lib/hiregraph hiregraph
# A database server and a shared secret: -e HIREGRAPH_DB=postgresql+psycopg://... -e HIREGRAPH_TOKEN_SECRET=...
FROM python:3.11-slim AS build
# Where torch comes from, empty: the usual package index. The index of CPU builds makes an image a tenth of the size.
ARG TORCH_INDEX=
RUN python -m venv /opt/hiregraph
WORKDIR /src
COPY constraints.txt ./
RUN /opt/hiregraph/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0
COPY . .
RUN /opt/hiregraph/bin/pip install --no-cache-dir -c constraints.txt ".[postgres]"

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/hiregraph hiregraph
COPY --from=build /opt/hiregraph /opt/hiregraph
USER hiregraph
WORKDIR /var/lib/hiregraph
ENV PATH=/opt/hiregraph/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/lib/hiregraph/.cache/numba \
    HIREGRAPH_HOST=0.0.0.0 \
    HIREGRAPH_DOCS=false \
    HIREGRAPH_DB=sqlite:////var/lib/hiregraph/hiregraph.sqlite \
    HIREGRAPH_ARTEFACTS=/var/lib/hiregraph/artefacts
VOLUME /var/lib/hiregraph
EXPOSE 8080
# Alive, not ready: a service without artefacts still takes campaigns and events.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["hiregraph"]
CMD ["serve"]
