// The example app: one process, one port, no dependencies. GREETING comes from app.toml, the rest from Grapevine.
const { createServer } = require("node:http");

const { HOST, PORT, GREETING = "hi", GRAPEVINE_VM = "by hand", GRAPEVINE_RELEASE = "v0" } = process.env;

const server = createServer((request, response) => {
  if (request.url === "/healthz") return response.end("ok\n");
  if (request.url === "/slow") return setTimeout(() => response.end("slow\n"), 1000);
  response.end(`${GREETING} from ${GRAPEVINE_VM} (${GRAPEVINE_RELEASE})\n`);
});

server.listen(Number(PORT ?? 3000), HOST ?? "127.0.0.1", () => console.log(`listening on ${HOST}:${PORT}`));

// Finish what runs, then go. By then the proxies send nothing here any more.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
