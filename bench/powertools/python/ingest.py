"""Verifies a Stripe webhook, makes a signed command of it, and produces that on a topic of DriftQ: what ingest does."""

import hashlib
import hmac
import json
import os
import time
from datetime import datetime, timezone

import urllib3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.metrics import MetricUnit

SECRET = os.environ["STRIPE_SECRET"].encode()
COMMAND_KEY = os.environ["COMMAND_KEY"].encode()
PRODUCE = os.environ["DRIFTQ_HTTP_URL"] + "/v1/produce"
TOPIC = os.environ["DRIFTQ_TOPIC"]
TOLERANCE_S = 300

app = APIGatewayHttpResolver()
broker = urllib3.PoolManager(timeout=1.0, retries=False)
logger = Logger(service="ingest")
metrics = Metrics(namespace="Webhooks", service="ingest")


def is_genuine(header, body):
    fields = [part.split("=", 1) for part in header.split(",") if "=" in part]
    times = [value for name, value in fields if name == "t"]
    if len(times) != 1 or not times[0].isdigit() or abs(time.time() - int(times[0])) > TOLERANCE_S:
        return False
    expected = hmac.new(SECRET, times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(name == "v1" and hmac.compare_digest(value, expected) for name, value in fields)


def command_of(event):
    dispute = event["data"]["object"]
    return {
        "version": 1,
        "run_id": f"stripe.{event['id']}",
        "step": "open_ticket",
        "business_key": dispute["id"],
        "payload": {
            "input": {
                "title": f"Dispute {dispute['id']}",
                "charge": dispute["charge"],
                "amount": dispute["amount"],
                "reason": dispute["reason"],
            }
        },
        "received_at": datetime.now(timezone.utc).isoformat(),
        "source": "stripe",
    }


def answer(status, body):
    return Response(status_code=status, content_type="application/json", body=json.dumps(body))


@app.post("/webhooks/stripe")
def stripe():
    body = app.current_event.decoded_body.encode()
    if not is_genuine(app.current_event.headers.get("stripe-signature", ""), body):
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return answer(401, {"error": "not genuine"})
    command = command_of(json.loads(body))
    message = json.dumps(command, separators=(",", ":"))
    command["mac"] = hmac.new(COMMAND_KEY, message.encode(), hashlib.sha256).hexdigest()
    produce = {
        "topic": TOPIC,
        "key": command["business_key"],
        "value": json.dumps(command, separators=(",", ":")),
    }
    produced = broker.request("POST", PRODUCE, json=produce)
    if produced.status >= 300:
        metrics.add_metric("NotDurable", MetricUnit.Count, 1)
        return answer(503, {"error": "not durable"})
    effect = f"{command['run_id']}:{command['step']}:{command['business_key']}"
    logger.info("a webhook was accepted", run_id=command["run_id"], effect_id=effect, outcome="accepted")
    metrics.add_metric("Accepted", MetricUnit.Count, 1)
    metrics.add_metric("Commands", MetricUnit.Count, 1)
    return answer(202, {"run_id": command["run_id"], "effects": [{"effect_id": effect}]})


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event, context):
    return app.resolve(event, context)
