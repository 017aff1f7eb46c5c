import { beforeEach, expect, it, vi } from "vitest";
import { VirtualList } from "../src/ui/virtual_list.ts";
import { scope } from "./page.ts";

let resized: (entries: { contentRect: { height: number } }[]) => void = () => {};
beforeEach(() => {
  vi.stubGlobal("ResizeObserver", class {
    constructor(run: typeof resized) {
      resized = run;
    }
    observe(): void {}
    disconnect(): void {}
  });
});

it("draws again when a list that was hidden gets its place back, without an event, some frames later", async () => {
  const list = new VirtualList(scope, "Rows", ({ key }: { key: string }) => Object.assign(document.createElement("div"), { textContent: key }), () => {});
  document.body.append(list.element);
  Object.defineProperty(list.element, "clientHeight", { value: 240 });
  list.show(Array.from({ length: 500 }, (_, index) => ({ key: `row-${index}` })));
  list.element.dispatchEvent(Object.assign(new Event("keydown", { cancelable: true }), { key: "Home" }));
  await vi.advanceTimersByTimeAsync(50);
  const drawn = (): string[] => [...list.element.querySelectorAll("[role=option]")].map((each) => each.textContent ?? "");
  expect(drawn()[0]).toBe("row-0");
  resized([{ contentRect: { height: 240 } }]);
  await vi.advanceTimersByTimeAsync(300);
  list.element.scrollTop = 24 * 300;
  await vi.advanceTimersByTimeAsync(50);
  expect(drawn()).toContain("row-305");
  await vi.advanceTimersByTimeAsync(2000);
  expect(vi.getTimerCount()).toBe(0);
});
