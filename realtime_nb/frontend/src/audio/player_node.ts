import type { FromWorklet, ToWorklet } from "./player_messages.ts";
import workletSource from "./player.worklet.ts?raw";
import { loadWorklet } from "./worklet_module.ts";

/** The playback processor, wherever it runs. */
export interface PlayerNode {
  port: {
    postMessage(message: ToWorklet, transfer?: Transferable[]): void;
    onmessage: ((event: MessageEvent<FromWorklet>) => void) | null;
  };
  connect(destination: AudioNode): unknown;
  disconnect(): void;
}

interface Processor {
  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}

const BLOCK_SAMPLES = 1024;
const QUANTUM_SAMPLES = 128;

export async function playerNode(context: AudioContext): Promise<PlayerNode> {
  if (!context.audioWorklet) return mainThreadNode(context);
  await loadWorklet(context, workletSource);
  return new AudioWorkletNode(context, "realtime-nb-player", { numberOfInputs: 0, outputChannelCount: [2] });
}

/**
 * A page that is not secure (http and not localhost) has no AudioWorklet: the same processor runs on the main thread.
 * It stops up to 43 ms later and stutters when the page is busy, but counts as truthfully.
 */
function mainThreadNode(context: AudioContext): PlayerNode {
  const { port1, port2 } = new MessageChannel();
  const clock = { seconds: 0 };
  const processor = evaluate(port2, context.sampleRate, clock);
  const node = context.createScriptProcessor(BLOCK_SAMPLES, 0, 2);
  node.onaudioprocess = ({ outputBuffer, playbackTime }) => {
    const channels = [outputBuffer.getChannelData(0), outputBuffer.getChannelData(1)];
    for (const channel of channels) channel.fill(0);
    for (let at = 0; at < BLOCK_SAMPLES; at += QUANTUM_SAMPLES) {
      clock.seconds = playbackTime + at / context.sampleRate;
      const alive = processor.process([], [channels.map((channel) => channel.subarray(at, at + QUANTUM_SAMPLES))]);
      if (!alive) node.onaudioprocess = null;
    }
  };
  return {
    port: port1,
    connect: (destination) => node.connect(destination),
    disconnect: () => {
      node.disconnect();
      port1.close();
    },
  };
}

/** Run the worklet's source with the globals that it would have there. */
function evaluate(port: MessagePort, sampleRate: number, clock: { seconds: number }): Processor {
  let made: Processor | null = null;
  const globals = {
    sampleRate,
    get currentTime() {
      return clock.seconds;
    },
    AudioWorkletProcessor: class {
      readonly port = port;
    },
    registerProcessor: (_name: string, constructor: new () => Processor) => {
      made = new constructor();
    },
  };
  // Our own source, built in as text.
  (new Function("globals", `with (globals) { ${workletSource} }`) as (globals: unknown) => void)(globals);
  if (!made) throw new Error("the playback processor did not start");
  return made;
}
