// The page: its views, the way between them, the keyboard, and the token's door.

import { door } from "./api.js";
import { bans, refused } from "./access.js";
import { events, overview, query, workers } from "./cluster.js";
import { clients } from "./clients.js";
import { duration, el, setText, utc } from "./elements.js";
import { cluster, EVERY } from "./figures.js";
import { rules } from "./rules.js";
import { chats, devices, retained } from "./sessions.js";
import { subscriptions } from "./subscriptions.js";
import { topics } from "./topics.js";
import { tryOut } from "./try.js";
import { dialog, fields } from "./view.js";

const find = (id) => document.getElementById(id);
const views = [
    overview(), workers(), clients(), devices(), chats(), rules(), events(), retained(), refused(), bans(), query(), tryOut(), topics(),
    subscriptions(),
];
/** One for each view. */
const KEYS = "1234567890stbu";
let shown = null;

// Views

const links = new Map(views.map((view, at) => [view, el("a", { href: `#${view.name}`, title: `key ${KEYS[at]}` }, view.title)]));
find("nav").append(...links.values());
find("main").append(...views.map((view) => view.element));

function show(view) {
    if (view === shown) return;
    shown?.hide();
    shown = view;
    for (const [other, link] of links) {
        if (other === view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    document.title = `${view.title} – Shunt`;
    links.get(view).scrollIntoView({ block: "nearest", inline: "nearest" });
    view.show();
}

/** The one that the address names; the link to the content names none. */
function showNamed() {
    const named = views.find((view) => `#${view.name}` === location.hash);
    if (named || !shown) show(named ?? views[0]);
}
addEventListener("hashchange", () => shown && showNamed());

// Keyboard

const keys = [
    ["1 … 9, 0, s, t, b, u", "a view, in the order of the line above"], ["/", "the view's search"], ["r", "ask the master now"],
    ["↑ ↓ Page Home End", "a row of the table that has the focus"], ["Enter", "open the row"], ["Esc", "close what is open"], ["?", "this list"],
];
const showKeys = () => dialog("Keys", fields(keys));
find("keys").addEventListener("click", showKeys);

addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog") || !shown || door.refusal) return;
    const number = KEYS.indexOf(event.key);
    if (number >= 0 && views[number]) location.hash = views[number].name;
    else if (event.key === "/" && shown.search) shown.search.focus();
    else if (event.key === "r") shown.refresh();
    else if (event.key === "?") showKeys();
    else return;
    event.preventDefault();
});

// The token

door.addEventListener("locked", ({ detail: problem }) => {
    for (const box of document.querySelectorAll("dialog")) box.close();
    [find("door").hidden, find("main").hidden, find("nav").hidden] = [false, true, true];
    find("leave").hidden = true;
    find("state").textContent = "";
    find("refusal").hidden = !problem;
    find("refusal").textContent = problem?.sentence ?? "";
    find("token").focus();
});

door.addEventListener("unlocked", () => {
    [find("door").hidden, find("main").hidden, find("nav").hidden] = [true, false, false];
    find("leave").hidden = !door.hasToken;
    if (shown) shown.refresh();
    else showNamed();
    sample();
});

find("door").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = find("token").value.trim();
    find("token").value = "";
    // A header holds nothing else; the master would not have made such a token.
    if (/^[\x21-\x7e]+$/.test(token)) return door.open(token);
    find("refusal").hidden = false;
    find("refusal").textContent = "A token has visible ASCII characters alone.";
});
find("leave").addEventListener("click", () => door.open(null));

// Figures are kept whatever is shown, so that the lines have no gaps. What went wrong the view tells.

const canAsk = () => !document.hidden && !door.refusal;
const sample = () => cluster.sample().catch(() => setText(find("state"), "no news of the master"));
setInterval(() => shown && canAsk() && sample(), EVERY * 1000);
cluster.addEventListener("sampled", () => {
    const { version, uptime_seconds, started_at, master } = cluster.status;
    setText(find("state"), `${version}, up for ${duration(uptime_seconds)}${role(master)}`, `since ${utc(started_at)}`);
});

/** Of a master that has peers: whether it serves, and how the others are. */
function role(master) {
    if (!master) return "";
    const others = master.masters.map(({ address, role }) => `${address} ${role}`).join(", ");
    const none = master.role !== "serving" && !master.serving ? ", none serves" : "";
    return `; ${master.role} in term ${master.term}${none}${others && `; ${others}`}`;
}
document.addEventListener("visibilitychange", () => canAsk() && shown?.refresh());
door.open();
