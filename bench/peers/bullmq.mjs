// BullMQ + undici. `worker` runs jobs; `client` reads rounds "[count, at a time]" from stdin and answers each with one line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue, QueueEvents, Worker } from "bullmq";
import { Pool } from "undici";

const [role, redis, url, folder, atOnce] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(redis), maxRetriesPerRequest: null };

if (role === "worker") {
  const pem = (name) => readFileSync(`${folder}/${name}`);
  const pool = new Pool(url, {
    connections: Number(atOnce), pipelining: 1,
    connect: { ca: pem("ca.pem"), cert: pem("client.pem"), key: pem("client-clear.key") },
  });
  const worker = new Worker("bench", async () => {
    const answer = await pool.request({ path: "/", method: "GET" });
    return { status: answer.statusCode, body: await answer.body.text() };
  }, { connection, concurrency: Number(atOnce) });
  await worker.waitUntilReady();
  console.log("ready");
} else {
  const queue = new Queue("bench", { connection, defaultJobOptions: { removeOnComplete: 1000 } });
  const events = new QueueEvents("bench", { connection });
  await events.waitUntilReady();
  for await (const line of createInterface({ input: process.stdin })) {
    const [count, atATime] = JSON.parse(line);
    const latencies = [];
    let left = count;
    const cpu = process.cpuUsage();
    const began = performance.now();
    const one = async () => {
      while (left-- > 0) {
        const start = performance.now();
        const job = await queue.add("call", {});
        const result = await job.waitUntilFinished(events);
        if (result.status !== 200) throw new Error(`status ${result.status}`);
        latencies.push((performance.now() - start) / 1000);
      }
    };
    await Promise.all(Array.from({ length: atATime }, one));
    const seconds = (performance.now() - began) / 1000;
    const used = process.cpuUsage(cpu);
    console.log(JSON.stringify({ seconds, latencies, cpu: (used.user + used.system) / 1e6 }));
  }
  process.exit(0);
}
