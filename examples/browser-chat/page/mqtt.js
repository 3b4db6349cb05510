// A client of MQTT 5.0 over WebSocket, for pages: QoS 0 and 1, a will, retained messages, keep alive. It comes back by itself.

const TYPE = { connect: 1, connack: 2, publish: 3, puback: 4, subscribe: 8, suback: 9, pingreq: 12, disconnect: 14 };
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

const number16 = (number) => [number >> 8, number & 0xff];
const bytes16 = (value) => {
    const bytes = typeof value === "string" ? utf8.encode(value) : value;
    return [...number16(bytes.length), ...bytes];
};

/** A number of MQTT's own form: seven bits a byte, the lowest first. */
function variable(number) {
    const bytes = [];
    do {
        bytes.push(number % 128 | (number > 127 ? 0x80 : 0));
        number = Math.floor(number / 128);
    } while (number);
    return bytes;
}

function packet(type, flags, ...parts) {
    const body = parts.flatMap((part) => [...part]);
    return Uint8Array.from([type << 4 | flags, ...variable(body.length), ...body]);
}

/** Reads one number of MQTT's form: [number, where it ends]; null where bytes are missing. */
function readVariable(bytes, start) {
    let number = 0;
    for (let index = 0; index < 4; index++) {
        if (start + index >= bytes.length) return null;
        number += (bytes[start + index] & 0x7f) * 128 ** index;
        if (bytes[start + index] < 0x80) return [number, start + index + 1];
    }
    throw new Error("a number of more than four bytes");
}

/**
 * Events: `online` (event.detail: {isBack}), `offline` ({why}), `message` ({topic, payload, isRetained}).
 *
 * Options: `url`, `id`, `user`, `keepAlive` in seconds, `will` ({topic, payload, qos, retain}).
 */
export class Client extends EventTarget {
    #options;
    #socket = null;
    #received = new Uint8Array();
    /** What is to be done with an answer, by packet identifier. */
    #waiting = new Map();
    #lastIdentifier = 0;
    #timer = 0;
    #heard = 0;
    #pause = 500;
    #wasOnline = false;
    #isOver = false;
    #why = "";

    constructor(options) {
        super();
        this.#options = { keepAlive: 30, user: "", ...options };
    }

    open() {
        const socket = new WebSocket(this.#options.url, ["mqtt"]);
        this.#socket = socket;
        this.#received = new Uint8Array();
        socket.binaryType = "arraybuffer";
        socket.onopen = () => socket.send(this.#connect());
        socket.onmessage = (event) => this.#take(new Uint8Array(event.data));
        socket.onclose = (event) => this.#closed(event.code);
    }

    /** Leaves, and has the broker send the will all the same. */
    closeWithWill() {
        this.#isOver = true;
        if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(packet(TYPE.disconnect, 0, [4]));
        this.#socket?.close(1000);
    }

    /** Resolves to the broker's reason code of each filter. */
    subscribe(filters, qos = 1) {
        const entries = filters.flatMap((filter) => [...bytes16(filter), qos]);
        return this.#ask((identifier) => packet(TYPE.subscribe, 2, number16(identifier), [0], entries));
    }

    /** Resolves to [reason code] when the broker has answered, at once for QoS 0. */
    publish(topic, payload, { qos = 1, retain = false } = {}) {
        const bytes = utf8.encode(payload);
        const make = (identifier) =>
            packet(TYPE.publish, qos << 1 | (retain ? 1 : 0), bytes16(topic), identifier ? number16(identifier) : [], [0], bytes);
        if (qos > 0) return this.#ask(make);
        this.#socket.send(make(0));
        return Promise.resolve([0]);
    }

    #connect() {
        const { id, user, will, keepAlive } = this.#options;
        const flags = 2 | (user ? 0x80 : 0) | (will ? 4 | (will.qos ?? 1) << 3 | (will.retain ? 0x20 : 0) : 0);
        const parts = will ? [[0], bytes16(will.topic), bytes16(will.payload)] : [];
        return packet(
            TYPE.connect, 0, bytes16("MQTT"), [5, flags], number16(keepAlive), [0], bytes16(id), ...parts, user ? bytes16(user) : []);
    }

    #ask(make) {
        if (this.#socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("not connected"));
        do this.#lastIdentifier = this.#lastIdentifier % 65535 + 1; while (this.#waiting.has(this.#lastIdentifier));
        const identifier = this.#lastIdentifier;
        return new Promise((resolve, reject) => {
            this.#waiting.set(identifier, { resolve, reject });
            this.#socket.send(make(identifier));
        });
    }

    // What comes. Packets may share a message of WebSocket, and span several.

    #take(bytes) {
        this.#heard = Date.now();
        const all = new Uint8Array(this.#received.length + bytes.length);
        all.set(this.#received);
        all.set(bytes, this.#received.length);
        let start = 0;
        try {
            for (let head; start < all.length && (head = readVariable(all, start + 1)); ) {
                const [length, body] = head;
                if (body + length > all.length) break;
                this.#handle(all[start], all.subarray(body, body + length));
                start = body + length;
            }
        } catch (error) {
            this.#why = error.message;
            this.#socket.close(4000, "malformed packet");
        }
        this.#received = all.slice(start);
    }

    #handle(first, body) {
        switch (first >> 4) {
        case TYPE.connack: return this.#connected(body);
        case TYPE.publish: return this.#message(first, body);
        case TYPE.puback: return this.#answered(body, body.length > 2 ? [body[2]] : [0]);
        case TYPE.suback: return this.#answered(body, [...body.subarray(this.#afterProperties(body, 2))]);
        case TYPE.disconnect: this.#why = `the broker ended it, reason 0x${(body[0] ?? 0).toString(16)}`;
        }
    }

    #connected(body) {
        if (body[1] !== 0) {
            this.#why = `the broker refused, reason 0x${body[1].toString(16)}`;
            return this.#socket.close(1000);
        }
        this.#pause = 500;
        this.#timer = setInterval(() => this.#keepAlive(), this.#options.keepAlive * 500);
        this.#tell("online", { isBack: this.#wasOnline });
        this.#wasOnline = true;
    }

    #message(first, body) {
        const qos = first >> 1 & 3;
        const end = 2 + (body[0] << 8 | body[1]);
        const payload = body.subarray(this.#afterProperties(body, end + (qos ? 2 : 0)));
        if (qos) this.#socket.send(packet(TYPE.puback, 0, body.subarray(end, end + 2)));
        this.#tell("message", { topic: text.decode(body.subarray(2, end)), payload: text.decode(payload), isRetained: (first & 1) === 1 });
    }

    #answered(body, codes) {
        const identifier = body[0] << 8 | body[1];
        this.#waiting.get(identifier)?.resolve(codes);
        this.#waiting.delete(identifier);
    }

    #afterProperties(body, start) {
        const [length, end] = readVariable(body, start) ?? [0, body.length];
        return end + length;
    }

    // Staying.

    #keepAlive() {
        const patience = this.#options.keepAlive * 1000;
        if (Date.now() - this.#heard > 1.5 * patience) return this.#socket.close(4001, "silence");
        this.#socket.send(packet(TYPE.pingreq, 0));
    }

    #closed(code) {
        clearInterval(this.#timer);
        for (const { reject } of this.#waiting.values()) reject(new Error("the connection was lost"));
        this.#waiting.clear();
        this.#tell("offline", { why: this.#why || `code ${code}` });
        this.#why = "";
        if (this.#isOver) return;
        setTimeout(() => this.#isOver || this.open(), this.#pause * (0.5 + Math.random()));
        this.#pause = Math.min(this.#pause * 2, 15000);
    }

    #tell(name, detail) {
        this.dispatchEvent(new CustomEvent(name, { detail }));
    }
}
