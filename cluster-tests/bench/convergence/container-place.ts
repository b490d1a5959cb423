// Container place: members in a container each, on the image of docker/, with a network of their own for each system in each round.
//
// What is measured is the image's: its Node, its packages, its mesh, agent and proxy. The programs that start and watch them are
// tests, which the image leaves out; this folder is mounted where they would be, read-only. An image of their own would be built
// anew at each change of them, and be one more that is not the one that people run.
//
// Members talk to each other by the bridge of that network. The benchmark talks to them by standard input and output, as to
// processes, through `docker run`; while writes are measured nothing is said there.

import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { resolveCommand } from "../../../node/vms/resolve-command.ts";
import { VmStartError } from "../../../node/vms/vm-driver.ts";
import { docker } from "../../harness/containers/docker.ts";
import { buildImage } from "../../harness/containers/image.ts";
import { removeUntilNone } from "../../harness/containers/leftovers.ts";
import { ContainerRun } from "../../harness/containers/run.ts";
import { MemberProcess, PROGRAM_FILES, profileArguments, profileFile } from "./member-process.ts";
import type { FindPlaceKind, MemberSpec, Place, PlacedMember, PlaceOptions } from "./place.ts";
import type { MemberSetting } from "./protocol.ts";

const PROGRAMS = fileURLToPath(new URL(".", import.meta.url));
const MOUNTED_PROGRAMS = "/opt/grapevine/cluster-tests/bench/convergence";
/** Where the image's user may write. */
const MEMBER_FOLDER = "/var/lib/grapevine";
const MOUNTED_SERF = "/usr/local/bin/serf";

interface Image {
  readonly id: string;
  /** Of `docker run`, beside those of the harness, for each member. */
  readonly options: readonly string[];
}

/** Builds the image. */
export const findContainers: FindPlaceKind = async ({ withSerf, signal }) => {
  const id = await buildImage(signal);
  const installed = withSerf ? findInPath("serf") : null;
  const { node, hasSerf } = await lookInside(id, installed);
  const missing = installed === null ? "it is not installed" : "this machine's does not run in the image";
  const programs = ["--volume", `${PROGRAMS}:${MOUNTED_PROGRAMS}:ro`];
  const options = [...programs, ...(hasSerf ? lend(installed) : []), ...(await weigh())];
  return {
    node,
    whyNoSerf: withSerf && !hasSerf ? missing : null,
    open: (place) => ContainerPlace.open({ id, options }, place),
  };
};

async function lookInside(
  image: string,
  serf: string | null,
): Promise<{ readonly node: string; readonly hasSerf: boolean }> {
  const look = "node --version; serf version >/dev/null 2>&1 && echo serf; true";
  const options = ["--rm", "--network", "none", "--no-healthcheck", "--log-driver", "none", ...lend(serf)];
  const said = await docker("run", ...options, "--entrypoint", "sh", image, "-c", look);
  const [node = "", found] = said.split("\n");
  return { node, hasSerf: found === "serf" };
}

class ContainerPlace implements Place {
  readonly #options: PlaceOptions;
  readonly #image: Image;
  readonly #run: ContainerRun;
  readonly #members = new Set<MemberProcess>();

  static async open(image: Image, options: PlaceOptions): Promise<ContainerPlace> {
    options.signal.throwIfAborted();
    const run = await ContainerRun.start({ image: image.id, kind: "bench" });
    options.say(`network and containers ${run.id}`);
    return new ContainerPlace({ image, options, run });
  }

  private constructor({
    image,
    options,
    run,
  }: {
    readonly image: Image;
    readonly options: PlaceOptions;
    readonly run: ContainerRun;
  }) {
    this.#image = image;
    this.#options = options;
    this.#run = run;
  }

  async start({ name, program, config }: MemberSpec): Promise<PlacedMember> {
    const { originNs, profileFolder, signal } = this.#options;
    signal.throwIfAborted();
    const setting: MemberSetting = {
      ...{ name, program, config },
      // Its hostname, and its alias in the network.
      address: name,
      folder: MEMBER_FOLDER,
      originNs: String(originNs),
    };
    const profile = profileFolder === null ? [] : profileArguments(MEMBER_FOLDER, name);
    const main = `${MOUNTED_PROGRAMS}/${PROGRAM_FILES[program]}`;
    const { process: child, result } = this.#run.attach({
      name,
      // The image's init; its entry script knows agents, proxies and commands alone.
      more: ["--entrypoint", "tini", ...this.#image.options],
      args: ["--", "node", ...profile, main, JSON.stringify(setting)],
    });
    // The member says it.
    result.catch(() => undefined);
    const member = new MemberProcess({ name, child, signal });
    this.#members.add(member);
    await member.ready;
    await this.#verifyClock(member);
    return member;
  }

  async stop(): Promise<void> {
    const members = [...this.#members];
    await Promise.all(members.map((member) => member.stop()));
    try {
      await this.#takeProfiles(members);
    } finally {
      // What the engine was told by a command that had to be killed may yet come to be.
      if (members.some(({ wasKilled }) => wasKilled)) await removeUntilNone(this.#run.id);
      await this.#run.remove();
    }
  }

  async #takeProfiles(members: readonly MemberProcess[]): Promise<void> {
    const { profileFolder, signal } = this.#options;
    if (profileFolder === null || signal.aborted) return;
    for (const { name } of members)
      await docker("cp", `${this.#run.idOf(name)}:${MEMBER_FOLDER}/${profileFile(name)}`, profileFolder);
  }

  async #verifyClock(member: MemberProcess): Promise<void> {
    const nowMs = (): number => Number(process.hrtime.bigint() - this.#options.originNs) / 1e6;
    const askedMs = nowMs();
    const { atMs } = await member.usage();
    if (!isSameClock({ askedMs, saidMs: atMs, heardMs: nowMs() }))
      throw new Error(
        `the clock in ${member.name}'s container is not this machine's: the engine runs elsewhere, or in a virtual machine; use --driver process`,
      );
  }
}

/**
 * So that each member has the weight of a process of this machine, when others compute there as well: an engine that keeps control
 * groups itself puts all its containers into one, and that has the weight of a single process. One that leaves them to systemd has its
 * containers among that one's services, and is left as it is.
 */
async function weigh(): Promise<readonly string[]> {
  const keeper = await docker("info", "--format", "{{.CgroupDriver}}");
  return keeper === "cgroupfs" ? ["--cgroup-parent", "/"] : [];
}

/** A clock that is another's shows a time that is not between question and answer. */
export function isSameClock(look: {
  readonly askedMs: number;
  readonly saidMs: number;
  readonly heardMs: number;
}): boolean {
  return look.askedMs <= look.saidMs && look.saidMs <= look.heardMs;
}

/** The image has none: containers are lent this machine's. */
function lend(serf: string | null): readonly string[] {
  return serf === null ? [] : ["--volume", `${serf}:${MOUNTED_SERF}:ro`];
}

/** The file that a program's name means here; null: none. */
export function findInPath(name: string, path: string = process.env["PATH"] ?? ""): string | null {
  try {
    // A link may lead to where containers have nothing.
    return realpathSync(resolveCommand(name, { cwd: "/", path }));
  } catch (error) {
    if (error instanceof VmStartError) return null;
    throw error;
  }
}
