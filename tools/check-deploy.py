#!/usr/bin/env python3
"""Checks what is in deploy/ and cannot be run here, as far as it can be without a
cloud, a cluster or a container engine: the Dockerfiles by hadolint and by their own
sources; compose.yaml by the compose specification, and its secrets by who may read them;
systemd's units by systemd; the Kubernetes manifests as kustomize builds them against
Kubernetes' schemas; the scale-in script against a cluster that is a shell script; the
CloudFormation template by cfn-lint and by creating it on a moto server; and the bill of
materials by CycloneDX' schema.

Run by `make check-deploy`, in a virtual environment that has deploy/requirements.txt.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import boto3
import compose_spec
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from servers import ROOT, Site, fail, free_port, listens, need

DEPLOY = ROOT / "deploy"
BIN = pathlib.Path(sys.executable).parent


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def docker():
    folder = DEPLOY / "docker"
    run(BIN / "hadolint", ROOT / "Dockerfile")
    run(BIN / "hadolint", DEPLOY / "aws/Dockerfile")
    # What it builds from is let in, and is all that the workspace needs.
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    missing = [name for name in let_in if not (ROOT / name).exists()]
    members = set(re.findall(r'^    "([\w/]+)",$', (ROOT / "Cargo.toml").read_text(), re.M))
    used = {path.split("/")[0] for path in re.findall(r'include_(?:str|bytes)!\("(?:\.\./)+([^"]+)"', "".join(
        path.read_text() for member in members for path in (ROOT / member).glob("src/**/*.rs")))}
    used = {name for name in used if (ROOT / name).exists()}
    needed = used | {member.split("/")[0] for member in members}
    if missing or needed - let_in:
        fail(f".dockerignore: not there {missing}, not let in {needed - let_in}")
    # The same settings in the container's Mosquitto, but for its listener and folder.
    def settings(path):
        lines = {line for line in path.read_text().splitlines() if line and not line.startswith("#")}
        return {line for line in lines if not line.startswith(("listener", "persistence_location"))}
    if settings(folder / "mosquitto.conf") != settings(ROOT / "mosquitto.conf"):
        fail("deploy/docker/mosquitto.conf and mosquitto.conf differ")
    print("docker: the Dockerfile and its sources")


def compose():
    path = ROOT / "compose.yaml"
    # Merge keys resolved, as an engine does: the specification knows none.
    merged = yaml.safe_dump(yaml.safe_load(path.read_text()))
    compose_spec.PyCompose.from_yaml(merged).validate()
    services = yaml.safe_load(path.read_text())["services"]
    for name, service in services.items():
        for needed in service.get("depends_on", []):
            if needed not in services:
                fail(f"compose.yaml: {name} depends on {needed}, which is not there")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                fail(f"compose.yaml: {name} is open beyond loopback: {port}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith(".") and not (path.parent / source).exists():
                fail(f"compose.yaml: {name} mounts {source}, which is not there")
        if not service.get("profiles"):
            fail(f"compose.yaml: {name} is in no profile")
    run("promtool", "check", "config", "--syntax-only", DEPLOY / "docker/prometheus.yml")
    secrets(yaml.safe_load(path.read_text())["secrets"])
    print(f"compose: {len(services)} services")


def secrets(mounted):
    """A container's user, whatever its number, can read what is mounted; on the machine
    nobody but the owner gets that far."""
    with Site() as site:
        folder = site.path("docker")
        shutil.copy(DEPLOY / "docker/secrets.sh", folder)
        for _ in range(2):
            run(folder / "secrets.sh")
        mode = lambda name: (folder / "secrets" / name).stat().st_mode & 0o777
        if mode(".") != 0o700:
            fail(f"secrets.sh: the folder has mode {mode('.'):o}")
        for secret in mounted.values():
            source = pathlib.Path(secret["file"])
            if source.parent != pathlib.Path("deploy/docker/secrets") or not mode(source.name) & 0o004:
                fail(f"secrets.sh: {source} cannot be read in a container")
        for name in ("jwt_secret", "stations.env"):
            if mode(name) != 0o600:
                fail(f"secrets.sh: {name} has mode {mode(name):o}")


def systemd():
    """With a program that exists in place of ours, and without systemd's own units."""
    need("systemd-analyze")
    with Site() as site:
        folder = site.path("units")
        for unit in (DEPLOY / "systemd").glob("*.service"):
            (folder / unit.name).write_text(unit.read_text().replace("/usr/bin/nemeses", "/bin/true"))
        for name in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
            (folder / f"{name}.target").write_text("[Unit]\nDescription=x\nDefaultDependencies=no\n")
        units = sorted(folder.glob("*.service"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                              env={**os.environ, "SYSTEMD_UNIT_PATH": str(folder)})
        if done.returncode != 0 or done.stderr.strip():
            fail(f"systemd-analyze verify:\n{done.stderr}")
        for unit in units:
            run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)
    print(f"systemd: {len(units)} units verified, exposure at most 2.0")


def kubernetes():
    need("kubectl")
    seen = {}
    with Site() as site:
        for name in ("node", "stations"):
            text = run("kubectl", "kustomize", DEPLOY / "kubernetes" / name)
            path = site.folder / f"{name}.yaml"
            path.write_text(text)
            run(BIN / "kubernetes-validate", "--strict", "-k", "1.33", path)
            seen[name] = [each for each in yaml.safe_load_all(text) if each]
            references(name, seen[name])
        leaver(site)
    print(f"kubernetes: {sum(map(len, seen.values()))} manifests against the schemas of 1.33; scale-in")


def references(name, manifests):
    """What names another thing names one that is there."""
    names = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in manifests
              if each["kind"] in ("Deployment", "StatefulSet")]
    for each in manifests:
        spec = each.get("spec", {})
        if each["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            if (target["kind"], target["name"]) not in names:
                fail(f"{name}: {each['metadata']['name']} scales {target['name']}, which is not there")
        if each["kind"] in ("PodDisruptionBudget", "Service"):
            wanted = spec["selector"].get("matchLabels", spec["selector"])
            if not any(wanted.items() <= found.items() for found in labels):
                fail(f"{name}: {each['kind']} {each['metadata']['name']} selects no pod")


# A cluster of files: replicas, pods, jobs, and the ConfigMap; says what it was told.
KUBECTL = r"""#!/bin/bash
cd "$CLUSTER"; what="$1 $2"; name=$3
case $what in
"get statefulset") cat "replicas-$name" ;;
"get configmap") key=${5#*data.}; cat "data-${key%\}}" 2>/dev/null || exit 1 ;;
"create configmap") for word in "$@"; do case $word in --from-literal=*) pair=${word#*=}; echo -n "${pair#*=}" >"data-${pair%%=*}"; touch cm ;; esac; done ;;
"patch configmap") [ -e cm ] || exit 1; [[ $5 =~ \"([a-z]+)\":\"([0-9]+)\" ]] && echo -n "${BASH_REMATCH[2]}" >"data-${BASH_REMATCH[1]}" ;;
"delete job") [ ! -e "job-$name" ] || { rm "job-$name"; echo "deleted $name" >>told; } ;;
"get pod") [ -e "pod-$name" ] ;;
"get job") [ -e "job-$name" ] || exit 1; cat "job-$name" ;;
"create job") echo "{\"name\": \"$name\", \"env\": [ ]}" ;;
"create -f") text=$(cat); name=${text#*\"name\": \"}; name=${name%%\"*}
    [[ $text == *'"NEMESES_WORKER", "value": "'"${name##*-}"'"'* ]] || exit 1
    touch "job-$name"; echo "created $name" >>told ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""


def leaver(site):
    """4 parsers become 2, then 4 again."""
    cluster, binaries = site.path("cluster"), site.path("bin")
    (binaries / "kubectl").write_text(KUBECTL)
    (binaries / "kubectl").chmod(0o755)
    env = {**os.environ, "CLUSTER": str(cluster), "PATH": f"{binaries}:{os.environ['PATH']}"}

    def replicas(parsers):
        (cluster / "replicas-nemeses-parser").write_text(str(parsers))
        (cluster / "replicas-nemeses-dbexport").write_text("2")

    def told():
        (cluster / "told").write_text("")
        run("sh", DEPLOY / "kubernetes/stations/leaver.sh", env=env)
        return (cluster / "told").read_text().split("\n")[:-1]

    def expect(what, *lines):
        found = told()
        if found != list(lines):
            fail(f"leaver.sh: {what}: told the cluster {found}, expected {list(lines)}")
    pod, job = cluster / "pod-nemeses-parser-3", cluster / "job-nemeses-parser-leave-{}"
    replicas(4)
    expect("four work")
    replicas(2)
    pod.touch()
    expect("one pod is still there", "created nemeses-parser-leave-2")
    pod.unlink()
    expect("it is gone", "created nemeses-parser-leave-3")
    expect("they are leaving")
    for number in (2, 3):
        pathlib.Path(str(job).format(number)).write_text("1")
    expect("they have left")
    if (cluster / "data-parser").read_text() != "2":
        fail("leaver.sh does not remember that two are left")
    replicas(4)
    expect("they come back", "deleted nemeses-parser-leave-2", "deleted nemeses-parser-leave-3")
    replicas(3)
    expect("one goes again", "created nemeses-parser-leave-3")


def aws():
    template = DEPLOY / "aws/nemeses.yaml"
    run(BIN / "cfn-lint", template)
    text = template.read_text()
    with Site() as site:
        port = free_port()
        site.start("moto", BIN / "moto_server", "-H", "127.0.0.1", "-p", port)
        site.wait("moto listens", lambda: listens(port), 60)
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
        client = lambda name: session.client(name, endpoint_url=f"http://127.0.0.1:{port}")
        given = {"Image": "nemeses:0.1.0", "AlarmEmail": "ops@example.org",
                 "CertificateArn": client("acm").request_certificate(DomainName="mqtt.example.org")["CertificateArn"]}
        client("cloudformation").create_stack(
            StackName="fleet", TemplateBody=for_moto(text), Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()])
        stack = client("cloudformation").describe_stacks(StackName="fleet")["Stacks"][0]
        if stack["StackStatus"] != "CREATE_COMPLETE":
            fail(f"the stack is {stack['StackStatus']}: {stack.get('StackStatusReason')}")
        resources = client("cloudformation").list_stack_resources(StackName="fleet")["StackResourceSummaries"]
        made = {each["LogicalResourceId"] for each in resources}
        wanted = set(yaml.load(text, Loader=AnyTag)["Resources"])
        database = client("rds").describe_db_instances()["DBInstances"][0]
        task = client("ecs").describe_task_definition(taskDefinition="fleet-node")["taskDefinition"]
        balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
        facts = {
            "the database has a standby": database["MultiAZ"] and database["StorageEncrypted"],
            "nobody reaches it from outside": not database["PubliclyAccessible"],
            "the node's file system is read only": task["containerDefinitions"][0]["readonlyRootFilesystem"],
            "two load balancers": len(balancers) == 2,
            "subnets in two zones": len({each["AvailabilityZone"] for each in client("ec2").describe_subnets(
                Filters=[{"Name": "vpc-id", "Values": [balancers[0]["VpcId"]]}])["Subnets"]}) == 2,
        }
        wrong = [what for what, holds in facts.items() if not holds]
        if wrong:
            fail(f"the stack on moto: not so: {wrong}")
        # Kinds that moto does not know are not made there; cfn-lint alone vouches for them.
        print(f"aws: cfn-lint is content; moto made {len(made)} of {len(wanted)} resources, not {sorted(wanted - made)}")


def for_moto(text):
    """Without what moto 5 cannot make: a reference to a parameter group, and listeners
    of network load balancers, which it takes for application load balancers."""
    for known, put in (("      DBParameterGroupName: !Ref DatabaseSettings\n", ""), ("Protocol: TLS\n", "Protocol: HTTPS\n")):
        if known not in text:
            fail(f"for_moto: the template has no {known.strip()} any more")
        text = text.replace(known, put)
    return text


def sbom():
    text = run(ROOT / "tools/sbom.py")
    fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if fault is not None:
        fail(f"tools/sbom.py: {fault}")
    if run(ROOT / "tools/sbom.py") != text:
        fail("tools/sbom.py writes another bill each time")
    names = {component["name"] for component in json.loads(text)["components"]}
    wanted, unwanted = {"tokio", "rustls", "sqlx", "maplibre-gl", "preact"}, {"proptest", "vite", "nemeses-e2e"}
    if wanted - names or unwanted & names:
        fail(f"tools/sbom.py: not in it {wanted - names}, in it {unwanted & names}")
    print(f"sbom: {len(names)} components, as CycloneDX 1.5 wants them")


class AnyTag(yaml.SafeLoader):
    """Reads !Ref and the like as nothing."""


AnyTag.add_multi_constructor("!", lambda loader, suffix, node: None)


def main():
    checks = {"docker": docker, "compose": compose, "systemd": systemd, "kubernetes": kubernetes, "aws": aws, "sbom": sbom}
    for name in sys.argv[1:] or checks:
        checks[name]()


if __name__ == "__main__":
    main()
