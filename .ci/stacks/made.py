"""Checks what the commands of docs/deploy.md have made, just before they delete the table."""

import boto3

cloudformation = boto3.client("cloudformation")


def stack(name):
    return cloudformation.describe_stacks(StackName=name)["Stacks"][0]


for name in ["driftq", "driftq-webhooks"]:
    status = stack(name)["StackStatus"]
    assert status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), f"{name}: {status}"

outputs = {output["OutputKey"]: output["OutputValue"] for output in stack("driftq-webhooks")["Outputs"]}
table = boto3.client("dynamodb").describe_table(TableName=outputs["EffectsTableName"])["Table"]
assert table["DeletionProtectionEnabled"], "the page has not protected the table"
assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"due", "recent"}

# The functions run where the page says, with the variables of the file. (moto does not keep their architecture.)
functions = boto3.client("lambda")
for name, secret in [("IngestFunction", "ingest"), ("ConsumerFunction", "consumer")]:
    made = functions.get_function_configuration(FunctionName=outputs[name])
    variables = made["Environment"]["Variables"]
    assert variables["DRIFTQ_HTTP_URL"] == "http://broker.driftq.internal:8080", variables
    assert f":secret:driftq-webhooks-{secret}-" in variables["SECRETS_ARN"], variables
    assert variables["EFFECTS_TABLE"] == outputs["EffectsTableName"]
    assert len(made["VpcConfig"]["SubnetIds"]) == 2 and len(made["VpcConfig"]["SecurityGroupIds"]) == 1
assert functions.get_function_concurrency(FunctionName=outputs["ConsumerFunction"])["ReservedConcurrentExecutions"] == 1

# The broker accepts connections from the functions' security group only.
group = made["VpcConfig"]["SecurityGroupIds"][0]
broker = next(
    it for it in boto3.client("ec2").describe_security_groups()["SecurityGroups"] if it["Description"] == "The DriftQ broker"
)
allowed = [pair["GroupId"] for rule in broker["IpPermissions"] for pair in rule["UserIdGroupPairs"]]
assert allowed == [group], f"the broker lets {allowed} in, and the functions are in {group}"
