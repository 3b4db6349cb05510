// The page: who is there, what they say, what is told to all. Settings come from its address:
// ?broker=ws://host:8084/mqtt&room=lobby&name=Ann
import { Client } from "./mqtt.js";

const query = new URLSearchParams(location.search);
const room = query.get("room") || "lobby";
const scheme = location.protocol === "https:" ? "wss" : "ws";
const broker = query.get("broker") || `${scheme}://${location.hostname}:8084/mqtt`;
const find = (id) => document.getElementById(id);
const present = new Map();
let client = null;
let me = "";

find("room").textContent = `#${room}`;
find("broker").textContent = broker;
find("name").value = query.get("name") || "";
find("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(find("name").value.trim());
});
find("say").addEventListener("submit", (event) => {
    event.preventDefault();
    say(find("text").value.trim(), event.submitter?.id === "announce");
});
addEventListener("pagehide", () => client?.closeWithWill());
if (query.get("name")) enter(query.get("name"));

function enter(name) {
    if (!name) return;
    me = name;
    const id = `chat-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    const seat = { topic: `present/${room}/${id}`, name };
    // Who leaves or vanishes leaves no seat behind: the will clears the retained message.
    client = new Client({ url: broker, id, user: name, will: { topic: seat.topic, payload: "", retain: true } });
    client.addEventListener("online", () => arrive(seat));
    client.addEventListener("offline", ({ detail }) => {
        state("offline", `connecting again: ${detail.why}`);
        present.clear();
        showPresent();
    });
    client.addEventListener("message", ({ detail }) => receive(detail));
    state("offline", "connecting");
    client.open();
    find("enter").hidden = true;
    find("say").hidden = false;
    find("text").focus();
}

async function arrive(seat) {
    try {
        const codes = await client.subscribe([`$chat/${room}`, "$shunt/notify", `present/${room}/+`]);
        if (codes[0] >= 0x80) return state("offline", `the room does not let you in, reason 0x${codes[0].toString(16)}`);
        await client.publish(seat.topic, seat.name, { retain: true });
        state("online", "connected");
    } catch (error) {
        state("offline", error.message);
    }
}

function receive({ topic, payload }) {
    if (topic.startsWith("present/")) {
        const id = topic.split("/").pop();
        const before = present.get(id);
        if (payload) present.set(id, payload); else present.delete(id);
        if (!before && payload && payload !== me) show("note", "", `${payload} is here`);
        if (before && !payload) show("note", "", `${before} has left`);
        return showPresent();
    }
    if (topic === "$shunt/notify") return show("notice", "To everyone", broadcast(payload));
    if (topic === `$chat/${room}`) {
        const { from, text } = JSON.parse(payload);
        show("theirs", String(from), String(text));
    }
}

/** The text of a broadcast: a member of its JSON, or all of it. */
function broadcast(payload) {
    try {
        return String(JSON.parse(payload).message ?? payload);
    } catch {
        return payload;
    }
}

async function say(text, toAll) {
    if (!text) return;
    find("text").value = "";
    try {
        if (toAll) return await client.publish("$shunt/notify", JSON.stringify({ allEmpty: true, message: `${me}: ${text}` }));
        const line = show("mine", "", text);
        // A chat's message goes to the other members; its receipt says that the room has it.
        const [code] = await client.publish(`$chat/${room}`, JSON.stringify({ from: me, text }));
        line.classList.add(code < 0x80 ? "sent" : "failed");
    } catch (error) {
        show("note", "", `not sent: ${error.message}`);
    }
}

function show(kind, from, text) {
    const line = document.createElement("li");
    line.className = kind;
    if (from) {
        const who = document.createElement("b");
        who.textContent = from;
        line.append(who);
    }
    const words = document.createElement("span");
    words.textContent = text;
    line.append(words);
    if (kind !== "note") {
        const time = document.createElement("time");
        time.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
        line.append(time);
    }
    find("lines").append(line);
    line.scrollIntoView({ block: "end" });
    return line;
}

function showPresent() {
    const entries = [...present.values()].sort((a, b) => a.localeCompare(b)).map((name) => {
        const entry = document.createElement("li");
        entry.dataset.initial = [...name][0].toUpperCase();
        entry.style.setProperty("--hue", [...name].reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 360, 7));
        entry.textContent = name === me ? `${name} (you)` : name;
        return entry;
    });
    find("present").replaceChildren(...entries);
    find("count").textContent = entries.length || "";
}

function state(name, words) {
    document.body.dataset.state = name;
    find("state").textContent = words;
}
