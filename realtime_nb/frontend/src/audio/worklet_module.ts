const loaded = new WeakMap<BaseAudioContext, Map<string, Promise<void>>>();

/** Load a worklet from its inlined source, once per context and source. */
export function loadWorklet(context: BaseAudioContext, source: string): Promise<void> {
  const perContext = loaded.get(context) ?? new Map<string, Promise<void>>();
  loaded.set(context, perContext);
  let loading = perContext.get(source);
  if (!loading) {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    loading = context.audioWorklet.addModule(url).finally(() => URL.revokeObjectURL(url));
    perContext.set(source, loading);
  }
  return loading;
}
