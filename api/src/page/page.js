// The page at `/`: the sessions, each with its result and pictures of its best laps. All data is from the API at this address.
// Text from the API is put into text nodes only. A grant, if one is needed, is kept in sessionStorage and sent as a header.
"use strict";

const API = "/api/v1";
const KEY = "boxbox.grant";
// How many rows of a result are shown; the API returns all of them.
const PLACES = 12;
const $ = (id) => document.getElementById(id);

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Requests a path of the API; if it is refused, throws the reason. */
async function ask(path) {
  const grant = sessionStorage.getItem(KEY);
  const answer = await fetch(path, { headers: grant ? { Authorization: `Bearer ${grant}` } : {} });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, problem.detail || `The server answered ${answer.status}.`);
  }
  return answer;
}

const json = async (path) => (await ask(path)).json();

/** Makes an element with text or elements in it. */
function make(name, of = {}, ...inside) {
  const made = Object.assign(document.createElement(name), of);
  made.append(...inside.filter((it) => it !== null && it !== undefined));
  return made;
}

function lapTime(us) {
  if (us === null) return "";
  const ms = Math.round(us / 1000);
  const [minutes, seconds] = [Math.floor(ms / 60000), ((ms % 60000) / 1000).toFixed(3)];
  return `${minutes}:${seconds.padStart(6, "0")}`;
}

function gap(row, race) {
  if (row.position === 1) return race ? lapTime(row.total_us) : "";
  if (row.laps_down > 0) return `+${row.laps_down} lap${row.laps_down > 1 ? "s" : ""}`;
  return row.gap_us === null ? "" : `+${(row.gap_us / 1e6).toFixed(3)}`;
}

/** A picture with its caption; `null` if it cannot be loaded. */
async function picture(path, caption) {
  const blob = await (await ask(path)).blob().catch(() => null);
  if (!blob) return null;
  const image = make("img", { alt: caption, src: URL.createObjectURL(blob) });
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  return make("figure", {}, image, make("figcaption", {}, caption));
}

function table(results, race) {
  const columns = [
    ["place", "number"], ["car", "number"], ["driver", ""], ["class", "spare"], ["laps", "number"],
    [race ? "time, gap" : "gap", "number"], ["best lap", "number spare"],
  ];
  const row = (name, cells) =>
    make("tr", {}, ...cells.map((text, k) => make(name, { className: columns[k][1] }, String(text ?? ""))));
  const cells = (r) => [
    r.position, r.car_number, r.driver_name || r.drivers.join(", "), r.class_name, r.laps, gap(r, race), lapTime(r.best_lap_us),
  ];
  const body = results.slice(0, PLACES).map((r) => row("td", cells(r)));
  return make("div", { className: "wide" }, make("table", {}, make("thead", {}, row("th", columns.map((c) => c[0]))), make("tbody", {}, ...body)));
}

/** Pictures of the best laps of the two fastest entries. */
async function pictures(base, id, results) {
  const best = results.filter((r) => r.best_lap !== null).sort((a, b) => a.best_lap_us - b.best_lap_us).slice(0, 2);
  const lap = (r) => `${encodeURIComponent(r.entry)}/${r.best_lap}`;
  const who = (r) => `${r.driver_name || r.entry}, lap ${r.best_lap}, ${lapTime(r.best_lap_us)}`;
  const wanted = [];
  if (best.length > 0) wanted.push(picture(`${base}/laps/${lap(best[0])}/map.svg`, `The fastest lap: ${who(best[0])}`));
  if (best.length > 1) {
    const pair = best.map((r, k) => `${"ab"[k]}=${encodeURIComponent(`${id}/${r.entry}/${r.best_lap}`)}`).join("&");
    wanted.push(picture(`${API}/compare.svg?${pair}`, `Beside it: ${who(best[1])}`));
  }
  // If one cannot be drawn (its frames are deleted, or have no positions), the other is still shown.
  const drawn = (await Promise.allSettled(wanted)).map((it) => it.value).filter(Boolean);
  return drawn.length > 0 ? make("div", { className: "pictures" }, ...drawn) : null;
}

async function fill(body, session) {
  const base = `${API}/sessions/${session.id}`;
  const links = ["results", "order", "laps", "entries", "stints", "pit-stops", "flags", "incidents"];
  body.replaceChildren(make("p", { className: "links" }, ...links.map((name) => make("a", { href: `${base}/${name}` }, name))));
  try {
    const { results } = await json(`${base}/results`);
    if (results.length === 0) {
      body.append(make("p", { className: "hint" }, "No lap has been timed yet."));
      return;
    }
    body.append(table(results, (session.session_type || "").toLowerCase().includes("race")));
    if (results.length > PLACES) body.append(make("p", { className: "hint" }, `${PLACES} of ${results.length} places; results has all.`));
    const drawn = await pictures(base, session.id, results);
    if (drawn) body.append(drawn);
  } catch (error) {
    body.append(make("p", { className: "hint" }, error.message));
  }
}

function show(session, open) {
  const where = [session.track?.name, session.track?.config].filter(Boolean).join(", ") || "Track not known yet";
  const minutes = Math.round(session.sim_time_us / 6e7);
  const facts = [new Date(session.opened_at_us / 1000).toLocaleString(), session.sim, `${minutes} min of session time`];
  const badge = make("span", { className: session.closed ? "badge" : "badge live" }, session.closed ? "closed" : "open");
  const name = make("strong", {}, [session.session_type, where].filter(Boolean).join(", "));
  const body = make("div", { className: "body" });
  const made = make("details", {}, make("summary", {}, name, badge, make("span", { className: "facts" }, facts.join(" · "))), body);
  made.addEventListener("toggle", () => made.open && fill(body, session));
  $("sessions").append(made);
  made.open = open;
}

function refused(error) {
  const grantHelps = error.status === 401 || error.status === 403;
  const held = sessionStorage.getItem(KEY) !== null;
  $("grant").hidden = !grantHelps;
  $("why").textContent = held || error.status === 403 ? error.message : "This address shows its data to holders of a grant. The server's operator makes one: boxbox grant create --read";
  $("state").hidden = grantHelps;
  $("state").textContent = error instanceof Refused ? error.message : "The server does not answer.";
}

let next = null;

async function list() {
  $("state").textContent = "Reading the sessions…";
  try {
    const page = await json(`${API}/sessions?limit=20${next ? `&cursor=${encodeURIComponent(next)}` : ""}`);
    const first = $("sessions").childElementCount === 0;
    page.sessions.forEach((session, k) => show(session, first && k === 0));
    next = page.next_cursor;
    $("grant").hidden = true;
    $("state").hidden = $("sessions").childElementCount > 0;
    $("state").textContent = "No session yet: one appears as soon as a client sends its first frames.";
  } catch (error) {
    next = null;
    refused(error);
  }
  $("more").hidden = next === null;
  $("forget").hidden = sessionStorage.getItem(KEY) === null;
}

function again() {
  next = null;
  $("sessions").replaceChildren();
  return list();
}

$("grant").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("token").value.trim());
  $("token").value = "";
  again();
});
$("forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  again();
});
$("more").addEventListener("click", list);
// A browser sends no grant with a link, so if there is a grant the data is fetched here and then shown.
document.addEventListener("click", async (event) => {
  const to = event.target.closest("a")?.getAttribute("href") ?? "";
  if (!/^\/api\/(v1\/sessions|health)/.test(to) || sessionStorage.getItem(KEY) === null) return;
  event.preventDefault();
  try {
    window.open(URL.createObjectURL(await (await ask(to)).blob()), "_blank");
  } catch (error) {
    refused(error);
  }
});
list();
