import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Model } from "../src/core/anywidget.ts";
import { Commands } from "../src/core/commands.ts";
import { Link } from "../src/core/link.ts";
import { Scope } from "../src/core/scope.ts";
import { socketUrls } from "../src/core/transport.ts";

type Custom = (content: unknown, buffers: DataView[]) => void;

class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  static made: FakeSocket[] = [];
  readyState = 0;
  bufferedAmount = 0;
  binaryType = "";
  sent: unknown[] = [];
  url: string;
  constructor(url: string) {
    super();
    this.url = url;
    FakeSocket.made.push(this);
  }
  open(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  send(data: unknown): void {
    this.sent.push(data);
  }
  receive(message: object): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }
  close(): void {
    this.readyState = 3;
  }
  fail(): void {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
}

class FakeModel {
  sent: Array<Record<string, unknown>> = [];
  handlers = new Set<Custom>();
  get = (): unknown => undefined;
  on = (_name: string, run: Custom): void => void this.handlers.add(run);
  off = (_name: string, run: Custom): void => void this.handlers.delete(run);
  send = (content: Record<string, unknown>): void => void this.sent.push(content);
  custom(content: object): void {
    for (const run of this.handlers) run(content, []);
  }
}

let model: FakeModel;
let scope: Scope;
let link: Link;

const settle = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(1));
const offer = (clientId = link.clientId): void => model.custom({ type: "link_offer", client_id: clientId, port: 4321, token: "secret" });

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  FakeSocket.made = [];
  model = new FakeModel();
  scope = new Scope();
  link = new Link(model as unknown as Model, scope);
});

afterEach(() => {
  scope.dispose();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function openDirect(): Promise<FakeSocket> {
  link.start();
  offer();
  await settle();
  const socket = FakeSocket.made.at(-1) as FakeSocket;
  socket.open();
  await settle();
  socket.receive({ type: "ready", client_id: link.clientId, active: true, version: 1 });
  await settle();
  return socket;
}

it("asks by comm and keeps the token out of the address", async () => {
  const socket = await openDirect();
  expect(model.sent[0]).toMatchObject({ type: "link_request", client_id: link.clientId, base_url: null });
  expect(socket.url).toBe("ws://127.0.0.1:4321/");
  expect(JSON.parse(String(socket.sent[0]))).toEqual({ type: "hello", token: "secret", client_id: link.clientId, version: 1 });
  expect(link.status.value).toMatchObject({ phase: "open", transport: "direct" });
});

it("ignores an offer to another view", async () => {
  link.start();
  offer("somebody else");
  await settle();
  expect(FakeSocket.made).toHaveLength(0);
});

async function openByComm(): Promise<void> {
  link.start();
  offer();
  await settle();
  FakeSocket.made[0]?.open();
  await vi.advanceTimersByTimeAsync(2600);
  expect(model.sent.at(-1)).toMatchObject({ type: "link", client_id: link.clientId });
  model.custom({ type: "link", client_id: link.clientId, text: JSON.stringify({ type: "ready", active: true }) });
  await settle();
}

it("falls back to comm when no socket says Ready in time", async () => {
  await openByComm();
  expect(link.status.value).toMatchObject({ phase: "open", transport: "comm" });
  expect(link.send({ type: "pong", ping_id: 1, time_client_ms: 2 })).toBe(true);
  expect(model.sent.at(-1)).toMatchObject({ text: expect.stringContaining("pong") });
});

it("says that a kernel is silent by comm, stays, and takes that back at the next answer", async () => {
  await openByComm();
  await vi.advanceTimersByTimeAsync(2500);
  expect(link.status.value.silent).toBe(false);
  await vi.advanceTimersByTimeAsync(1500);
  expect(link.status.value).toMatchObject({ phase: "open", transport: "comm", silent: true });
  const pong = JSON.stringify({ type: "client_pong", ping_id: 4, time_client_ms: 0 });
  model.custom({ type: "link", client_id: link.clientId, text: pong });
  expect(link.status.value).toMatchObject({ phase: "open", silent: false });
});

it.each([
  ["the view goes", () => scope.dispose()],
  ["the page goes", () => window.dispatchEvent(new Event("pagehide"))],
])("says goodbye by comm, once, when %s", async (_when, end) => {
  await openByComm();
  end();
  scope.dispose();
  expect(model.sent.filter(({ type }) => type === "link_bye")).toEqual([{ type: "link_bye", client_id: link.clientId }]);
  expect(model.sent.at(-1)?.type).toBe("link_bye");
});

it("says why it was refused and does not hammer the kernel", async () => {
  link.start();
  offer();
  await settle();
  FakeSocket.made[0]?.open();
  await settle();
  FakeSocket.made[0]?.receive({ type: "refused", reason: "wrong token", what_now: "Reload." });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(link.status.value).toMatchObject({ phase: "refused", detail: "wrong token", whatNow: "Reload." });
  expect(model.sent.filter(({ type }) => type === "link_request")).toHaveLength(1);
});

it("comes back after a loss, asking anew", async () => {
  const socket = await openDirect();
  socket.fail();
  expect(link.status.value.phase).toBe("lost");
  await vi.advanceTimersByTimeAsync(300);
  expect(model.sent.filter(({ type }) => type === "link_request")).toHaveLength(2);
  offer();
  await settle();
  const again = FakeSocket.made.at(-1) as FakeSocket;
  again.open();
  await settle();
  again.receive({ type: "ready", active: true });
  expect(link.status.value.phase).toBe("open");
});

it("tells that the kernel hears nothing after three heartbeats without answer", async () => {
  const socket = await openDirect();
  const stalled = vi.fn();
  link.stalled.subscribe(scope, stalled);
  await vi.advanceTimersByTimeAsync(2500);
  expect(stalled).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1500);
  expect(stalled).toHaveBeenCalled();
  expect(socket.readyState).toBe(3);
  expect(link.status.value.phase).toBe("lost");
});

it("measures the round trip and answers pings", async () => {
  const socket = await openDirect();
  await vi.advanceTimersByTimeAsync(60);
  const ping = JSON.parse(String(socket.sent.at(-1))) as { ping_id: number; time_client_ms: number };
  await vi.advanceTimersByTimeAsync(7);
  socket.receive({ type: "client_pong", ping_id: ping.ping_id, time_client_ms: ping.time_client_ms });
  expect(link.status.value.roundTripMs).toBeGreaterThanOrEqual(7);
  socket.receive({ type: "ping", ping_id: 77 });
  expect(JSON.parse(String(socket.sent.at(-1)))).toMatchObject({ type: "pong", ping_id: 77 });
});

it("answers commands for a kernel that is gone", async () => {
  const commands = new Commands(link, scope);
  expect((await commands.run("connect")).ok).toBe(false);
  const socket = await openDirect();
  const pending = commands.run("connect");
  socket.receive({ type: "command_result", id: 2, ok: true, result: {}, error: "", what_now: "" });
  expect((await pending).ok).toBe(true);
  const lost = commands.run("connect");
  socket.fail();
  expect(await lost).toMatchObject({ ok: false, error: expect.stringContaining("link") });
});

it("leaves nothing behind", async () => {
  const socket = await openDirect();
  scope.dispose();
  expect(model.handlers.size).toBe(0);
  expect(scope.size).toBe(0);
  expect(socket.readyState).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
});

it("knows where a link may be found", () => {
  const local = { protocol: "http:", hostname: "localhost", host: "localhost:8888" };
  expect(socketUrls(local, "/", 9).map(({ url }) => url)).toEqual(["ws://127.0.0.1:9/", "ws://localhost:8888/proxy/9/"]);
  const hub = { protocol: "https:", hostname: "hub.example", host: "hub.example" };
  expect(socketUrls(hub, "/user/ada", 9)).toEqual([{ name: "proxy", url: "wss://hub.example/user/ada/proxy/9/" }]);
  expect(socketUrls(hub, null, 9)).toEqual([]);
  expect(socketUrls(local, "/", 0)).toEqual([]);
});
