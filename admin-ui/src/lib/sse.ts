// A parser of server-sent events (WHATWG HTML, 9.2.6) that takes text as it arrives, cut anywhere. The browser's own
// EventSource cannot send an Authorization header, which the hub may ask for.

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

export class EventParser {
  private rest = "";
  private lastId = "";
  private event = "";
  private data: string[] = [];

  /** Takes the next piece of text and returns the events that are complete now. */
  push(text: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    // A lone CR at the end may be the first half of CRLF; it waits for the next piece.
    let buffer = this.rest + text;
    this.rest = "";
    if (buffer.endsWith("\r")) {
      buffer = buffer.slice(0, -1);
      this.rest = "\r";
    }
    const lines = buffer.split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + this.rest;
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) {
          events.push({ id: this.lastId, event: this.event || "message", data: this.data.join("\n") });
        }
        this.event = "";
        this.data = [];
      } else this.field(line);
    }
    return events;
  }

  private field(line: string) {
    if (line.startsWith(":")) return;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.lastId = value;
  }
}
