// MQTT 5.0 as a client speaks it: packets as bytes and back, and what reason codes mean. Sections are those of the OASIS standard.

/** Bytes of a packet, its header too, that this page sends or takes. */
export const MOST = 256 * 1024;
/** Messages of QoS 1 and 2 that the server may send before the page has acknowledged one. */
export const RECEIVED = 100;

/** The bytes are no packet that a server may send, or what is to be sent does not fit into one. */
export class Malformed extends Error {}

const TYPES = {
    connect: 1, connack: 2, publish: 3, puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7, subscribe: 8, suback: 9, unsubscribe: 10, unsuback: 11, pingreq: 12, pingresp: 13, disconnect: 14,
};
const NAMES = new Map(Object.entries(TYPES).map(([name, type]) => [type, name]));

// Writing

const utf8 = new TextEncoder();
const u16 = (number) => [number >> 8, number & 0xff];
const u32 = (number) => [...u16(number >>> 16), ...u16(number & 0xffff)];

/** §1.5.5: seven bits a byte, the low ones first. */
function variable(number) {
    const bytes = [];
    do {
        bytes.push(number % 128 + (number >= 128 ? 128 : 0));
        number = Math.floor(number / 128);
    } while (number);
    return bytes;
}

/** §1.5.4: its length, then UTF-8 without U+0000. */
function text(string) {
    const bytes = utf8.encode(string);
    if (bytes.length > 0xffff) throw new Malformed(`a text has ${bytes.length} bytes; MQTT has room for 65,535`);
    if (bytes.includes(0)) throw new Malformed("a text has a NUL, which MQTT forbids");
    return [u16(bytes.length), bytes];
}

function packet(name, flags, ...parts) {
    const content = parts.flat();
    const length = content.reduce((sum, part) => sum + part.length, 0);
    const head = [TYPES[name] << 4 | flags, ...variable(length)];
    const bytes = new Uint8Array(head.length + length);
    bytes.set(head);
    let at = head.length;
    for (const part of content) {
        bytes.set(part, at);
        at += part.length;
    }
    if (bytes.length > MOST) throw new Malformed(`the packet has ${bytes.length} bytes; this page sends ${MOST} at most`);
    return bytes;
}

const NO_PROPERTIES = [0];

/** Packets that a client sends, as bytes. Each part in a list is a list of bytes. */
export const encode = {
    /** §3.1, with a clean start; the session ends with the connection. No user or password: null. */
    connect({ client, user, password, keepAlive }) {
        const flags = 0x02 | (user === null ? 0 : 0x80) | (password === null ? 0 : 0x40);
        const properties = [0x21, ...u16(RECEIVED), 0x27, ...u32(MOST)];
        return packet("connect", 0, text("MQTT"), [[5, flags, ...u16(keepAlive), properties.length, ...properties]], text(client),
            user === null ? [] : text(user), password === null ? [] : text(password));
    },
    subscribe: (id, filter, qos) => packet("subscribe", 2, [u16(id), NO_PROPERTIES], text(filter), [[qos]]),
    unsubscribe: (id, filter) => packet("unsubscribe", 2, [u16(id), NO_PROPERTIES], text(filter)),
    /** - payload: bytes; id: of QoS 1 and 2. */
    publish: ({ topic, payload, qos, retain, id }) => packet("publish", qos << 1 | (retain ? 1 : 0), text(topic),
        qos ? [u16(id)] : [], [NO_PROPERTIES, payload]),
    puback: (id) => packet("puback", 0, [u16(id)]),
    pubrec: (id) => packet("pubrec", 0, [u16(id)]),
    pubrel: (id) => packet("pubrel", 2, [u16(id)]),
    pubcomp: (id, code) => packet("pubcomp", 0, [u16(id), code ? [code] : []]),
    pingreq: () => packet("pingreq", 0),
    disconnect: () => packet("disconnect", 0),
};

// Reading

/** Takes values off the front of bytes. */
class Reader {
    constructor(bytes) { Object.assign(this, { data: bytes, at: 0 }); }
    get left() { return this.data.length - this.at; }

    bytes(count) {
        if (count > this.left) throw new Malformed("a packet ends in the middle of a value");
        this.at += count;
        return this.data.subarray(this.at - count, this.at);
    }

    u8() { return this.bytes(1)[0]; }
    u16() { return this.u8() * 256 + this.u8(); }
    u32() { return this.u16() * 65536 + this.u16(); }
    binary() { return this.bytes(this.u16()); }

    text() {
        try {
            return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.binary());
        } catch (error) {
            throw error instanceof Malformed ? error : new Malformed("a text is not UTF-8");
        }
    }

    variable() {
        for (let value = 0, shift = 0; shift < 28; shift += 7) {
            const byte = this.u8();
            value += (byte & 127) * 2 ** shift;
            if (byte < 128) return value;
        }
        throw new Malformed("a length has more than four bytes");
    }

    id() {
        const id = this.u16();
        if (!id) throw new Malformed("a packet identifier is 0");
        return id;
    }
}

/** §2.2.2.2, with their types. */
const PROPERTIES = new Map([
    [1, ["payloadFormat", "u8"]], [2, ["messageExpiry", "u32"]], [3, ["contentType", "text"]], [8, ["responseTopic", "text"]],
    [9, ["correlation", "binary"]], [11, ["subscription", "variable"]], [17, ["sessionExpiry", "u32"]], [18, ["client", "text"]],
    [19, ["keepAlive", "u16"]], [21, ["authentication", "text"]], [22, ["authenticationData", "binary"]], [26, ["responseInformation", "text"]],
    [28, ["server", "text"]], [31, ["reason", "text"]], [33, ["receiveMaximum", "u16"]], [34, ["aliasMaximum", "u16"]], [35, ["alias", "u16"]],
    [36, ["maximumQoS", "u8"]], [37, ["canRetain", "u8"]], [39, ["maximumPacket", "u32"]], [40, ["hasWildcards", "u8"]],
    [41, ["hasIdentifiers", "u8"]], [42, ["hasShared", "u8"]],
]);
const USER_PROPERTY = 38;

/** By name. User properties are passed over. */
function properties(reader) {
    const part = new Reader(reader.bytes(reader.variable()));
    const known = {};
    while (part.left) {
        const number = part.variable();
        if (number === USER_PROPERTY) {
            part.text();
            part.text();
            continue;
        }
        const [name, type] = PROPERTIES.get(number) ?? [];
        if (!name) throw new Malformed(`there is no property ${number}`);
        if (name in known && name !== "subscription") throw new Malformed(`property ${number} is there twice`);
        known[name] = part[type]();
    }
    return known;
}

/** A reason that may be left out, with the properties, where all is well. */
function ending(reader) {
    const code = reader.left ? reader.u8() : 0;
    return { code, properties: reader.left ? properties(reader) : {} };
}

function codes(reader) {
    const found = { id: reader.id(), properties: properties(reader) };
    return { ...found, codes: [...reader.bytes(reader.left)] };
}

const acknowledgement = (reader) => ({ id: reader.id(), ...ending(reader) });

const readers = {
    connack(reader) {
        if (reader.u8() > 1) throw new Malformed("CONNACK has flags that MQTT does not know");
        return { code: reader.u8(), properties: properties(reader) };
    },
    publish(reader, flags) {
        const qos = flags >> 1 & 3;
        if (qos > 2) throw new Malformed("a message comes with QoS 3, which there is not");
        const topic = reader.text();
        if (!topic || /[+#\0]/.test(topic)) throw new Malformed("a message has no topic, or one with a wildcard");
        const id = qos ? reader.id() : undefined;
        const known = properties(reader);
        if ("alias" in known) throw new Malformed("a message has a topic alias, which nobody allowed");
        return { topic, id, qos, retain: Boolean(flags & 1), properties: known, payload: reader.bytes(reader.left) };
    },
    puback: acknowledgement,
    pubrec: acknowledgement,
    pubrel: acknowledgement,
    pubcomp: acknowledgement,
    suback: codes,
    unsuback: codes,
    pingresp: () => ({}),
    disconnect: ending,
};

/** Cuts a stream of bytes into packets. Frames of WebSocket and packets have no common bounds (§6). */
export class Packets {
    #parts = [];
    #size = 0;
    /** Bytes that the next packet wants at least. */
    #wanted = 2;

    /** The packets that are whole now, each with its name; their payloads are views of bytes that stay. Throws Malformed. */
    *push(bytes) {
        this.#parts.push(bytes);
        this.#size += bytes.length;
        if (this.#size < this.#wanted) return;
        const data = new Uint8Array(this.#size);
        let at = 0;
        for (const part of this.#parts) {
            data.set(part, at);
            at += part.length;
        }
        at = 0;
        let end;
        while ((end = Packets.#end(data, at)) && end.last <= data.length) {
            yield Packets.#decode(data[at], new Reader(data.subarray(end.first, end.last)));
            at = end.last;
        }
        this.#parts = [data.slice(at)];
        this.#size = data.length - at;
        this.#wanted = end ? end.last - at : this.#size + 1;
    }

    /** Where the content of the packet begins and ends; null: its header is not here yet. */
    static #end(data, at) {
        for (let length = 0, count = 1; count <= 4; count++) {
            if (at + count >= data.length) return null;
            length += (data[at + count] & 127) * 128 ** (count - 1);
            if (data[at + count] >= 128) continue;
            if (1 + count + length > MOST) throw new Malformed(`a packet has ${1 + count + length} bytes; this page asked for ${MOST} at most`);
            return { first: at + 1 + count, last: at + 1 + count + length };
        }
        throw new Malformed("a length has more than four bytes");
    }

    static #decode(head, reader) {
        const name = NAMES.get(head >> 4);
        const read = readers[name];
        if (!read) throw new Malformed(`a packet has type ${head >> 4}, which this page did not ask for`);
        if (name !== "publish" && (head & 15) !== (name === "pubrel" ? 2 : 0)) throw new Malformed(`${name.toUpperCase()} has flags that MQTT forbids`);
        const found = read(reader, head & 15);
        if (reader.left) throw new Malformed(`${name.toUpperCase()} is longer than what is in it`);
        return { name, ...found };
    }
}

// Reason codes, §2.4

const REASONS = new Map([
    [0x00, "success"], [0x01, "granted QoS 1"], [0x02, "granted QoS 2"], [0x04, "disconnect with will"], [0x10, "nobody has subscribed the topic"],
    [0x11, "there was no such subscription"], [0x18, "continue authentication"], [0x19, "authenticate again"], [0x80, "unspecified error"],
    [0x81, "malformed packet"], [0x82, "protocol error"], [0x83, "the server's own rules refuse it"], [0x84, "MQTT 5.0 is not supported"],
    [0x85, "the client identifier is not valid"], [0x86, "bad user name or password"], [0x87, "not authorized"], [0x88, "server unavailable"],
    [0x89, "server busy"], [0x8a, "banned"], [0x8b, "the server shuts down"], [0x8c, "bad authentication method"],
    [0x8d, "nothing came within the keep alive"], [0x8e, "another client took the session over by this client identifier"],
    [0x8f, "the topic filter is not valid"], [0x90, "the topic name is not valid"], [0x91, "the packet identifier is in use"],
    [0x92, "the packet identifier is not known"], [0x93, "receive maximum exceeded"], [0x94, "the topic alias is not valid"],
    [0x95, "packet too large"], [0x96, "message rate too high"], [0x97, "quota exceeded"], [0x98, "an operator closed the connection"],
    [0x99, "the payload has not the format that it claims"], [0x9a, "retained messages are not supported"], [0x9b, "QoS is not supported"],
    [0x9c, "use another server"], [0x9d, "the server has moved"], [0x9e, "shared subscriptions are not supported"],
    [0x9f, "connection rate exceeded"], [0xa0, "the longest time of a connection is over"], [0xa1, "subscription identifiers are not supported"],
    [0xa2, "wildcard subscriptions are not supported"],
]);

/** A code in words, as "not authorized (0x87)", with the server's own string and other address where it gave them. */
export function reason(code, { reason: string, server } = {}) {
    const hex = `0x${code.toString(16).padStart(2, "0").toUpperCase()}`;
    const words = `${REASONS.get(code) ?? "a reason that MQTT does not know"} (${hex})`;
    return [words, string, server && `the other server is ${server}`].filter(Boolean).join("; ");
}
