// One client of MQTT 5.0 over WebSocket: the socket, what waits for an acknowledgement, and why it ended, as a sentence.

import { Problem } from "./api.js";
import { encode, Malformed, MOST, Packets, reason, RECEIVED } from "./mqtt.js";

/** Seconds. A tab in the background has its timers once a minute: the keep alive is several of these. */
const KEEP_ALIVE = 240;
const PING = 60;
const PATIENCE = 10;
/** Questions that may wait for their acknowledgements. */
const WAITING = 64;

const refusal = (text, help) => new Problem(0, { detail: text, help });

/** A browser tells a page only that it failed, so these are the likely causes. */
function unreachable(url) {
    const { origin, protocol } = location;
    const causes = [
        `the listener does not list this page's origin: worker.listeners.NAME.origins must name ${origin}`,
        "the address cannot be reached from this browser, or the path is not the listener's",
        url.startsWith("wss:") ? "the listener speaks no TLS, or this browser does not trust its certificate"
            : "the listener speaks TLS, which wants wss://",
        protocol === "https:" && url.startsWith("ws:") && "a page that came by TLS may open wss:// alone",
    ];
    return refusal(`${url} did not let this page connect, and a browser does not say why`, `likely causes: ${causes.filter(Boolean).join("; ")}`);
}

/** Tells of "connected"; of each "message", whose detail is the packet; at last of "ended", whose detail is a Problem, null where the page closed it. */
export class Connection extends EventTarget {
    #socket;
    #packets = new Packets();
    #waiting = new Map();
    /** Identifiers of messages of QoS 2 that have come, and that the worker has not released yet (§4.3.3). */
    #received = new Set();
    #lastId = 0;
    #isOpen = false;
    #isConnected = false;
    #isOver = false;
    #limits = { packet: MOST, inflight: WAITING };
    #timer = 0;
    #hasPinged = false;

    /** - login: client, user and password, each of the last two null where there is none. */
    constructor(url, login) {
        super();
        this.url = url;
        this.client = login.client;
        const hello = encode.connect({ ...login, keepAlive: KEEP_ALIVE });
        this.#socket = new WebSocket(url, "mqtt");
        this.#socket.binaryType = "arraybuffer";
        this.#socket.addEventListener("open", () => {
            this.#isOpen = true;
            this.#socket.send(hello);
        });
        this.#socket.addEventListener("message", ({ data }) => this.#take(data));
        this.#socket.addEventListener("close", ({ code, reason: why }) => this.#end(this.#isOpen
            ? refusal(`the connection ended with code ${code} of WebSocket${why ? `: ${why}` : ""}`) : unreachable(url)));
        this.#timer = setTimeout(() => this.#end(this.#isOpen ? refusal(`no CONNACK came in ${PATIENCE} s`) : unreachable(url)), PATIENCE * 1000);
    }

    /** Begins to connect. Throws a Problem where the address is none, or the browser forbids it. */
    static open(url, login) {
        try {
            return new Connection(url, login);
        } catch (error) {
            throw refusal(error instanceof Malformed ? error.message : `${url} cannot be opened: ${error.message}`);
        }
    }

    /** The answer's code and properties. A code from 0x80 on throws. */
    subscribe(filter, qos) { return this.#ask("suback", "The subscription", (id) => encode.subscribe(id, filter, qos)); }
    unsubscribe(filter) { return this.#ask("unsuback", "The end of the subscription", (id) => encode.unsubscribe(id, filter)); }

    /** null: QoS 0 has no answer. */
    async publish(message) {
        if (message.qos) return this.#ask(message.qos === 1 ? "puback" : "pubrec", "The message", (id) => encode.publish({ ...message, id }));
        this.#send(encode.publish, message);
        return null;
    }

    close() {
        if (this.#isOver) return;
        if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encode.disconnect());
        this.#end(null);
    }

    // Sending

    #send(make, ...values) {
        if (this.#isOver) throw refusal("the connection has ended");
        let bytes;
        try {
            bytes = make(...values);
        } catch (error) {
            throw error instanceof Malformed ? refusal(error.message) : error;
        }
        if (bytes.length > this.#limits.packet) throw refusal(`the packet has ${bytes.length} bytes; the worker takes ${this.#limits.packet} at most`);
        this.#socket.send(bytes);
    }

    async #ask(answer, what, make) {
        if (this.#waiting.size >= this.#limits.inflight) throw refusal(`${this.#waiting.size} acknowledgements have not come yet`, "wait for them");
        do this.#lastId = this.#lastId % 0xffff + 1;
        while (this.#waiting.has(this.#lastId));
        const id = this.#lastId;
        this.#send(make, id);
        const { code, properties } = await new Promise((resolve, reject) => this.#waiting.set(id, { answer, resolve, reject }));
        if (code >= 0x80) throw refusal(`${what} was refused: ${reason(code, properties)}`);
        return { code, properties };
    }

    // Receiving

    #take(data) {
        if (this.#isOver) return;
        try {
            if (typeof data === "string") throw new Malformed("a text came, where MQTT has binary messages alone");
            for (const packet of this.#packets.push(new Uint8Array(data))) {
                this.#handle(packet);
                if (this.#isOver) return;
            }
        } catch (error) {
            if (!(error instanceof Malformed)) throw error;
            this.#end(refusal(`what came is no MQTT 5.0, so this page closed the connection: ${error.message}`));
        }
    }

    #handle(packet) {
        if ((packet.name === "connack") === this.#isConnected) throw new Malformed(`${packet.name.toUpperCase()} came out of order`);
        switch (packet.name) {
        case "connack": return this.#welcome(packet);
        case "publish":
            return this.#receive(packet);
        case "pubrel":
            // 0x92: the page does not know of it.
            return this.#socket.send(encode.pubcomp(packet.id, this.#received.delete(packet.id) ? 0 : 0x92));
        case "pingresp":
            this.#hasPinged = false;
            return;
        case "disconnect": return this.#end(refusal(`the worker ended the connection: ${reason(packet.code, packet.properties)}`));
        default: return this.#acknowledge(packet);
        }
    }

    #receive(packet) {
        if (packet.qos === 1) this.#socket.send(encode.puback(packet.id));
        if (packet.qos === 2) {
            const isKnown = this.#received.has(packet.id);
            if (!isKnown && this.#received.size >= RECEIVED) throw new Malformed(`more than ${RECEIVED} messages of QoS 2 came before they were released`);
            this.#received.add(packet.id);
            this.#socket.send(encode.pubrec(packet.id));
            // The same message once more.
            if (isKnown) return;
        }
        this.dispatchEvent(new CustomEvent("message", { detail: packet }));
    }

    #welcome({ code, properties }) {
        if (code) return this.#end(refusal(`the worker refused the client: ${reason(code, properties)}`));
        this.#isConnected = true;
        this.#limits.packet = Math.min(properties.maximumPacket ?? MOST, MOST);
        this.#limits.inflight = Math.min(properties.receiveMaximum ?? WAITING, WAITING);
        clearTimeout(this.#timer);
        // §3.2.2.3.14: the server's word counts.
        const keepAlive = properties.keepAlive ?? KEEP_ALIVE;
        if (keepAlive) this.#timer = setInterval(() => this.#ping(), Math.min(keepAlive * 500, PING * 1000));
        this.dispatchEvent(new CustomEvent("connected"));
    }

    #ping() {
        if (this.#hasPinged) return this.#end(refusal("the worker has not answered a ping"));
        this.#hasPinged = true;
        this.#socket.send(encode.pingreq());
    }

    #acknowledge({ name, id, code, codes, properties }) {
        const asked = this.#waiting.get(id);
        if (asked?.answer !== name || (codes && codes.length !== 1)) throw new Malformed(`${name.toUpperCase()} answers what nobody asked`);
        if (name === "pubrec" && code < 0x80) {
            // The worker has the message; the identifier is in use until it has let go of it, too (§4.3.3).
            Object.assign(asked, { answer: "pubcomp", received: { code, properties } });
            return this.#socket.send(encode.pubrel(id));
        }
        this.#waiting.delete(id);
        if (asked.received && code < 0x80) return asked.resolve(asked.received);
        asked.resolve({ code: codes ? codes[0] : code, properties });
    }

    #end(problem) {
        if (this.#isOver) return;
        this.#isOver = true;
        clearTimeout(this.#timer);
        this.#socket.close();
        for (const { reject } of this.#waiting.values()) reject(problem ?? refusal("the connection was closed before the answer came"));
        this.#waiting.clear();
        this.dispatchEvent(new CustomEvent("ended", { detail: problem }));
    }
}
