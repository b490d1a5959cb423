// Timeouts: those of one part that are under way, so that its stop leaves none of them behind.

export class Timeouts {
  readonly #running = new Set<NodeJS.Timeout>();

  after(delayMs: number, ring: () => void): void {
    const timer = setTimeout(() => {
      this.#running.delete(timer);
      ring();
    }, delayMs);
    this.#running.add(timer);
  }

  clear(): void {
    for (const timer of this.#running) clearTimeout(timer);
    this.#running.clear();
  }
}
