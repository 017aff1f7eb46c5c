import { build, context } from "esbuild";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const outdir = join(here, "..", "widgets", "static");
const BUDGET_BYTES = 100_000;
const WIDGETS = ["studio", "recorder", "player", "waveform", "inspector", "timeline", "race"];

/** `import source from "./x.worklet.ts?raw"`: the worklet bundled, minified and inlined as text. */
const worklets = {
  name: "worklets",
  setup(plugin) {
    plugin.onResolve({ filter: /\.worklet\.ts\?raw$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.replace(/\?raw$/, "")),
      namespace: "worklet",
    }));
    plugin.onLoad({ filter: /.*/, namespace: "worklet" }, async ({ path }) => {
      const result = await build({ ...common, entryPoints: [path], format: "iife", write: false, metafile: true });
      const watchFiles = Object.keys(result.metafile.inputs).map((file) => join(here, file));
      return { contents: result.outputFiles[0].text, loader: "text", watchFiles };
    });
  },
};

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  target: ["es2022", "chrome123", "firefox120", "safari17.5"],
  legalComments: "none",
  logLevel: "warning",
};

const options = {
  ...common,
  entryPoints: WIDGETS.flatMap((name) => [
    { in: `src/widgets/${name}.ts`, out: name },
    { in: `src/styles/${name}.css`, out: name },
  ]),
  outdir,
  format: "esm",
  plugins: [worklets],
};

await mkdir(outdir, { recursive: true });
if (process.argv.includes("--watch")) {
  await (await context(options)).watch();
} else {
  const { outputFiles } = await build({ ...options, write: false });
  for (const { path, contents } of outputFiles) {
    // Renamed into place: a page or a test that reads meanwhile never sees half a bundle.
    const fresh = `${path}.${process.pid}.new`;
    await writeFile(fresh, contents);
    await rename(fresh, path);
    console.log(`${basename(path).padEnd(16)}${(contents.length / 1000).toFixed(1).padStart(7)} kB`);
    if (contents.length > BUDGET_BYTES) {
      console.error(`${basename(path)} is over the budget of ${BUDGET_BYTES / 1000} kB`);
      process.exitCode = 1;
    }
  }
}
