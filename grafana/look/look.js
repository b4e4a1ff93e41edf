// Draws a dashboard with Grafana's own panel components, from its JSON and a Prometheus that runs, into a picture:
//
//     npm ci && node look.js --prometheus http://127.0.0.1:9090 --dashboard overview --seconds 600 --out overview.png
//
// It needs a Chromium on PATH (or in CHROMIUM). Columns of the grid are 70 pixels wide, rows 38 high, about as in Grafana on a large screen.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
    options: {
        prometheus: { type: "string", default: "http://127.0.0.1:9090" },
        dashboard: { type: "string", default: "overview" },
        seconds: { type: "string", default: "1800" },
        rows: { type: "string", default: "" },
        out: { type: "string", default: "look.png" },
    },
});
const dashboard = JSON.parse(readFileSync(join(here, "..", "dashboards", `${options.dashboard}.json`), "utf8"));
// `--rows 25` draws only what begins above row 25 of the grid.
if (options.rows) dashboard.panels = dashboard.panels.filter((panel) => panel.gridPos.y + panel.gridPos.h <= Number(options.rows));
const height = 38 * Math.max(...dashboard.panels.map((panel) => panel.gridPos.y + panel.gridPos.h)) + 20;

const bundle = await build({
    entryPoints: [join(here, "page.jsx")],
    bundle: true,
    write: false,
    outdir: "out",
    format: "esm",
    define: { global: "window", "process.env.NODE_ENV": '"production"' },
    loader: { ".svg": "text", ".woff2": "empty", ".woff": "empty", ".ttf": "empty", ".png": "empty" },
    logLevel: "error",
});
const file = (suffix) => bundle.outputFiles.find((one) => one.path.endsWith(suffix))?.contents ?? "";
const page = `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">
<body style="margin:0;background:#111217"><div id="root" style="position:relative;height:${height}px"></div><script type="module" src="page.js"></script>`;

const server = http.createServer(async (request, response) => {
    const answer = (type, body) => response.setHeader("content-type", type).end(body);
    if (request.url.startsWith("/api/")) {
        const upstream = await fetch(options.prometheus + request.url);
        response.statusCode = upstream.status;
        answer("application/json", Buffer.from(await upstream.arrayBuffer()));
    } else if (request.url.startsWith("/page.js")) answer("text/javascript", file(".js"));
    else if (request.url.startsWith("/page.css")) answer("text/css", file(".css"));
    else if (request.url.startsWith("/dashboard.json")) answer("application/json", JSON.stringify({ dashboard, seconds: Number(options.seconds) }));
    else answer("text/html", page);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const chromium = process.env.CHROMIUM ?? "chromium";
const flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=20000", `--window-size=1700,${height}`];
const shot = spawn(chromium, [...flags, `--screenshot=${options.out}`, `http://127.0.0.1:${server.address().port}/`], { stdio: "ignore" });
shot.on("exit", (code) => process.exit(code ?? 1));
