// Verifies a Stripe webhook, makes a signed command of it, and produces that on a topic of DriftQ: what ingest does.
import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics } from "@aws-lambda-powertools/metrics";

const { STRIPE_SECRET, COMMAND_KEY, DRIFTQ_HTTP_URL, DRIFTQ_TOPIC } = process.env;
const TOLERANCE_S = 300;
const agent = new http.Agent({ keepAlive: true });
const logger = new Logger({ serviceName: "ingest" });
const metrics = new Metrics({ namespace: "Webhooks", serviceName: "ingest" });

const mac = (key, text) => createHmac("sha256", key).update(text).digest("hex");
const equal = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

function isGenuine(header, body) {
  const fields = header.split(",").map((part) => part.split(/=(.*)/));
  const times = fields.filter(([name]) => name === "t").map(([, value]) => value);
  if (times.length !== 1 || !(Math.abs(Date.now() / 1000 - Number(times[0])) <= TOLERANCE_S)) return false;
  const expected = mac(STRIPE_SECRET, `${times[0]}.${body}`);
  return fields.some(([name, value]) => name === "v1" && equal(value ?? "", expected));
}

const commandOf = (event) => {
  const dispute = event.data.object;
  const { charge, amount, reason } = dispute;
  return {
    version: 1,
    run_id: `stripe.${event.id}`,
    step: "open_ticket",
    business_key: dispute.id,
    payload: { input: { title: `Dispute ${dispute.id}`, charge, amount, reason } },
    received_at: new Date().toISOString(),
    source: "stripe",
  };
};

const produce = (body) =>
  new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const request = http.request(`${DRIFTQ_HTTP_URL}/v1/produce`, { method: "POST", agent, headers, timeout: 1000 }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
    request.end(body);
  });

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

async function stripe(event) {
  const body = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
  if (!isGenuine(event.headers["stripe-signature"] ?? "", body)) {
    metrics.addMetric("Refused", "Count", 1);
    return answer(401, { error: "not genuine" });
  }
  const command = commandOf(JSON.parse(body));
  command.mac = mac(COMMAND_KEY, JSON.stringify(command));
  const value = JSON.stringify(command);
  const status = await produce(JSON.stringify({ topic: DRIFTQ_TOPIC, key: command.business_key, value }));
  if (status >= 300) {
    metrics.addMetric("NotDurable", "Count", 1);
    return answer(503, { error: "not durable" });
  }
  const effect_id = `${command.run_id}:${command.step}:${command.business_key}`;
  logger.info("a webhook was accepted", { run_id: command.run_id, effect_id, outcome: "accepted" });
  metrics.addMetric("Accepted", "Count", 1);
  metrics.addMetric("Commands", "Count", 1);
  return answer(202, { run_id: command.run_id, effects: [{ effect_id }] });
}

export async function handler(event, context) {
  logger.addContext(context);
  try {
    return event.rawPath === "/webhooks/stripe" ? await stripe(event) : answer(404, { error: "no such path" });
  } finally {
    metrics.publishStoredMetrics();
  }
}
