// Server-sent events, cut anywhere.
import { expect, test } from "vitest";
import { EventParser } from "./sse";

const text =
  ': hello\n\nid: 7\nevent: job\ndata: {"a":1}\n\nid: 8\r\nevent: progress\r\ndata: one\r\ndata: two\r\n\r\ndata:x\n\n';
const expected = [
  { id: "7", event: "job", data: '{"a":1}' },
  { id: "8", event: "progress", data: "one\ntwo" },
  { id: "8", event: "message", data: "x" },
];

test("events are read, and the last id stays", () => {
  expect(new EventParser().push(text)).toEqual(expected);
});

test("the same events come out wherever the text is cut", () => {
  for (let at = 0; at <= text.length; at += 1) {
    const parser = new EventParser();
    expect([...parser.push(text.slice(0, at)), ...parser.push(text.slice(at))]).toEqual(expected);
  }
  const parser = new EventParser();
  expect([...text].flatMap((letter) => parser.push(letter))).toEqual(expected);
});

test("an event without data is none, and an unfinished one waits", () => {
  const parser = new EventParser();
  expect(parser.push("event: job\n\n")).toEqual([]);
  expect(parser.push("data: later")).toEqual([]);
  expect(parser.push("\n\n")).toHaveLength(1);
});
