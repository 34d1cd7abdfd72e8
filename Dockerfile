# The web page of `lle serve`; DEPLOY.md says how to run it.
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY lle_utils lle_utils
COPY data data
RUN pip install --no-cache-dir --constraint requirements.lock ".[serve]"
USER nobody
ENV HOME=/tmp PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", \
  "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=5)"]
CMD ["lle", "serve", "--host", "0.0.0.0"]
