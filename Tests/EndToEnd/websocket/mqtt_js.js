// Publishes to itself by mqtt.js: `node mqtt_js.js URL VERSION`. Prints what came as a line of JSON.
const mqtt = require("mqtt");

const [url, version] = process.argv.slice(2);
const client = mqtt.connect(url, { protocolVersion: Number(version), reconnectPeriod: 0, connectTimeout: 15000 });
const large = Buffer.alloc(50000, "x");
const got = [];
const fail = (why) => { console.error(why); process.exit(1); };

setTimeout(() => fail("nothing came in 20 s"), 20000);
client.on("error", fail);
client.on("connect", () => client.subscribe(`js/${version}/+`, { qos: 2 }, (error) => {
    if (error) fail(error);
    for (const qos of [0, 1, 2]) {
        client.publish(`js/${version}/${qos}`, "hello", { qos }, (error) => error && fail(error));
        client.publish(`js/${version}/${qos}`, large, { qos }, (error) => error && fail(error));
    }
}));
client.on("message", (topic, payload, packet) => {
    got.push([topic, packet.qos, payload.length]);
    if (got.length === 6) client.end(false, {}, () => { console.log(JSON.stringify(got)); process.exit(0); });
});
