// Key words: what the pages in docs/ say of a key of a configuration file. They stand beside the key's shape, so that one is not changed
// without the other; type, range and default come from the shape itself wherever it knows them.

import { type ZodType, z } from "zod";

export interface KeyWords {
  /** What may be written, where the shape cannot say it: "host:port". */
  readonly type?: string;
  /** What holds for who does not write it, where the shape has no default. */
  readonly unset?: string;
  /** Of its default: milliseconds, which people write as a duration. */
  readonly unit?: "ms";
  readonly means?: string;
  /** What is lost by writing more, or less. */
  readonly raised?: string;
  readonly lowered?: string;
}

/** Of shapes; a shape that another one wraps keeps its own. */
export const keyWords: z.core.$ZodRegistry<KeyWords> = z.registry<KeyWords>();

/** The same shape, with words beside those that it has. */
export function told<Shape extends ZodType>(shape: Shape, words: KeyWords): Shape {
  keyWords.add(shape, { ...keyWords.get(shape), ...words });
  return shape;
}
