// Action: something that may happen next.

export interface Action {
  readonly label: () => string;
  readonly run: () => void;
}
