"""The examples of DEPLOY for clusters, as far as they can be tried without one."""

import re
from pathlib import Path

import pytest
import yaml

from lle_utils.core.paths import project_root


def example(package: str) -> str:
    """Return the Python block of DEPLOY that imports a package."""
    text = (project_root() / "DEPLOY.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if package in b)
    return block


def test_a_job_of_slurm_starts_one_worker_with_one_run_at_a_time():
    pytest.importorskip("dask_jobqueue", reason="SLURM: pip install dask-jobqueue")
    before, _ = example("dask_jobqueue").split("cluster.scale")
    names = {}
    exec(before, names)
    with names["cluster"] as cluster:
        script = cluster.job_script()
    assert "#SBATCH --cpus-per-task=4" in script
    assert "#SBATCH -t 08:00:00" in script
    assert f"distributed.cli.dask_worker {cluster.scheduler_address} " in script
    assert "--nthreads 1 " in script


def test_the_description_of_a_cluster_is_one_that_the_operator_takes():
    operator = pytest.importorskip(
        "dask_kubernetes.operator", reason="Kubernetes: pip install dask-kubernetes"
    )
    jsonschema = pytest.importorskip("jsonschema")
    before, _ = example("dask_kubernetes").split("cluster = ")
    names = {}
    exec(before, names)
    spec = names["spec"]
    (path,) = Path(operator.__file__).parent.rglob("crds/daskcluster.yaml")
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert spec["apiVersion"].endswith(definition["spec"]["versions"][0]["name"])
    jsonschema.validate(without_nulls(spec), schema)
    worker = spec["spec"]["worker"]
    assert worker["replicas"] == 20
    (container,) = worker["spec"]["containers"]
    assert container["args"][0] == "dask-worker"
    assert container["args"][-2:] == ["--nthreads", "1"]
    assert container["volumeMounts"][0]["name"] == worker["spec"]["volumes"][0]["name"]
    container["volumeMounts"] = "/runs"
    with pytest.raises(jsonschema.ValidationError, match="'/runs' is not of type 'array'"):
        jsonschema.validate(without_nulls(spec), schema)


def without_nulls(value):
    """Leave out what is None, as the server does with fields that are not nullable."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value
