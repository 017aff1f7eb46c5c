import { afterEach, expect, it, vi } from "vitest";
import { Scope } from "../src/core/scope.ts";

afterEach(() => vi.useRealTimers());

it("ends children first, then its own things last in first out", () => {
  const order: string[] = [];
  const scope = new Scope();
  scope.add(() => order.push("first"));
  scope.child().add(() => order.push("child"));
  scope.add(() => order.push("second"));
  scope.dispose();
  scope.dispose();
  expect(order).toEqual(["child", "second", "first"]);
  expect(scope.size).toBe(0);
});

it("disposes at once what is registered too late", () => {
  const scope = new Scope();
  scope.dispose();
  const dispose = vi.fn();
  scope.add(dispose);
  expect(dispose).toHaveBeenCalledOnce();
  expect(scope.child().disposed).toBe(true);
});

it("removes listeners and timers", () => {
  vi.useFakeTimers();
  const scope = new Scope();
  const run = vi.fn();
  const target = new EventTarget();
  scope.listen(target, "ping", run);
  scope.timeout(run, 10);
  scope.interval(run, 10);
  scope.dispose();
  target.dispatchEvent(new Event("ping"));
  vi.advanceTimersByTime(100);
  expect(run).not.toHaveBeenCalled();
});

it("forgets a timeout that fired", () => {
  vi.useFakeTimers();
  const scope = new Scope();
  scope.timeout(() => {}, 10);
  expect(scope.size).toBe(1);
  vi.advanceTimersByTime(10);
  expect(scope.size).toBe(0);
});

it("goes on disposing when one disposer throws", () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const scope = new Scope();
  const dispose = vi.fn();
  scope.add(dispose);
  scope.add(() => {
    throw new Error("broken");
  });
  scope.dispose();
  expect(dispose).toHaveBeenCalledOnce();
  expect(error).toHaveBeenCalledOnce();
});

it("follows an abort signal, also one that was aborted before", () => {
  const controller = new AbortController();
  const scope = new Scope().follow(controller.signal);
  controller.abort();
  expect(scope.disposed).toBe(true);
  expect(new Scope().follow(controller.signal).disposed).toBe(true);
});
