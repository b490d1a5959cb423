// until: waits for what events tell, never for a time.

import type { Mesh } from "../mesh.ts";

/** Resolves once `isTrue`, looked at now and whenever one of the subscriptions calls. */
export function until(
  isTrue: () => boolean,
  ...subscriptions: readonly ((listener: () => void) => () => void)[]
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const check = (): void => {
    if (isTrue()) resolve();
  };
  const unsubscribes = subscriptions.map((subscribe) => subscribe(check));
  check();
  return promise.finally(() => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  });
}

/** Resolves once `isTrue`, looked at with every change that `mesh` sees. */
export function untilSeen(mesh: Mesh, isTrue: () => boolean): Promise<void> {
  return until(
    isTrue,
    (listener) => mesh.onChange(listener),
    (listener) => mesh.onMembers(listener),
  );
}

/** All of `meshes` are connected to each other, and know each other's names. */
export async function untilFull(meshes: readonly Mesh[]): Promise<void> {
  const isFull = (mesh: Mesh): boolean =>
    mesh.members().filter((member) => member.connected).length === meshes.length;
  await Promise.all(meshes.map((mesh) => untilSeen(mesh, () => isFull(mesh))));
}
