import type { Model } from "./anywidget.ts";
import { type BinaryMessage, decodeBinary } from "./binary.ts";
import { Heartbeat } from "./heartbeat.ts";
import { type LinkStatus, NO_LINK } from "./link_status.ts";
import { LINK_VERSION, type Refused, type ToBrowser, type ToKernel } from "./messages.gen.ts";
import { Scope } from "./scope.ts";
import { Emitter, Signal } from "./signal.ts";
import {
  openComm,
  openSocket,
  pageBaseUrl,
  socketUrls,
  type Transport,
  type TransportEvents,
} from "./transport.ts";

interface Offer {
  port: number;
  token: string;
}

const HANDSHAKE_TIMEOUT_MS = 2500;
const OFFER_TIMEOUT_MS = 4000;
const BACKOFF_MS = [250, 500, 1000, 2000, 4000, 8000];
const ATTEMPTS_UNTIL_UNREACHABLE = 4;

/** The media link: asks by comm, tries direct, proxy, comm, heals itself, and speaks only generated messages. */
export class Link {
  readonly status = new Signal<LinkStatus>(NO_LINK);
  readonly messages = new Emitter<ToBrowser>();
  readonly binaries = new Emitter<BinaryMessage>();
  /** Three heartbeats went unanswered: the kernel hears nothing, so the microphone must stop. */
  readonly stalled = new Emitter<void>();
  readonly clientId: string = crypto.randomUUID?.() ?? `client-${Math.random().toString(36).slice(2)}`;

  #model: Model;
  #owner: Scope;
  #run: Scope | null = null;
  #transport: Transport | null = null;
  #heartbeat: Heartbeat;
  #offer: ((offer: Offer) => void) | null = null;
  #comm: TransportEvents | null = null;
  #attempt = 0;

  constructor(model: Model, owner: Scope) {
    this.#model = model;
    this.#owner = owner;
    this.#heartbeat = new Heartbeat(
      (message) => this.send(message),
      (roundTripMs) => this.#update({ roundTripMs, silent: false }),
      () => this.#onStalled(),
    );
    const onCustom = (content: unknown, buffers?: DataView[]): void => this.#onCustom(content, buffers ?? []);
    model.on("msg:custom", onCustom);
    owner.add(() => {
      model.off("msg:custom", onCustom);
      this.stop();
    });
  }

  get open(): boolean {
    return this.#transport !== null;
  }

  get bufferedBytes(): number {
    return this.#transport?.bufferedBytes ?? 0;
  }

  start(): void {
    if (this.#run || this.#owner.disposed) return;
    this.#attempt = 0;
    this.#run = this.#owner.child();
    void this.#connect(this.#run);
  }

  stop(): void {
    this.#drop();
    this.#run?.dispose();
    this.#run = null;
    this.#update({ phase: "idle", transport: null, roundTripMs: null });
  }

  retryNow(): void {
    this.stop();
    this.start();
  }

  /** False when the link is down; the message is then gone and the caller decides what that means. */
  send(message: ToKernel): boolean {
    return this.#attemptSend((transport) => transport.sendText(JSON.stringify(message)));
  }

  sendBinary(data: ArrayBuffer): boolean {
    return this.#attemptSend((transport) => transport.sendBinary(data));
  }

  #attemptSend(run: (transport: Transport) => void): boolean {
    const transport = this.#transport;
    if (!transport) return false;
    try {
      run(transport);
      return true;
    } catch {
      if (this.#transport === transport) this.#onLost();
      return false;
    }
  }

  async #connect(run: Scope): Promise<void> {
    const first = this.#attempt === 0;
    this.#update({ phase: first ? "requesting" : this.status.value.phase, detail: "", whatNow: "" });
    const offer = await this.#requestOffer(run);
    if (run.disposed) return;
    if (offer) {
      if (first) this.#update({ phase: "connecting" });
      const refusal = await this.#tryAll(run, offer);
      if (run.disposed || this.#transport) return;
      if (refusal) {
        this.#update({ phase: "refused", detail: refusal.reason, whatNow: refusal.what_now });
        return;
      }
    }
    this.#retryLater(run);
  }

  #retryLater(run: Scope): void {
    const delayMs = BACKOFF_MS[Math.min(this.#attempt, BACKOFF_MS.length - 1)] ?? 8000;
    this.#attempt += 1;
    this.#update({ phase: this.#attempt >= ATTEMPTS_UNTIL_UNREACHABLE ? "unreachable" : "lost", transport: null });
    run.timeout(() => void this.#connect(run), delayMs);
  }

  #requestOffer(run: Scope): Promise<Offer | null> {
    return new Promise((resolve) => {
      const wait = run.child();
      const settle = (offer: Offer | null): void => {
        this.#offer = null;
        resolve(offer);
        wait.dispose();
      };
      this.#offer = settle;
      wait.timeout(() => settle(null), OFFER_TIMEOUT_MS);
      wait.add(() => resolve(null));
      try {
        this.#model.send({
          type: "link_request",
          client_id: this.clientId,
          page_origin: location.origin,
          page_protocol: location.protocol,
          hostname: location.hostname,
          base_url: pageBaseUrl(),
        });
      } catch {
        settle(null);
      }
    });
  }

  async #tryAll(run: Scope, offer: Offer): Promise<Refused | null> {
    let refusal: Refused | null = null;
    for (const { name, url } of socketUrls(location, pageBaseUrl(), offer.port)) {
      const outcome = await this.#try(run, offer, (scope, events) => openSocket(scope, name, url, events));
      if (outcome === "ready" || run.disposed) return null;
      if (outcome) refusal = outcome;
    }
    const outcome = await this.#try(run, offer, (scope, events) => {
      this.#comm = events;
      return Promise.resolve(openComm(scope, this.#model, this.clientId));
    });
    if (outcome === "ready") return null;
    this.#comm = null;
    return outcome ?? refusal;
  }

  /** One way to the kernel; it counts only after Hello → Ready. */
  async #try(
    run: Scope,
    offer: Offer,
    open: (scope: Scope, events: TransportEvents) => Promise<Transport>,
  ): Promise<"ready" | Refused | null> {
    const scope = run.child();
    let transport: Transport | null = null;
    let settle: (outcome: "ready" | Refused | null) => void = () => {};
    const settled = new Promise<"ready" | Refused | null>((resolve) => {
      settle = resolve;
    });
    const events: TransportEvents = {
      text: (text) => {
        const message = parse(text);
        if (!message) return;
        if (transport && transport === this.#transport) return this.#onMessage(message);
        if (message.type === "refused") settle(message);
        if (message.type === "ready" && transport) {
          this.#adopt(transport, scope);
          settle("ready");
          this.#onMessage(message);
        }
      },
      binary: (data) => {
        const message = transport && transport === this.#transport ? decodeBinary(data) : null;
        if (message) this.binaries.emit(message);
      },
      closed: () => {
        settle(null);
        if (transport && transport === this.#transport) this.#onLost();
      },
    };
    const cancelTimer = scope.timeout(() => settle(null), HANDSHAKE_TIMEOUT_MS);
    scope.add(() => settle(null));
    open(scope, events).then(
      (opened) => {
        transport = opened;
        const hello = { type: "hello", token: offer.token, client_id: this.clientId, version: LINK_VERSION };
        try {
          opened.sendText(JSON.stringify(hello));
        } catch {
          settle(null);
        }
      },
      () => settle(null),
    );
    const outcome = await settled;
    cancelTimer();
    if (outcome !== "ready") scope.dispose();
    return outcome;
  }

  #adopt(transport: Transport, scope: Scope): void {
    this.#transport = transport;
    this.#attempt = 0;
    scope.add(() => transport.close());
    this.#heartbeat.start(scope);
    this.#update({ phase: "open", transport: transport.name, roundTripMs: null, silent: false, detail: "", whatNow: "" });
  }

  #onMessage(message: ToBrowser): void {
    if (message.type === "ping") {
      this.send({ type: "pong", ping_id: message.ping_id, time_client_ms: performance.now() });
    } else if (message.type === "client_pong") {
      this.#heartbeat.answered(message);
    }
    this.messages.emit(message);
  }

  #onCustom(content: unknown, buffers: DataView[]): void {
    const message = content as { type?: string; client_id?: string; text?: string } & Partial<Offer>;
    if (message?.client_id !== this.clientId) return;
    if (message.type === "link_offer" && typeof message.port === "number") {
      this.#offer?.({ port: message.port, token: message.token ?? "" });
    } else if (message.type === "link" && this.#comm) {
      if (typeof message.text === "string") this.#comm.text(message.text);
      for (const buffer of buffers) this.#comm.binary(buffer);
    }
  }

  #onStalled(): void {
    this.stalled.emit();
    if (this.#transport?.name === "comm") this.#update({ silent: true });
    else if (this.#transport) this.#onLost();
  }

  #drop(): void {
    const transport = this.#transport;
    this.#transport = null;
    this.#comm = null;
    transport?.close();
  }

  #onLost(): void {
    this.#drop();
    this.stalled.emit();
    const run = this.#run;
    if (!run || run.disposed) return;
    run.dispose();
    this.#run = this.#owner.child();
    this.#update({ phase: "lost", transport: null, roundTripMs: null });
    this.#retryLater(this.#run);
  }

  #update(change: Partial<LinkStatus>): void {
    this.status.set({ ...this.status.value, ...change });
  }
}

function parse(text: string): ToBrowser | null {
  try {
    return JSON.parse(text) as ToBrowser;
  } catch {
    console.error("[realtime_nb] the kernel sent text that is not JSON");
    return null;
  }
}
