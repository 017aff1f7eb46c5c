import type { Model } from "./anywidget.ts";
import { Scope } from "./scope.ts";

export type TransportName = "direct" | "proxy" | "comm";

/** Bytes and text to the kernel, however they travel. `send*` throw when the way is gone. */
export interface Transport {
  readonly name: TransportName;
  /** Bytes accepted but not yet on the wire. */
  readonly bufferedBytes: number;
  sendText(text: string): void;
  sendBinary(data: ArrayBuffer): void;
  close(): void;
}

export interface TransportEvents {
  text(text: string): void;
  binary(data: ArrayBuffer | ArrayBufferView): void;
  closed(): void;
}

/** A WebSocket once it is open; rejects when it closes first. */
export function openSocket(
  owner: Scope,
  name: TransportName,
  url: string,
  events: TransportEvents,
): Promise<Transport> {
  const scope = owner.child();
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    scope.add(() => {
      socket.close();
      reject(new Error(`${name} link was given up`));
    });
    scope.listen<MessageEvent<string | ArrayBuffer>>(socket, "message", ({ data }) => {
      if (typeof data === "string") events.text(data);
      else events.binary(data);
    });
    scope.listen(socket, "close", () => {
      scope.dispose();
      events.closed();
    });
    const demandOpen = (): void => {
      if (socket.readyState !== WebSocket.OPEN) throw new Error(`${name} link is closed`);
    };
    scope.listen(socket, "open", () => {
      resolve({
        name,
        get bufferedBytes() {
          return socket.bufferedAmount;
        },
        sendText(text) {
          demandOpen();
          socket.send(text);
        },
        sendBinary(data) {
          demandOpen();
          socket.send(data);
        },
        close: () => scope.dispose(),
      });
    });
  });
}

/**
 * The comm of the widget as a transport: `{type: "link", client_id, text}` or one buffer. A comm never breaks as a
 * socket does, so its end is said: `link_bye`, also when the page goes.
 */
export function openComm(scope: Scope, model: Model, clientId: string): Transport {
  let open = true;
  const send = (content: object, buffers?: ArrayBuffer[]): void => {
    if (!open) throw new Error("comm link is closed");
    model.send({ type: "link", client_id: clientId, ...content }, undefined, buffers);
  };
  const close = (): void => {
    if (!open) return;
    open = false;
    try {
      model.send({ type: "link_bye", client_id: clientId });
    } catch {
      // the comm is gone, and the kernel knows
    }
  };
  scope.listen(window, "pagehide", close);
  scope.add(close);
  return { name: "comm", bufferedBytes: 0, sendText: (text) => send({ text }), sendBinary: (data) => send({}, [data]), close };
}

/** Where a link may be found from this page, best first; port 0 is none. */
export function socketUrls(
  location: { protocol: string; hostname: string; host: string },
  baseUrl: string | null,
  port: number,
): Array<{ name: TransportName; url: string }> {
  const urls: Array<{ name: TransportName; url: string }> = [];
  if (port === 0) return urls;
  if (["localhost", "127.0.0.1", "[::1]", "::1"].includes(location.hostname)) {
    urls.push({ name: "direct", url: `ws://127.0.0.1:${port}/` });
  }
  if (baseUrl !== null && location.host) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const base = baseUrl.endsWith("/") ? baseUrl : `${baseUrl}/`;
    urls.push({ name: "proxy", url: `${scheme}://${location.host}${base}proxy/${port}/` });
  }
  return urls;
}

/** Jupyter's base URL, or null when this page is not Jupyter's. */
export function pageBaseUrl(): string | null {
  const text = document.getElementById("jupyter-config-data")?.textContent;
  if (!text) return null;
  try {
    const config = JSON.parse(text) as { baseUrl?: unknown };
    return typeof config.baseUrl === "string" ? config.baseUrl : null;
  } catch {
    return null;
  }
}
