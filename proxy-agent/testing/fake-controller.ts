// A dispatch controller for tests: it remembers why it was aborted.

import type { Dispatcher } from "undici";

export class FakeController implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  readonly rawHeaders: Buffer[] = [];
  pause(): void {}
  resume(): void {}
  abort(reason: Error): void {
    this.aborted = true;
    this.reason = reason;
  }
}
