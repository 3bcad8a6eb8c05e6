"use strict";

const WORDS = {
  clear: "in clear", sealed: "sealed", handshake: "handshake", neighbours: "neighbours", unlisted: "unlisted",
  unexamined: "not examined",
};
const MOST_LINES = 200;
// The forms that are worth a glow in the picture: others come at any time.
const SHOWN = ["unlisted", "clear", "sealed"];

const byId = (id) => document.getElementById(id);
let state = null;
let counts = {};
let lines = [];
let chosen = "";
let picking = null; // null, or the nodes picked so far
let drawn = "";
let onPath = { nodes: new Set(), networks: new Set() }; // of the last trace
let over = false;

/** An element with texts and elements in it; texts are never read as HTML. */
function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...inside);
  return made;
}

async function ask(path, body) {
  const how = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, how);
  } catch {
    throw new Error("no answer: has `invoke show` ended?");
  }
  const text = await answer.text();
  let said = {};
  try { said = JSON.parse(text); } catch { said = { error: text }; }
  if (!answer.ok) throw new Error(said.error || answer.statusText);
  return said;
}

// The picture.

async function draw() {
  const wanted = JSON.stringify(state.tunnels);
  if (drawn === wanted) return;
  drawn = wanted;
  const answer = await fetch("picture.svg");
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
  const focused = document.activeElement && document.activeElement.getAttribute("data-node");
  const picture = document.importNode(parsed.documentElement, true);
  // An image has no buttons inside; a group has.
  picture.setAttribute("role", "group");
  byId("picture").replaceChildren(picture);
  for (const node of document.querySelectorAll("#picture [data-node]")) {
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "button");
    node.setAttribute("aria-label", `node ${node.getAttribute("data-node")}`);
    if (focused === node.getAttribute("data-node")) node.focus();
  }
  mark();
}

function mark() {
  for (const node of document.querySelectorAll("#picture [data-node]")) {
    const name = node.getAttribute("data-node");
    node.classList.toggle("chosen", picking ? picking.includes(name) : name === chosen);
    node.classList.toggle("on-path", onPath.nodes.has(name));
  }
  for (const network of document.querySelectorAll("#picture [data-network]"))
    network.classList.toggle("on-path", onPath.networks.has(network.getAttribute("data-network")));
}

function glow(before) {
  for (const part of document.querySelectorAll("#picture [data-network]")) {
    const name = part.getAttribute("data-network");
    for (const form of SHOWN) {
      const more = (counts[name]?.[form] || 0) > (before[name]?.[form] ?? counts[name]?.[form] ?? 0);
      part.classList.toggle(`crossed-${form}`, more);
    }
  }
}

function onNode(event) {
  if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
  const node = event.target.closest("[data-node]");
  if (!node) return;
  event.preventDefault();
  choose(node.getAttribute("data-node"));
}

function choose(name) {
  if (!picking) {
    show(name);
    return;
  }
  if (picking.includes(name)) return;
  picking.push(name);
  mark();
  if (picking.length === 1) {
    byId("hint").textContent = `From ${name}. Now the second node: where the packet goes.`;
    return;
  }
  [byId("from").value, byId("to").value] = picking;
  pick(false);
  trace();
}

function pick(on) {
  picking = on ? [] : null;
  byId("pick").setAttribute("aria-pressed", String(on));
  byId("hint").textContent = on ? "Click the first node: where the packet starts." : "Click a node for its details.";
  mark();
}

// Nodes.

function options(select, names) {
  if ([...select.options].map((option) => option.value).join() === names.map(([value]) => value).join()) return;
  const value = select.value;
  select.replaceChildren(...names.map(([name, text]) => make("option", { value: name }, text)));
  if (names.some(([name]) => name === value)) select.value = value;
}

function showState() {
  byId("testbed").textContent = state.testbed;
  document.title = `${state.testbed} · Tunnelbed`;
  const up = state.tunnels.filter((tunnel) => tunnel.state === "up").length;
  const running = state.nodes.filter((node) => node.state === "running").length;
  byId("summary").textContent =
    `${running} of ${state.nodes.length} nodes run, ${up} of ${state.tunnels.length} tunnels up`;
  const focused = document.activeElement?.closest?.("#nodes button")?.dataset.name;
  byId("nodes").replaceChildren(...state.nodes.map((node) => make("li", {},
    make("button", {
      type: "button", "data-name": node.node, "aria-current": String(node.node === chosen), onclick: () => choose(node.node),
    }, node.node, make("small", { class: node.state === "running" ? "" : "bad" }, about(node))))));
  if (focused) document.querySelector(`#nodes button[data-name="${CSS.escape(focused)}"]`)?.focus();
  byId("tunnels").replaceChildren(...(state.tunnels.length ? state.tunnels.map((tunnel) => make("li", {},
    `${tunnel.one} to ${tunnel.other}: `, make("strong", { class: tunnel.state }, tunnel.state)))
    : [make("li", {}, "none")]));
  const nodes = state.nodes.map((node) => [node.node, node.node]);
  const first = byId("from").options.length === 0;
  options(byId("from"), nodes);
  options(byId("to"), nodes);
  if (first && nodes.length > 1) byId("to").selectedIndex = 1;
  options(byId("network"), [["", "all nodes"], ...state.networks.map((network) => [network.name, network.name])]);
  if (state.gone) end(state.gone);
  draw();
}

function about(node) {
  const words = [node.role, node.state === "running" ? "" : node.state];
  if (node.state === "running" && !node.watched) words.push("packets not watched");
  if (node.lost) words.push(`${node.lost} packets lost`);
  return words.filter(Boolean).join(", ");
}

function end(why) {
  over = true;
  byId("gone").textContent = `This page has ended: ${why}.`;
  byId("gone").hidden = false;
  byId("connection").dataset.state = "lost";
  byId("connection").textContent = "ended";
  for (const button of document.querySelectorAll("form button, #pick")) button.disabled = true;
}

async function show(name) {
  chosen = name;
  mark();
  for (const button of document.querySelectorAll("#nodes button"))
    button.setAttribute("aria-current", String(button.dataset.name === name));
  byId("details-heading").textContent = `Node ${name}`;
  const place = byId("details");
  let node;
  try {
    node = await ask(`nodes/${encodeURIComponent(name)}`);
  } catch (failed) {
    if (chosen === name) place.replaceChildren(make("p", { class: "quiet" }, failed.message));
    return;
  }
  if (chosen !== name) return;
  const facts = [["state", node.state], ["role", [node.role, node.site && `site ${node.site}`].filter(Boolean).join(", ")],
    ["image", node.image], ["VPN", node.daemon],
    ["data plane", node.data_plane && `${node.data} in ${node.data_plane === "kernel" ? "the kernel" : "user space"}`]];
  place.replaceChildren(
    make("dl", {}, ...facts.filter(([, value]) => value).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)])),
    ...(node.tunnels.length ? [make("h3", {}, "Tunnels"), make("ul", {}, ...node.tunnels.map(tunnel))] : []),
    make("h3", {}, "Addresses"), make("pre", { tabindex: 0 }, node.addresses.join("\n")),
    make("h3", {}, "Routes"), make("pre", { tabindex: 0 }, node.routes.join("\n") || "none"),
    make("h3", {}, "End of its log"), make("pre", { tabindex: 0 }, node.log.join("\n") || "empty"),
    make("p", {}, make("button", { type: "button", onclick: () => show(name) }, `Refresh ${name}`)),
  );
  place.querySelector("pre:last-of-type").scrollTop = 1e6;
}

function tunnel(found) {
  return make("li", {}, make("strong", {}, found.name), ` to ${found.peer || "?"}: ${found.up ? "up" : found.state.toLowerCase()} `,
    make("small", { class: "quiet" }, [found.proposal, ...found.children.map((child) =>
      `${child.name}: ${child.local.join(" ")} ↔ ${child.remote.join(" ")} ${child.proposal}`)].filter(Boolean).join("; ")));
}

// Traffic.

function showCounts() {
  byId("counts").replaceChildren(...Object.entries(counts).map(([network, found]) => make("tr", {},
    make("th", { scope: "row" }, network),
    ...Object.keys(WORDS).map((form) => make("td", { "data-form": form, class: found[form] ? "" : "zero" }, String(found[form]))))));
}

function showLines() {
  if (byId("hold").getAttribute("aria-pressed") === "true") return;
  const all = byId("neighbours").checked;
  const shown = lines.filter((line) => all || !["neighbours", "handshake"].includes(line.form)).slice(0, 60);
  byId("lines").replaceChildren(...(shown.length ? shown.map((line) => make("li", { "data-form": line.form },
    make("span", {}, new Date(line.at * 1000).toISOString().slice(11, 23)),
    make("span", {}, WORDS[line.form]), make("span", {}, line.network), make("span", {}, line.node),
    make("span", {}, line.text))) : [make("li", { class: "quiet" }, "none yet")]));
}

function onTraffic(said) {
  const before = counts;
  counts = said.counts;
  const last = lines[0]?.number || 0;
  lines = [...said.lines.filter((line) => line.number > last).reverse(), ...lines].slice(0, MOST_LINES);
  showCounts();
  showLines();
  glow(before);
}

// Trace and captures.

async function trace() {
  const kind = byId("kind").value;
  const on = kind === "ping" ? "" : `${kind} ${byId("port").value}`;
  const [from, to] = [byId("from").value, byId("to").value];
  byId("send").disabled = true;
  report("", `${from} sends a packet to ${to} …`);
  byId("path").hidden = true;
  onPath = { nodes: new Set(), networks: new Set() };
  mark();
  try {
    const path = await ask("trace", { from, to, on });
    report(path.answered ? "good" : "bad", `${from} to ${to}, ${on || "ping"}: ${path.outcome}`);
    showPath(path);
  } catch (failed) {
    report("bad", failed.message);
  } finally {
    byId("send").disabled = over;
  }
}

function report(kind, text) {
  byId("outcome").className = kind;
  byId("outcome").textContent = text;
}

function showPath(path) {
  onPath = { nodes: new Set(path.steps.map((step) => step.node)), networks: new Set(path.steps.map((step) => step.network)) };
  mark();
  byId("path").hidden = false;
  byId("path").replaceChildren(...path.steps.map((step) => {
    const form = step.event === "rule" ? "rule" : step.sealed ? "sealed" : "clear";
    const word = { rule: "firewall", sealed: "sealed", clear: "in clear" }[form];
    const at = step.at === null ? "" : `${(step.at * 1000).toFixed(2)} ms `;
    return make("li", { "data-form": form }, make("span", {}, `${at}${step.node} ${step.event} ${step.network} `),
      make("span", { class: "form" }, word), make("br"), make("span", {}, step.what));
  }));
}

function showCaptures(found) {
  const focused = document.activeElement?.closest?.("#captures button")?.dataset.number;
  byId("captures").replaceChildren(...[...found].reverse().map((one) => {
    const lost = one.lost ? `, ${one.lost} not saved: too many at once` : "";
    const why = one.why ? `; ${one.why}` : "";
    const text = make("span", { class: "grow" }, one.network || "all nodes", make("br"),
      make("small", {}, `${one.frames} frames${lost}${why}${one.running ? "" : ` in ${one.file}`}`));
    return make("li", {}, text, one.running
      ? make("button", { type: "button", "data-number": one.number, onclick: () => stop(one.number) }, `Stop capture ${one.number}`)
      : make("a", { href: `captures/${one.number}`, download: one.file.split("/").pop() }, `Download capture ${one.number}`));
  }));
  if (focused) document.querySelector(`#captures button[data-number="${focused}"]`)?.focus();
}

async function start() {
  await reported(ask("captures", { network: byId("network").value }));
}

async function stop(number) {
  await reported(ask(`captures/${number}/stop`, {}));
}

async function reported(answer) {
  byId("capture-error").textContent = "";
  try {
    await answer;
  } catch (failed) {
    byId("capture-error").textContent = failed.message;
  }
}

// What happens.

byId("picture").addEventListener("click", onNode);
byId("picture").addEventListener("keydown", onNode);
byId("pick").addEventListener("click", () => pick(!picking));
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && picking) pick(false); });
byId("kind").addEventListener("change", () => { byId("port-field").hidden = byId("kind").value === "ping"; });
byId("trace").addEventListener("submit", (event) => { event.preventDefault(); trace(); });
byId("capture").addEventListener("submit", (event) => { event.preventDefault(); start(); });
byId("neighbours").addEventListener("change", showLines);
byId("hold").addEventListener("click", () => {
  const held = byId("hold").getAttribute("aria-pressed") !== "true";
  byId("hold").setAttribute("aria-pressed", String(held));
  showLines();
});

const events = new EventSource("events");
events.addEventListener("open", () => {
  byId("connection").dataset.state = "live";
  byId("connection").textContent = "live";
  lines = [];
});
events.addEventListener("error", () => {
  if (over) return;
  byId("connection").dataset.state = "lost";
  byId("connection").textContent = "no connection: has `invoke show` ended?";
});
events.addEventListener("state", (event) => {
  state = JSON.parse(event.data);
  showState();
  if (state.gone) events.close();
});
events.addEventListener("traffic", (event) => onTraffic(JSON.parse(event.data)));
events.addEventListener("captures", (event) => showCaptures(JSON.parse(event.data)));
