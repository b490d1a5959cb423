// Judge seeds: whether this member will find its cluster at its start, judged from facts alone.

import { type Finding, failure, fine, warning } from "./finding.ts";
import type { SeedFacts } from "./gather-seeds.ts";
import type { Target } from "./target.ts";

/** One for all that are as they should be, and one for each that is not. */
export function judgeSeeds(
  facts: readonly SeedFacts[],
  target: Pick<Target, "cluster" | "name">,
): readonly Finding[] {
  const others = facts.filter(({ isOwn }) => !isOwn);
  if (others.length === 0) return [judgeNoSeeds(facts.length > 0)];
  const judged = others.map((seed) => ({ seed, trouble: troubleOf(seed, target) }));
  const good = judged.filter(({ trouble }) => trouble === null).map(({ seed }) => describe(seed));
  const troubles = judged.flatMap(({ trouble }) => trouble ?? []);
  const mayBeFirst = facts.some(({ isOwn }) => isOwn);
  return [
    ...(good.length > 0 ? [fine("seeds", good.join("; "))] : []),
    ...troubles.map((trouble) => {
      // With one that answers all is well; and the first member of a cluster has nobody to ask.
      const isLenient = good.length > 0 || mayBeFirst;
      return trouble.isWrong || !isLenient ? failure("seeds", trouble.said) : warning("seeds", trouble.said);
    }),
  ];
}

function judgeNoSeeds(isOwnAlone: boolean): Finding {
  if (isOwnAlone) return fine("seeds", "its own address alone: it is where others begin");
  return warning("seeds", {
    found: "none",
    means: "it begins a cluster of its own, unless others have it for their seed or its disk knows them",
    next: 'seeds = ["HOST:PORT", …] in its file, with some members that are there already',
  });
}

interface SeedTrouble {
  /** Something is there that should not be: worse than nobody. */
  readonly isWrong: boolean;
  readonly said: Parameters<typeof failure>[1];
}

function troubleOf(
  facts: SeedFacts,
  { cluster, name }: Pick<Target, "cluster" | "name">,
): SeedTrouble | null {
  const { seed, unresolved, connect, greeting } = facts;
  const absent = (found: string, next: string): SeedTrouble => {
    const means =
      "while no seed answers the member waits alone; for the first one of a cluster that is as it must be";
    return { isWrong: false, said: { found: `${seed}: ${found}`, means, next } };
  };
  if (unresolved !== null)
    return absent(`its name means no address (${unresolved})`, "mend the name, or write its address");
  if (connect?.ok === false) return absent(...absenceOf(connect.code));
  if (greeting === null) return null;
  if (!greeting.ok)
    return {
      isWrong: true,
      said: {
        found: `${seed}: something answers, and is no member that this release understands (${greeting.error})`,
        means: "another program has that port, or a member of another cut, or one that hangs",
        next: "ss -ltnp on that machine names who has the port",
      },
    };
  const { value } = greeting;
  if (value.cluster !== cluster)
    return {
      isWrong: true,
      said: {
        found: `${seed}: it is ${value.name} of cluster ${value.cluster}, not ${cluster}`,
        means: "members of another cluster are refused",
        next: "write the id that `grapevine init` printed for this cluster, or other seeds",
      },
    };
  if (value.name !== name) return null;
  return {
    isWrong: true,
    said: {
      found: `${seed}: it says that it is ${name} itself`,
      means: "a second member of one name is a stranger with its VMs' names, or this is its own address",
      next: "choose another name; or write this address into advertise, if it is its own",
    },
  };
}

function absenceOf(code: string): [found: string, next: string] {
  if (code === "ECONNREFUSED") return ["no process listens there", "start the member on that machine"];
  if (code === "timeout")
    return ["no answer", "is the machine on, and does a firewall let TCP to that port through?"];
  return [`it cannot be reached (${code})`, "ip route get ADDRESS shows the way there"];
}

function describe({ seed, connect, greeting }: SeedFacts): string {
  const ms = connect?.ok === true ? ` in ${connect.ms} ms` : "";
  return greeting?.ok === true ? `${seed} is ${greeting.value.name}${ms}` : `${seed} answers${ms}`;
}
