// The `openai` package on a server's REST endpoints: one JSON object per line with what it made of the answers.
import { readFile } from "node:fs/promises";
import OpenAI, { toFile } from "openai";

const [, , baseURL, recording] = process.argv;
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const report = (event, fields = {}) => process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);

const wav = await readFile(recording);
const file = () => toFile(wav, "question.wav");
const spoken = {
  role: "user",
  content: [{ type: "input_audio", input_audio: { data: wav.toString("base64"), format: "wav" } }],
};
const withAudio = { modalities: ["text", "audio"], audio: { voice: "cedar", format: "pcm16" } };
const typed = (content) => ({ role: "user", content });

const models = [];
for await (const model of client.models.list()) models.push(model.id);
report("models", { models });

report("transcription", await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await file() }));
report(
  "verbose",
  await client.audio.transcriptions.create({
    model: "whisper-1",
    file: await file(),
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
  }),
);
const heard = [];
const hearing = await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await file(), stream: true });
for await (const event of hearing) heard.push(event);
report("transcript", { events: heard });

for (const format of ["mp3", "opus", "flac", "wav", "pcm"]) {
  const answer = await client.audio.speech.create({
    model: "gpt-4o-mini-tts",
    voice: "cedar",
    input: "Where is my order?",
    response_format: format,
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  report("speech", { format, bytes: bytes.length, head: bytes.toString("latin1", 0, 4), type: answer.headers.get("content-type") });
}

report("chat", await client.chat.completions.create({ model: "gpt-audio", messages: [typed("Where is my order?")] }));
report("answer", await client.chat.completions.create({ model: "gpt-audio", messages: [spoken], ...withAudio }));
const stream = client.chat.completions.stream({ model: "gpt-audio", messages: [spoken], ...withAudio });
let chunks = 0;
stream.on("chunk", () => chunks++);
const completion = await stream.finalChatCompletion();
report("streamed", { chunks, completion });

const again = { role: "assistant", audio: { id: completion.choices[0].message.audio.id } };
report("remembered", await client.chat.completions.create({ model: "gpt-audio", messages: [spoken, again, typed("Again.")] }));

const runner = client.chat.completions.runTools({
  model: "gpt-audio",
  messages: [typed("Look up order 12.")],
  stream: true,
  tools: [
    {
      type: "function",
      function: {
        name: "order_status",
        description: "Look up an order.",
        parse: JSON.parse,
        parameters: { type: "object", properties: { order_number: { type: "integer" } } },
        function: ({ order_number }) => `Order ${order_number} is on its way.`,
      },
    },
  ],
});
report("tools", { content: await runner.finalContent() });

try {
  await client.audio.speech.create({ model: "tts-1", voice: "nobody", input: "Hello." });
} catch (error) {
  report("refused", { name: error.constructor.name, status: error.status, code: error.code, param: error.param });
}
