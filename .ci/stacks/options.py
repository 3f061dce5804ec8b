"""Makes a second stack of each template, with what is optional in the page: a domain, a permissions boundary, public subnets."""

import subprocess
import sys
from pathlib import Path

import boto3

HERE = Path(__file__).resolve().parent
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"

cloudformation = boto3.client("cloudformation")


def output(stack, key):
    outputs = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return next(it["OutputValue"] for it in outputs if it["OutputKey"] == key)


def bounded(stack):
    """Checks that each role of a stack has the boundary."""
    made = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
    roles = [it["PhysicalResourceId"] for it in made if it["ResourceType"] == "AWS::IAM::Role"]
    assert len(roles) >= 2, roles
    for role in roles:
        boundary = boto3.client("iam").get_role(RoleName=role)["Role"].get("PermissionsBoundary", {})
        assert boundary.get("PermissionsBoundaryArn") == BOUNDARY, f"{role} of {stack}: {boundary}"


# A prod stage of the functions.
zone = boto3.client("route53").create_hosted_zone(Name="example.com", CallerReference="options")["HostedZone"]["Id"]
zone = zone.removeprefix("/hostedzone/")
stage = Path("stages/prod.yaml")
given = stage.read_text()
for name in ["IngestSecretsArn", "ConsumerSecretsArn"]:
    secret = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name.lower()}-abcdef"
    given = given.replace(f"{name}: ''", f"{name}: {secret}")
given = given.replace("Architecture: arm64", "Architecture: x86_64").replace("ReserveConsumerConcurrency: 'true'", "ReserveConsumerConcurrency: 'false'")
layer = boto3.client("lambda").list_layer_versions(LayerName="driftq-webhooks-config")["LayerVersions"][0]
given += f"""
ConfigLayerArn: {layer["LayerVersionArn"]}
StageHosts: CRM_HOST=crm.example.com,SHOP_HOST=shop.example.com
DomainName: hooks.example.com
CertificateArn: arn:aws:acm:us-east-1:123456789012:certificate/1
HostedZoneId: {zone}
PermissionsBoundaryArn: {BOUNDARY}
"""
stage.write_text(given)
subprocess.run([sys.executable, HERE / "sam.py", "build", "--config-env", "prod"], check=True)
subprocess.run([sys.executable, HERE / "sam.py", "deploy", "--config-env", "prod", "--no-confirm-changeset"], check=True)
assert output("driftq-webhooks-prod", "WebhookUrl") == "https://hooks.example.com/webhooks/"
records = boto3.client("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
assert any(record["Name"].startswith("hooks.example.com") for record in records), records
bounded("driftq-webhooks-prod")
for key in ["IngestFunction", "ConsumerFunction"]:
    variables = boto3.client("lambda").get_function_configuration(FunctionName=output("driftq-webhooks-prod", key))["Environment"]["Variables"]
    assert variables["WEBHOOKS_CONFIG"] == "/opt/webhooks.toml", variables
    assert variables["STAGE_HOSTS"] == "CRM_HOST=crm.example.com,SHOP_HOST=shop.example.com", variables

# A broker in public subnets.
of_page = [it for it in boto3.client("ec2").describe_subnets()["Subnets"] if it["CidrBlock"].startswith("10.0.")]
of_page.sort(key=lambda subnet: subnet["CidrBlock"])
vpc, subnets = of_page[0]["VpcId"], [it["SubnetId"] for it in of_page[:2]]
parameters = [
    f"VpcId={vpc}", f"BrokerSubnetA={subnets[0]}", f"BrokerSubnetB={subnets[1]}", "AssignPublicIp=ENABLED",
    "DomainName=driftq2.internal", f"PermissionsBoundaryArn={BOUNDARY}",
]
deploy = ["aws", "cloudformation", "deploy", "--stack-name", "driftq2", "--template-file", "driftq.yaml", "--capabilities", "CAPABILITY_IAM"]
subprocess.run([*deploy, "--parameter-overrides", *parameters], check=True)
assert output("driftq2", "DriftqHttpUrl") == "http://broker.driftq2.internal:8080"
bounded("driftq2")
print("made: a second stack of each template, with its options")
