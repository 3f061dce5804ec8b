// Carries out a batch of commands, each once: what the consumer does, with the idempotency of Powertools as the guard.
import http from "node:http";
import { BatchProcessor, EventType, processPartialResponse } from "@aws-lambda-powertools/batch";
import { IdempotencyConfig, makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics } from "@aws-lambda-powertools/metrics";

const { THIRD_PARTY_URL, IDEMPOTENCY_TABLE } = process.env;
const agent = new http.Agent({ keepAlive: true });
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: IDEMPOTENCY_TABLE });
const config = new IdempotencyConfig({ eventKeyJmesPath: "effect_id", useLocalCache: false });
const processor = new BatchProcessor(EventType.SQS);
const logger = new Logger({ serviceName: "consumer" });
const metrics = new Metrics({ namespace: "Webhooks", serviceName: "consumer" });

const call = (command) =>
  new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "idempotency-key": command.effect_id };
    const request = http.request(`${THIRD_PARTY_URL}/api/tickets`, { method: "POST", agent, headers, timeout: 5000 }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        if (response.statusCode >= 300) reject(new Error(`answered ${response.statusCode}`));
        else resolve({ status: response.statusCode, ticket: JSON.parse(Buffer.concat(chunks).toString()).id ?? null });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
    request.end(JSON.stringify(command.payload.input));
  });

const openTicket = makeIdempotent(call, { persistenceStore, config });

async function settle(record) {
  const command = JSON.parse(record.body);
  command.effect_id = `${command.run_id}:${command.step}:${command.business_key}`;
  const receipt = await openTicket(command);
  logger.info("an effect is done", { run_id: command.run_id, effect_id: command.effect_id, receipt });
  metrics.addMetric("Done", "Count", 1);
}

export async function handler(event, context) {
  logger.addContext(context);
  config.registerLambdaContext(context);
  try {
    return await processPartialResponse(event, settle, processor, { context });
  } finally {
    metrics.publishStoredMetrics();
  }
}
