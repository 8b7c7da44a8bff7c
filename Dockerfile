# Brain Age as a container, from the versions of constraints.txt. NOT BUILT HERE: nobody has yet.
#   docker build -t brainage .
#   docker run --rm --network none -v /data:/data:ro -v /out:/out brainage predict /data /out participant --model /out/my-model
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 \
    HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba

WORKDIR /opt/brainage
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY brainage_lib brainage_lib
# torch first and alone: its CPU build satisfies the pin that the rest repeats.
RUN pip install "$(grep ^torch== constraints.txt)" --index-url https://download.pytorch.org/whl/cpu \
    && pip install . -c constraints.txt

# Nothing but the output folder is written to.
USER nobody
WORKDIR /tmp
ENTRYPOINT ["brainage"]
CMD ["--help"]
