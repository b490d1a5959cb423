// Layout: where in a state which part's number stands.

/** Numbers of parts: desks, seats, replies by seat and desk, requests of former phases, what was observed, crashes. */
export type State = Int32Array<ArrayBuffer>;

export class Layout {
  readonly desks: number;
  readonly seats: number;
  readonly formerAt: number;
  readonly observedAt: number;
  readonly crashesAt: number;
  readonly width: number;

  constructor(desks: number, seats: number) {
    this.desks = desks;
    this.seats = seats;
    this.formerAt = desks + seats + desks * seats;
    this.observedAt = this.formerAt + 1;
    this.crashesAt = this.formerAt + 2;
    this.width = this.formerAt + 3;
  }

  seatAt(seat: number): number {
    return this.desks + seat;
  }

  repliesAt(seat: number, desk: number): number {
    return this.desks + this.seats + seat * this.desks + desk;
  }

  newState(): State {
    return new Int32Array(this.width);
  }
}
