"""What deploy/ says is true of this repository, of Dagster and of its chart, as far as can be told without engines."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from dagster import DagsterInstance
from dagster._config import process_config
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_postgres import PostgresEventLogStorage

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
HELM = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_are_known_and_no_secret_is_written_down(path):
    text = path.read_text(encoding="utf-8")
    settings = (ROOT / "lending_pipelines" / "settings.py").read_text(encoding="utf-8")
    # Where the code server is, is a matter of deploy/ alone.
    known = {*re.findall(r"LENDING_[A-Z_]+", settings), "LENDING_CODE_HOST", "LENDING_CODE_PORT"}
    assert set(re.findall(r"LENDING_[A-Z_]+", text)) <= known
    assert re.findall(r"^\s*\w*PASSWORD\w*[:=][ \t]*(?!\$\{)\S.*$", text, re.MULTILINE) == []


def test_the_image_copies_what_is_there_and_what_its_builder_is_sent():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert len(copied) > 5
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert sorted(copied) == sorted(sent)


def test_the_image_is_the_locked_versions_by_hash_and_not_root():
    installs = re.findall(r"pip install (.*?)(?= \\$|$)", DOCKERFILE, re.MULTILINE)
    assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["lending"]
    assert f"--uid {HELM['dagsterDaemon']['podSecurityContext']['runAsUser']}" in DOCKERFILE
    locked = (ROOT / "requirements-deploy.lock").read_text(encoding="utf-8")
    for package in ("pyspark", "s3fs", "dagster-k8s", "dagster-postgres", "dagster-webserver"):
        assert re.search(rf"^{package}==\S+ \\\n    --hash=sha256:", locked, re.MULTILINE | re.IGNORECASE), package


def test_the_services_of_compose_refer_to_what_is_there():
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    assert services.keys() == {"postgres", "code", "webserver", "daemon", "portal"}
    for name, service in services.items():
        assert service.get("depends_on", {}).keys() <= services.keys(), name
        assert all(wait["condition"] == "service_healthy" for wait in service.get("depends_on", {}).values()), name
        assert service["healthcheck"]["test"][0] == "CMD", name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith("./") else source in volumes, (name, volume)
        build = service.get("build")
        assert build is None or ((DEPLOY / build["context"]).resolve(), build["dockerfile"]) == (
            ROOT,
            "deploy/Dockerfile",
        )
    # The services set the environment variables that the files in the image read.
    asked = set()
    for file in ("dagster.yaml", "workspace.yaml"):
        asked |= set(re.findall(r"env: (\w+)", (DEPLOY / file).read_text(encoding="utf-8")))
    assert asked == {"DAGSTER_POSTGRES_URL", "LENDING_CODE_HOST", "LENDING_CODE_PORT"}
    for name in ("code", "webserver", "daemon"):
        assert asked <= services[name]["environment"].keys()
    assert services["webserver"]["environment"]["LENDING_CODE_HOST"] in services
    assert services["webserver"]["environment"]["LENDING_CODE_PORT"] in services["code"]["command"]
    # The web server has no sign-in, and the portal no TLS.
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000", "127.0.0.1:8000:8000"]
    # Only what computes sees the lender's data.
    assert [name for name, service in services.items() if "LENDING_SERVICING_URL" in service["environment"]] == ["code"]


def test_every_variable_of_compose_is_in_the_example_of_its_environment():
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    offered = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert asked == offered


def test_the_portal_runs_beside_the_chart_with_its_image_user_and_secret():
    deployment, service = yaml.safe_load_all((DEPLOY / "portal.yaml").read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (code,) = HELM["dagster-user-deployments"]["deployments"]
    assert container["image"] == f"{code['image']['repository']}:{code['image']['tag']}"
    assert pod["securityContext"] == code["podSecurityContext"]
    assert pod["serviceAccountName"] == HELM["global"]["serviceAccountName"]
    plain = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert plain["LENDING_LAKE"] == code["env"]["LENDING_LAKE"]
    secrets = {each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "valueFrom" in each}
    assert secrets == {each["name"] for each in code["envSecrets"]}
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert container["command"][:3] == COMPOSE["services"]["portal"]["command"][:3]


POD = {"env", "envSecrets", "image", "podSecurityContext", "resources"}
CHART = {
    "computeLogManager.type",
    "concurrency.enabled",
    "concurrency.pools.defaultLimit",
    "concurrency.runs.maxConcurrentRuns",
    "dagster-user-deployments.deployments",
    "dagster-user-deployments.enabled",
    *(f"dagsterDaemon.{name}" for name in POD),
    "dagsterDaemon.runMonitoring.cancelTimeoutSeconds",
    "dagsterDaemon.runMonitoring.enabled",
    "dagsterDaemon.runMonitoring.freeSlotsAfterRunEndSeconds",
    "dagsterDaemon.runMonitoring.maxResumeRunAttempts",
    "dagsterDaemon.runMonitoring.pollIntervalSeconds",
    "dagsterDaemon.runMonitoring.startTimeoutSeconds",
    "dagsterDaemon.runRetries.enabled",
    *(f"dagsterWebserver.{name}" for name in POD),
    "dagsterWebserver.service.port",
    "dagsterWebserver.service.type",
    "generatePostgresqlPasswordSecret",
    "global.serviceAccountName",
    "postgresql.enabled",
    "postgresql.postgresqlDatabase",
    "postgresql.postgresqlHost",
    "postgresql.postgresqlScheme",
    "postgresql.postgresqlUsername",
    "retention.enabled",
    "retention.schedule.purgeAfterDays",
    "retention.sensor.purgeAfterDays",
    "runLauncher.config.k8sRunLauncher.failPodOnRunFailure",
    "runLauncher.config.k8sRunLauncher.imagePullPolicy",
    "runLauncher.config.k8sRunLauncher.runK8sConfig.containerConfig",
    "runLauncher.config.k8sRunLauncher.runK8sConfig.jobSpecConfig",
    "runLauncher.config.k8sRunLauncher.runK8sConfig.podSpecConfig",
    "runLauncher.type",
    "serviceAccount.create",
    "telemetry.enabled",
}
"""Names that the chart has: those that ours need. What is under them is Kubernetes', or checked below."""


def unknown(values, place=""):
    for key, value in values.items():
        name = f"{place}{key}"
        if name not in CHART:
            yield from unknown(value, f"{name}.") if isinstance(value, dict) else [name]


def test_the_values_are_named_as_in_the_chart():
    assert list(unknown(HELM)) == []
    (deployment,) = HELM["dagster-user-deployments"]["deployments"]
    assert deployment.keys() <= POD | {"name", "port", "codeServerArgs", "includeConfigInLaunchedRuns"}
    assert deployment["image"].keys() == {"repository", "tag", "pullPolicy"}
    assert deployment["env"]["LENDING_LAKE"].startswith("s3://")
    assert deployment["env"]["LENDING_EXPORTS"].startswith("s3://")
    assert deployment["env"]["LENDING_ENGINE"] == "spark"
    assert all(isinstance(value, str) for value in deployment["env"].values())
    # Dagster's packages are released together; the chart with them.
    (version,) = set(re.findall(r"--version (\S+)", (DEPLOY / "helm-values.yaml").read_text(encoding="utf-8")))
    assert f'"dagster=={version}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_run_launcher_takes_its_configuration():
    launcher = HELM["runLauncher"]
    assert launcher["type"] == "K8sRunLauncher"
    given = launcher["config"]["k8sRunLauncher"]
    pod = {re.sub(r"([A-Z])", r"_\1", key).lower(): value for key, value in given["runK8sConfig"].items()}
    found = process_config(
        K8sRunLauncher.config_type(),
        {
            # What the chart adds itself.
            "service_account_name": HELM["global"]["serviceAccountName"],
            "instance_config_map": "dagster-instance",
            "dagster_home": "/opt/dagster/dagster_home",
            # And what we give it.
            "image_pull_policy": given["imagePullPolicy"],
            "fail_pod_on_run_failure": given["failPodOnRunFailure"],
            "run_k8s_config": pod,
        },
    )
    assert found.success, found.errors
    # Each name in a pod is one of Kubernetes' own.
    parsed = UserDefinedDagsterK8sConfig.from_dict(pod)
    assert parsed.container_config["resources"]["limits"] == {"memory": "12Gi"}
    mounted = {mount["name"] for mount in parsed.container_config["volume_mounts"]}
    assert mounted == {volume["name"] for volume in parsed.pod_spec_config["volumes"]}
    assert parsed.job_spec_config == {"ttl_seconds_after_finished": 86400}


def test_dagster_starts_on_postgresql_with_these_limits(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_url)
    with DagsterInstance.from_config(str(DEPLOY)) as instance:
        assert isinstance(instance.event_log_storage, PostgresEventLogStorage)
        assert instance.get_run_records() == []
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit == 1
        assert concurrency.run_queue_config.max_concurrent_runs == 4
        assert instance.run_monitoring_enabled
        assert instance.event_log_storage.supports_global_concurrency_limits
        assert not instance.telemetry_enabled


def test_the_package_that_the_image_installs_has_every_file(tmp_path):
    stage = DOCKERFILE.partition("--no-build-isolation .")[0]
    copied = [name for names in re.findall(r"^COPY (.*) \S+$", stage, re.MULTILINE) for name in names.split()]
    for name in copied:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "."], cwd=tmp_path, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")

    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("lending_pipelines/")}
    there = {path for path in (tmp_path / "lending_pipelines").rglob("*") if path.is_file()}
    shipped = {f"lending_pipelines/shipped/{name}" for name in ("requirements.lock", "docs/definitions.md")}
    assert packed == {path.relative_to(tmp_path).as_posix() for path in there} | shipped
    assert "lending_pipelines/register/migrations/env.py" in packed
