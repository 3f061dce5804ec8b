# The stacks of template.yaml and driftq.yaml, for those who deploy with Terraform. The resources are made by CloudFormation, so
# that there is one description of them: what the templates say is what Terraform makes, and SAM's transform, the canary and the
# table's policies are the same. docs/deploy.md, "With Terraform".

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
  description = "The name of the functions' stack; the broker's has -broker behind it"
  type        = string
  default     = "driftq-webhooks"

  validation {
    condition     = length(var.name) <= 48
    error_message = "At most 48 characters: CodeDeployHook_ comes before it."
  }
}

variable "template_file" {
  description = "What sam package --use-json has written: the template, and in it where the functions' code is in S3"
  type        = string
}

variable "stage_file" {
  description = "The functions' parameters, as sam deploy reads them: stages/default.yaml. Those of the broker are filled in"
  type        = string
}

variable "parameters" {
  description = "More of the functions' parameters; these win"
  type        = map(string)
  default     = {}
}

variable "broker" {
  description = "Parameters of driftq.yaml, VpcId, BrokerSubnetA and BrokerSubnetB at least; null for no broker"
  type        = map(string)
  default     = null
}

variable "tags" {
  description = "Of all resources"
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
  # What both have: the broker's address, and the group that it lets in.
  of_broker = var.broker == null ? {} : {
    for name in ["DriftqHttpUrl", "FunctionSecurityGroupIds"] : name => aws_cloudformation_stack.broker[0].outputs[name]
  }
  of_stage = { for name, value in yamldecode(file(var.stage_file)) : name => tostring(value) }
}

resource "aws_cloudformation_stack" "functions" {
  name = var.name
  # Without its spaces: it is larger than CloudFormation takes otherwise. As JSON: in YAML, Terraform reads DynamoDB's type N as false.
  template_body = jsonencode(jsondecode(file(var.template_file)))
  parameters    = merge(local.of_stage, local.of_broker, var.parameters)
  capabilities  = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  tags          = var.tags
  # CloudFormation keeps the table; a stack that is replaced by mistake would begin without its memory.
  lifecycle {
    prevent_destroy = true
  }
}

output "functions" {
  description = "The outputs of template.yaml, such as WebhookUrl"
  value       = aws_cloudformation_stack.functions.outputs
}
