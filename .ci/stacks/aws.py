"""Runs moto, an emulator of AWS, with stand-ins for resources that its CloudFormation lacks."""

import logging
from contextlib import contextmanager

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend
from moto.dynamodb.models.table import Table
from moto.efs.models import AccessPoint, FileSystem
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

# Resources that moto's CloudFormation does not make. A stand-in has only a name and an ARN: the properties
# of these resources are checked by cfn-lint only.
LACKING = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::IAM::RolePolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Logs::MetricFilter",
    "AWS::Scheduler::Schedule",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "AWS::ServiceDiscovery::Service",
]


# moto makes these for a function only, not for its alias.
TOO_SIMPLE = ["AWS::Lambda::Permission", "AWS::Lambda::Version"]

# moto makes these, but does not return these attributes. They are in these fields of its models.
WITHOUT_ATTRIBUTES = {
    AccessPoint: {"Arn": "access_point_arn"},
    FileSystem: {"Arn": "file_system_arn"},
}


def attributes_in(fields):
    def attribute(resource, name):
        return getattr(resource, fields[name])

    return attribute


class StandIn:
    """A resource that exists only in its stack."""

    def __init__(self, name, region, account):
        self.name, self.region, self.account = name, region, account

    @property
    def physical_resource_id(self):
        return self.name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    def get_cfn_attribute(self, attribute):
        if attribute.endswith("Arn"):
            return f"arn:aws:stand-in:{self.region}:{self.account}:{self.name}"
        return self.name

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        return cls(resource_name, region_name, account_id)

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass

    def is_created(self):
        return True


def stand_in(resource_type):
    return type(resource_type, (StandIn,), {"cloudformation_type": staticmethod(lambda: resource_type)})


def tell_outputs():
    """Adds the outputs to stacks that are made by a change set, as by `aws cloudformation deploy`: moto leaves them out."""
    execute = CloudFormationBackend.execute_change_set

    def execute_and_tell(self, change_set_name, stack_name=None):
        execute(self, change_set_name, stack_name)
        change = next(it for it in self.change_sets.values() if change_set_name in (it.change_set_id, it.change_set_name))
        stack = self.stacks[change.stack_id]
        stack.template_dict = change.template_dict
        stack.output_map = stack._create_output_map()

    CloudFormationBackend.execute_change_set = execute_and_tell


def change_table(original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    """Changes a table in place: moto can't, and would lose it. The page changes the deletion protection only."""
    protected = cloudformation_json["Properties"]["DeletionProtectionEnabled"]
    original_resource.deletion_protection_enabled = str(protected).lower() == "true"
    return original_resource


def known_to_moto():
    return {model.cloudformation_type() for model in parsing.get_model_list()}


@contextmanager
def running():
    """Yields the address of moto on a free port of the loopback interface."""
    known = known_to_moto()
    learned = known.intersection(LACKING)
    assert not learned, f"moto makes {sorted(learned)} by now; take them off the list"
    stand_ins = [stand_in(resource_type) for resource_type in [*LACKING, *TOO_SIMPLE]]
    made = parsing.get_model_list()
    parsing.get_model_list = lambda: [*made, *stand_ins]
    for model, fields in WITHOUT_ATTRIBUTES.items():
        assert not hasattr(model, "get_cfn_attribute"), f"moto knows the attributes of {model.__name__} by now"
        model.get_cfn_attribute = attributes_in(fields)
    tell_outputs()
    Table.update_from_cloudformation_json = staticmethod(change_table)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
