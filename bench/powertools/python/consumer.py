"""Carries out a batch of commands, each once: what the consumer does, with the idempotency of Powertools as the guard."""

import json
import os

import urllib3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

TICKETS = os.environ["THIRD_PARTY_URL"] + "/api/tickets"
guard = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="effect_id", use_local_cache=False)
processor = BatchProcessor(event_type=EventType.SQS)
third_party = urllib3.PoolManager(timeout=5.0, retries=False)
logger = Logger(service="consumer")
metrics = Metrics(namespace="Webhooks", service="consumer")


@idempotent_function(data_keyword_argument="command", config=config, persistence_store=guard)
def open_ticket(command):
    key = {"idempotency-key": command["effect_id"]}
    called = third_party.request("POST", TICKETS, json=command["payload"]["input"], headers=key)
    if called.status >= 300:
        raise RuntimeError(f"answered {called.status}")
    return {"status": called.status, "ticket": json.loads(called.data).get("id")}


def settle(record):
    command = json.loads(record.body)
    command["effect_id"] = f"{command['run_id']}:{command['step']}:{command['business_key']}"
    receipt = open_ticket(command=command)
    logger.info("an effect is done", run_id=command["run_id"], effect_id=command["effect_id"], receipt=receipt)
    metrics.add_metric("Done", MetricUnit.Count, 1)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event, context):
    config.register_lambda_context(context)
    return process_partial_response(event, settle, processor, context)
