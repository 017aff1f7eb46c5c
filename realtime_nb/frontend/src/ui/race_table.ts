import type { SummaryRow, TableRow } from "../core/rows.gen.ts";
import { h } from "./dom.ts";
import { formatMs } from "./stage_bar.ts";

const COLUMNS = ["Pipeline", "Median", "95 % interval", "p90", "n", "Missing"];

/** Medians with interval and n, and how they came about. */
export function raceTable(table: TableRow): HTMLElement {
  const head = h("tr", {}, ...COLUMNS.map((text) => h("th", { scope: "col" }, text)));
  return h(
    "figure",
    { class: "rnb-race-figure", "data-measured": String(table.measured) },
    h(
      "div",
      { class: "rnb-race-scroll", tabindex: 0, role: "region", "aria-label": table.caption },
      h("table", { class: "rnb-race-table" }, h("caption", {}, table.caption), h("thead", {}, head), h("tbody", {}, ...table.rows.map(line))),
    ),
    table.facts.length > 0 && h("ul", { class: "rnb-race-facts" }, ...table.facts.map((fact) => h("li", {}, fact))),
    table.provenance && h("figcaption", { class: "rnb-made-by" }, table.provenance),
  );
}

function line(row: SummaryRow): HTMLElement {
  const interval = row.low_ms === null || row.high_ms === null ? "—" : `${formatMs(row.low_ms).replace(" ms", "")} – ${formatMs(row.high_ms)}`;
  const cells = [row.median_ms === null ? "—" : formatMs(row.median_ms), interval, row.p90_ms === null ? "—" : formatMs(row.p90_ms), String(row.n), String(row.missing)];
  return h("tr", {}, h("th", { scope: "row" }, row.title), ...cells.map((text) => h("td", {}, text)));
}
