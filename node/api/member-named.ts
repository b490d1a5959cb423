// Member named: the member that a request names, or the answer that there is none.

import { isName, type MemberView, type Mesh } from "../../mesh/index.ts";
import { apiError } from "./answer.ts";

export function memberNamed(mesh: Mesh, name: string | undefined): MemberView | Response {
  if (name === undefined || !isName(name))
    return apiError("invalid", "a member is asked for by its name, for example host-1");
  const members = mesh.members();
  const names = members.map((member) => member.name).join(", ");
  return (
    members.find((member) => member.name === name) ??
    apiError("not-found", `there is no member ${name}; there are ${names}`)
  );
}
