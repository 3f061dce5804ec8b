"""`sam build` without a compiler, and `sam deploy` to the CloudFormation at AWS_ENDPOINT_URL.

AWS's own code (aws-sam-translator and samcli) transforms template.yaml and reads the parameters of samconfig.toml. The functions'
code is an empty file, since nothing runs it here.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import boto3
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

BUCKET = "code"
# The managed policies that SAM attaches to roles.
MANAGED = ["AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess", "AWSXRayDaemonWriteAccess", "AWSLambdaVPCAccessExecutionRole"]


class ManagedPolicies:
    """Stands in for SAM's request to IAM."""

    def load(self):
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in MANAGED}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["build", "deploy", "delete"])
    parser.add_argument("--config-env", default="default")
    for flag in ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-prompts"]:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def settings(stage):
    config = tomllib.loads(Path("samconfig.toml").read_text())[stage]
    chosen = {**config["global"]["parameters"], **config["deploy"]["parameters"]}
    chosen["parameters"] = CfnParameterOverridesType().convert(chosen["parameter_overrides"], None, None)
    return chosen


def check(template, values):
    """Checks parameters as CloudFormation does; moto does not."""
    declared = template["Parameters"]
    unknown = values.keys() - declared.keys()
    assert not unknown, f"the template has no parameters {sorted(unknown)}"
    for name, parameter in declared.items():
        value = values.get(name, parameter.get("Default"))
        assert value is not None, f"{name} has no value"
        allowed = [str(it) for it in parameter.get("AllowedValues", [])]
        assert not allowed or str(value) in allowed, f"{name} is {value!r}, and must be one of {allowed}"
        pattern = parameter.get("AllowedPattern")
        assert not pattern or re.fullmatch(pattern, str(value)), f"{name} is {value!r}: {parameter.get('ConstraintDescription')}"


def code():
    """Puts an empty zip into a bucket, and returns its address."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("bootstrap", "")
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="empty.zip", Body=content.getvalue())
    return f"s3://{BUCKET}/empty.zip"


def transformed(values):
    template = yaml_parse(Path("template.yaml").read_text())
    check(template, values)
    uri = code()
    for resource in template["Resources"].values():
        if "CodeUri" in resource.get("Properties", {}):
            resource["Properties"]["CodeUri"] = uri
    made = transform(template, dict(values), ManagedPolicies())
    check_order(made["Resources"])
    return made


def referred(value):
    """The logical ids that a definition refers to."""
    if isinstance(value, list):
        return {it for item in value for it in referred(item)}
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        if key == "Ref":
            found.add(inner)
        elif key == "Fn::GetAtt":
            found.add(inner[0] if isinstance(inner, list) else inner.split(".")[0])
        elif key == "Fn::Sub":
            text = inner if isinstance(inner, str) else inner[0]
            found |= {name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)} | referred(inner if isinstance(inner, list) else [])
        else:
            found |= referred(inner)
    return found


def check_order(resources):
    """Fails if resources refer to each other in a circle: CloudFormation can't make them, and moto does not report it."""
    needs = {name: (referred(it) | set([it.get("DependsOn")] if isinstance(it.get("DependsOn"), str) else it.get("DependsOn", []))) & resources.keys() - {name} for name, it in resources.items()}
    made = set()
    while ready := {name for name, need in needs.items() if name not in made and need <= made}:
        made |= ready
    assert made == resources.keys(), f"in a circle, or behind one: {sorted(resources.keys() - made)}"


def exists(cloudformation, name):
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except cloudformation.exceptions.ClientError:
        return None


def deploy(stage):
    chosen = settings(stage)
    template = transformed(chosen["parameters"])
    cloudformation = boto3.client("cloudformation")
    change = cloudformation.update_stack if exists(cloudformation, chosen["stack_name"]) else cloudformation.create_stack
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in chosen["parameters"].items()]
    change(
        StackName=chosen["stack_name"],
        TemplateBody=json.dumps(template, default=str),
        Parameters=parameters,
        Capabilities=[chosen["capabilities"]],
    )
    status = exists(cloudformation, chosen["stack_name"])
    assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), status
    made = cloudformation.list_stack_resources(StackName=chosen["stack_name"])["StackResourceSummaries"]
    print(f"{chosen['stack_name']}: {status}, {len(made)} of {len(template['Resources'])} resources")


# Stands in for cargo: it records what it is asked to build, and builds nothing.
CARGO = """#!/bin/sh
if [ "$1" = metadata ]; then echo '{{"target_directory": "{folder}/target", "packages": []}}'; exit; fi
echo "$*" >> {folder}/asked
while [ $# -gt 0 ]; do [ "$1" = --bin ] && bin=$2; shift; done
mkdir -p {folder}/target/lambda/$bin && echo > {folder}/target/lambda/$bin/bootstrap
"""


def build(stage):
    """Runs SAM's own build with a stand-in for cargo, and checks the architecture that it asks for."""
    with tempfile.TemporaryDirectory() as folder:
        cargo = Path(folder) / "bin" / "cargo"
        cargo.parent.mkdir()
        cargo.write_text(CARGO.format(folder=folder))
        cargo.chmod(0o755)
        env = {**os.environ, "PATH": f"{cargo.parent}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0"}
        sam = Path(sys.executable).parent / "sam"
        command = [sam, "build", "--config-env", stage, "--no-cached", "--build-dir", f"{folder}/build"]
        subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        asked = (Path(folder) / "asked").read_text().splitlines()
    architecture = settings(stage)["parameters"]["Architecture"]
    assert len(asked) == 2 and all(("--arm64" in line) == (architecture == "arm64") for line in asked), asked
    print(f"sam build: {len(asked)} functions for {architecture}")


def main():
    asked = arguments()
    stage = settings(asked.config_env)
    if asked.command == "deploy":
        deploy(asked.config_env)
    elif asked.command == "delete":
        boto3.client("cloudformation").delete_stack(StackName=stage["stack_name"])
    elif asked.command == "build":
        build(asked.config_env)


if __name__ == "__main__":
    sys.exit(main())
