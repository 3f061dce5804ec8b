"""Runs the commands of docs/deploy.md against moto, in their order and in one shell.

A block of commands that can't work there is marked in the page: <!-- not in CI: why -->. Where the page tells the
reader to edit stages/default.yaml, it is marked, too: <!-- CI: what -->.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

import aws

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The files that the page's commands use.
FILES = ["template.yaml", "driftq.yaml", "samconfig.toml", "webhooks.toml"]
BLOCK = re.compile(r"(?:<!-- (not in CI|CI): (.*?) -->\n)?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The reader's edits of stages/default.yaml, by their mark in the page.
EDITS = {
    "fills in stages/default.yaml": """
arn() { aws secretsmanager describe-secret --secret-id driftq-webhooks-$1 --query ARN --output text; }
of_broker() { aws cloudformation describe-stacks --stack-name driftq --output text \\
  --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"; }
set_to() { sed -i "s|^$1: .*|$1: '$2'|" stages/default.yaml; }
set_to IngestSecretsArn $(arn ingest)
set_to ConsumerSecretsArn $(arn consumer)
set_to DriftqHttpUrl $(of_broker DriftqHttpUrl)
set_to FunctionSecurityGroupIds $(of_broker FunctionSecurityGroupIds)
set_to FunctionSubnetIds $PRIVATE_SUBNETS
""",
    "sets ProtectTable": "sed -i \"s/^ProtectTable: .*/ProtectTable: 'true'/\" stages/default.yaml\n",
}


def blocks():
    """The page's blocks of commands, as one script; and those that are left out."""
    script, left_out = [], []
    for mark, said, commands in BLOCK.findall((ROOT / "docs/deploy.md").read_text()):
        if mark == "not in CI":
            left_out.append(f"{commands.splitlines()[0]}   ({said})")
        else:
            script.append(EDITS.get(said, "") + commands)
    assert len(script) >= 7, f"only {len(script)} blocks are left of the page"
    return script, left_out


def network(ec2):
    """A VPC as the page requires it: two public subnets, and two private ones."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
        for n, zone in enumerate("abab")
    ]
    return vpc, subnets


def filled_in(script, vpc, subnets):
    for name, value in [("VPC=vpc-…", vpc), ("BROKER_SUBNET_A=subnet-…", subnets[0]), ("BROKER_SUBNET_B=subnet-…", subnets[1])]:
        assert name in script, f"the page has no {name}"
        script = script.replace(name, f"{name.split('=')[0]}={value}")
    return script


def typed(url, folder):
    """Runs the page's commands in a folder that has the files that they use."""
    env = {
        **os.environ,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "moto",
        "AWS_SECRET_ACCESS_KEY": "moto",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
        # Stands in for the reader's editor.
        "EDITOR": "true",
    }
    os.environ.update(env)
    vpc, subnets = network(boto3.client("ec2"))
    script, left_out = blocks()
    shell = f"set -euo pipefail\nPRIVATE_SUBNETS={subnets[2]},{subnets[3]}\nsam() {{ {sys.executable} {HERE}/sam.py \"$@\"; }}\n"
    # Before the page deletes the table.
    script.insert(-1, f"{sys.executable} {HERE}/made.py\n")
    shell += filled_in("\n".join(script), vpc, subnets)
    shell += f"{sys.executable} {HERE}/options.py\n"
    subprocess.run(["bash", "-c", shell], cwd=folder, env=env, check=True, timeout=300)
    print("stood in for:", ", ".join(aws.LACKING))
    for line in left_out:
        print(f"not typed: {line}")
    print(f"typed: {len(script) - 1} blocks of docs/deploy.md")


def main():
    with tempfile.TemporaryDirectory() as folder, aws.running() as url:
        for name in FILES:
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "stages", Path(folder) / "stages")
        typed(url, folder)
        left = {path.name for path in Path(folder).iterdir()} - {*FILES, "stages"}
        assert not left, f"the page leaves {left} behind, secrets perhaps"


if __name__ == "__main__":
    main()
