declare const sampleRate: number;
declare const currentTime: number;
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  constructor(options?: { processorOptions?: unknown });
  abstract process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean;
}
declare function registerProcessor(
  name: string,
  constructor: new (options?: { processorOptions?: unknown }) => AudioWorkletProcessor,
): void;

declare module "*.worklet.ts?raw" {
  const source: string;
  export default source;
}
