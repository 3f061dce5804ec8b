# Deploys template.yaml and driftq.yaml with Terraform. It makes CloudFormation stacks of them, so the resources are described only
# once, and SAM's transform, the canary and the table's policies are the same as with SAM. docs/deploy.md, "With Terraform".

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  description = "The name of the functions' stack; the broker's stack has -broker appended"
  type        = string
  default     = "driftq-webhooks"

  validation {
    condition     = length(var.name) <= 48
    error_message = "At most 48 characters: CodeDeployHook_ comes before it."
  }
}

variable "template_file" {
  description = "The template as written by sam package --use-json, with the S3 addresses of the functions' code"
  type        = string
}

variable "stage_file" {
  description = "The file with the functions' parameters that sam deploy also reads: stages/default.yaml. Outputs of the broker's stack override it"
  type        = string
}

variable "parameters" {
  description = "More parameters of the functions; they override all others"
  type        = map(string)
  default     = {}
}

variable "broker" {
  description = "Parameters of driftq.yaml: VpcId, BrokerSubnetA and BrokerSubnetB at least; null for no broker"
  type        = map(string)
  default     = null
}

variable "tags" {
  description = "Tags of all resources"
  type        = map(string)
  default     = { application = "driftq-webhooks" }
}

resource "aws_cloudformation_stack" "broker" {
  count         = var.broker == null ? 0 : 1
  name          = "${var.name}-broker"
  template_body = file("${path.module}/../driftq.yaml")
  parameters    = var.broker
  capabilities  = ["CAPABILITY_IAM"]
  tags          = var.tags
}

locals {
  # Outputs of the broker's stack that are parameters of the functions: its address, and the security group that may connect to it.
  of_broker = var.broker == null ? {} : {
    for name in ["DriftqHttpUrl", "FunctionSecurityGroupIds"] : name => aws_cloudformation_stack.broker[0].outputs[name]
  }
  of_stage = { for name, value in yamldecode(file(var.stage_file)) : name => tostring(value) }
}

resource "aws_cloudformation_stack" "functions" {
  name = var.name
  # Without spaces, since it is too large for CloudFormation otherwise. As JSON, since Terraform reads DynamoDB's type N in YAML as false.
  template_body = jsonencode(jsondecode(file(var.template_file)))
  parameters    = merge(local.of_stage, local.of_broker, var.parameters)
  capabilities  = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  tags          = var.tags
  # If this stack were replaced by mistake, CloudFormation would keep the table, but the new stack would begin with an empty one.
  lifecycle {
    prevent_destroy = true
  }
}

output "functions" {
  description = "The outputs of template.yaml, such as WebhookUrl"
  value       = aws_cloudformation_stack.functions.outputs
}
