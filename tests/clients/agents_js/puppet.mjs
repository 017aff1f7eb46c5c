// A RealtimeSession of @openai/agents on strings: commands in, one JSON object per line, and what it reports out.
import { createInterface } from "node:readline";
import { tool } from "@openai/agents";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents/realtime";
import { z } from "zod";

// Not exported, but the only way to see which events the SDK's own schemas do not know.
const schemas = new URL("./node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs", import.meta.url);
const { parseRealtimeEvent } = await import(schemas);

const report = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const orderStatus = tool({
  name: "order_status",
  description: "Look up an order.",
  parameters: z.object({ order_number: z.number() }),
  execute: ({ order_number }) => `Order ${order_number} is on its way.`,
});
const human = new RealtimeAgent({ name: "human", instructions: "You are the human." });
const robot = new RealtimeAgent({
  name: "robot",
  instructions: "You are the robot.",
  tools: [orderStatus],
  handoffs: [human],
});

const url = `${process.argv[2]}/realtime?model=gpt-realtime`;
const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
const session = new RealtimeSession(robot, {
  transport,
  model: "gpt-realtime",
  config: { audio: { input: { turnDetection: { type: "server_vad", silenceDurationMs: 500 } } } },
});

session.on("audio", ({ data }) => report("audio", { audio_ms: data.byteLength / 48 }));
session.on("audio_interrupted", () => report("audio_interrupted"));
session.on("agent_end", (_context, agent, output) => report("agent_end", { agent: agent.name, output }));
session.on("agent_handoff", (_context, from, to) => report("agent_handoff", { from: from.name, to: to.name }));
session.on("agent_tool_end", (_context, _agent, used, result) => report("agent_tool_end", { tool: used.name, result }));
session.on("history_updated", (history) => report("history_updated", { history }));
session.on("error", (error) => report("error", { error: String(error?.error?.message ?? JSON.stringify(error)) }));
transport.on("connection_change", (status) => report("connection_change", { status }));
transport.on("*", (event) => {
  const { data, isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
  if (!data || isGeneric) report("unknown_event", { type: event.type });
});

const commands = {
  message: ({ text }) => session.sendMessage(text),
  audio: ({ pcm16 }) => {
    const bytes = Buffer.from(pcm16, "base64");
    session.sendAudio(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  },
  interrupt: () => session.interrupt(),
  cancel: () => session.transport.sendEvent({ type: "response.cancel" }),
  close: () => session.close(),
};

await session.connect({ apiKey: "any" });
report("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
  if (command.do === "close") break;
}
report("bye");
process.stdin.destroy();
