// Rules from a grammar. A template's $X is replaced by one of the templates of X; where it is deep enough, by one of X's leaves.
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

static uint64_t state = 1;

void seed(uint64_t value) { state = value * 0x9E3779B97F4A7C15u + 1; }

uint32_t below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32) % limit;
}

// MARK: the grammar. The first `leaves` templates of each need no others.

typedef struct {
    char name;
    size_t leaves, count;
    const char *const *templates;
} production;

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define PRODUCTION(name, leaves, list) {name, leaves, COUNT(list), list}

static const char *const expressions[] = {
    "nil", "true", "msg", "ctx", "conn", "json.null", "a", "b", "c", "d", "$S", "$N", "big", "huge",
    "$T", "$F", "$C", "$C", "$C", "msg:json()", "msg.payload", "msg.sender", "msg.topic", "msg:with{payload=$S}",
    "msg:with{topic=$S,payload=$S}", "msg:with{qos=$N}", "msg:with{retain=$E}", "msg:with{props=$T}", "msg:with{props=msg.props,expiry=$N}",
    "msg:with{content_type=$E,response_topic=$E,correlation_data=$E,payload_format=$N}", "msg.props", "msg.props[$E]", "msg.content_type",
    "msg.format", "msg.expiry", "msg.qos", "conn.will", "conn.props", "conn.client_id", "msg.sender.will", "msg.sender.props",
    "msg:with($T)", "route.to($S)", "route.to($S,$E)", "route.fanout{$E,$E}", "route.push($T,$E)",
    "route.chat($S,$E)", "route.drop($E)", "route.reject($E)", "route.always($E)", "route.done()", "msg.sender:with($T)",
    "($E)[$E]", "($E).x", "($E)..($E)", "($E)==($E)", "($E)<($E)", "#($E)", "-($E)", "($E)+($E)", "($E)//($E)", "($E)&($E)",
    "($E)(($E),$E)", "select(2,pcall($F))", "json.decode($S)", "counter($S,$T)", "R", "_G", "string", "coroutine.wrap($F)",
};
static const char *const strings[] = {
    "''", "'x'", "'\\0'", "'a\\0b'", "big", "'%'", "'%b()'", "'[%w_]*b'", "'(.-)%1'", "'[^'", "'%f[%w]'", "'\\xff\\xfe'", "'%d%s%q%99.99f'",
    "'a/b'", "'#'", "'format\\0'", "'i16z'", "'!16Xi16'", "'c65536'", "'1e400'", "'0x'", "'\\u{7fffffff}'", "'2026-01-31T12:00:00Z'", "'k'",
    "('%'):rep(300)", "('('):rep(200)", "('[1,'):rep(100)", "('{\"a\":'):rep(70)", "(' '):rep(9000)", "'123456789012345678901234567890'",
    "('é'):rep(3000)", "('\\0'):rep(5000)", "'__index'", "msg.payload", "msg.topic",
    "($S):rep($N)", "($S)..($S)", "tostring($E)", "($S):sub($N,$N)", "json.encode($E)", "base64.encode($S)", "string.format($S,$E,$E)",
    "string.pack($S,$E,$E)", "table.concat($T,$S)", "string.char($N,$N)", "($S):gsub($S,$E)", "hash.sha256($S)", "time.format($N,$S)",
};
static const char *const numbers[] = {
    "0", "1", "-1", "2", "64", "255", "1000", "65536", "1e308", "-0.0", "0/0", "math.huge", "-math.huge", "math.mininteger",
    "math.maxinteger", "2^53", "0x7fffffff", "3.5", "100000000", "#($S)", "tonumber($S)", "math.random($N)", "($N)%($N)", "($S):len()",
    "math.tointeger($E)", "utf8.len($S)", "select('#',$E,$E)",
};
static const char *const tables[] = {
    "{}", "a", "{1,2,3}", "{nil,1}", "loop", "deep", "{['format\\0']='text'}", "{['payload\\0']='x'}", "{['tags\\0']={}}", "{uid='u'}",
    "{{name='a',value='b'}}",
    "{topic='a/b'}", "{[1.5]=1}", "json.array{}", "holes", "collide", "{tags={'a'},alias={'b'}}", "{x=json.decode('1234567890123456789012')}",
    "{$E,$E}", "{payload=$S}", "{{name=$S,value=$S},{name=$S,value=$E}}", "{{name='key',value=$S},key=$E}", "msg.props",
    "{[$S]=$S,{name='a',value=$S}}", "{[$S]=$E}", "{x=$E,y=$E}", "setmetatable({},{__index=$F})", "setmetatable({},{__newindex=$F})",
    "setmetatable({},{__len=$F})", "setmetatable({},{__eq=$F,__lt=$F,__le=$F})", "setmetatable({},{__call=$F})",
    "setmetatable({},{__tostring=$F})", "setmetatable({},{__name=$S})", "setmetatable({$E},{__mode='v'})", "setmetatable({},{__close=$F})",
    "setmetatable({},{__pairs=$F})", "setmetatable({},{__unm=$F,__add=$F,__concat=$F})", "setmetatable({},{__gc=$F})",
    "setmetatable({},{__mode=$S})", "setmetatable($T,getmetatable($E))", "json.decode($S)", "table.pack($E,$E)", "table.move($T,$N,$N,$N)",
};
static const char *const functions[] = {
    "print", "f", "string.rep", "error", "coroutine.yield", "coroutine.running", "next", "collectgarbage", "recurse", "fill", "json.encode",
    "function(...) return ... end", "function(x) return $E end", "function(x,y) $B return $E end", "function() error($E) end",
    "function() f=$F end", "function(...) return f(...) end", "function() local x<close> = $T $B end", "coroutine.wrap($F)",
};
static const char *const calls[] = {
    "collectgarbage('count')", "string.find($S,$S,$N)", "string.find($S,$S,$N,true)", "string.match($S,$S)", "string.gsub($S,$S,$F)",
    "string.gsub($S,$S,$T)", "string.gmatch($S,$S)()", "string.byte($S,$N,$N)", "string.upper($S)", "string.reverse($S)",
    "string.packsize($S)", "string.unpack($S,$S,$N)", "table.insert($T,$N,$E)", "table.remove($T,$N)", "table.sort($T,$F)", "table.sort($T)",
    "table.unpack($T,$N,$N)", "utf8.len($S,$N,$N)", "utf8.offset($S,$N)", "utf8.codepoint($S,$N,$N)", "utf8.char($N,$N)", "utf8.codes($S)",
    "json.encode($E)", "json.decode($S)", "json.array($T)", "msgpack.encode($E)", "msgpack.decode($S)", "cbor.encode($E)", "cbor.decode($S)",
    "msgpack.decode(msgpack.encode($E))", "cbor.decode(cbor.encode($E))", "msgpack.extension($N,$S)", "cbor.bytes($S)", "msg:msgpack()", "msg:cbor()",
    "cbor.decode(msgpack.encode($E):reverse())", "msgpack.decode(('\\xdd\\xff'):rep($N))", "cbor.decode(('\\x9f\\xbf'):rep($N))",
    "msgpack.encode(msgpack.extension(-1,$S)).time", "base64.decode($S)", "hash.hmac($S,$S)", "hash.crc32($S)",
    "re.test($S,$S)", "re.match($S,$S)", "re.replace($S,$S,$S)", "time.parse($S)",
    "time.format($N)", "kv.set($S,$E,$N)", "kv.get($S)", "kv.incr($S,$N)", "kv.delete($S)", "shared.set($S,$E)", "shared.get($S)",
    "shared.incr($S,$N,$N)", "counter($S,$T):inc($E)", "counter('n'):inc()", "log.info($E,$E)", "log.error($S,$T)", "log.debug($E)", "print($E,$E)",
    "http.get('http://a/')", "http.get('http://a/')", "http.get($S,$T)", "http.get('http://a/',{headers={[$S]=$S},timeout=$E,cache=$E})",
    "http.post('http://a/',$E,$T)", "resolve($S)", "resolve('a')", "pcall(http.get,'http://a/')", "pcall(http.get,'http://a/'):json()",
    "sessions.find({uid=$S})", "sessions.find({uid=$E})", "sessions.find($T)", "#sessions.find({uid='ada'})",
    "route.continue($E)", "pcall(function() local x<close> = $T $B return http.get('http://a/') end)",
    "match($S,$S)", "pcall($F,$E)", "xpcall($F,$F,$E)", "select($N,$E,$E)", "rawset($T,$E,$E)", "rawget($T,$E)", "rawequal($E,$E)",
    "rawlen($E)", "next($T,$E)", "setmetatable($T,$T)", "getmetatable($E)", "tostring($E)", "tonumber($S,$N)", "require($S)", "require 'other'",
    "coroutine.create($F)", "coroutine.resume(coroutine.create($F),$E)", "coroutine.close(coroutine.create($F))", "coroutine.status($E)",
    "coroutine.resume($E)", "coroutine.close($E)", "coroutine.wrap($F)($E)", "ctx:emit($E)", "conn:close($E)", "msg.sender:close($S)",
    "chat:online($S)", "math.floor($E)", "math.max($N,$E)", "math.fmod($N,$N)", "math.ult($E,$E)", "error($E)", "assert($E,$E)", "ipairs($E)",
};
static const char *const statements[] = {
    "a=1 ", "b=big ", "loop.x=a ", "fill(c,1000) ", "recurse(50) ", "c={} ", "huge=big:rep(100) ",
    "a=$E ", "b=$E ", "c=$T ", "d=$E ", "f=$F ", "huge=$S ", "$C ", "pcall(function() $B end) ", "for i=1,$N do $B end ",
    "for k,v in pairs($T) do $B end ", "for k,v in $F do $B break end ", "while $E do $B break end ", "if $E then $B else $B end ",
    "c[$E]=$E ", "a.x=$E ", "local x<close> = $T ", "do local x<close> = setmetatable({},{__close=$F}) $B end ", "c[#c+1]=$E ",
    "repeat $B until true ", "for i=1,40 do c[i*32767]=$E end ", "ctx:emit($E) ", "kept=$E ",
    "local m={} setmetatable(c,m) m[$S]=$E ", "R[$S]=$E ", "_G[$S]=$E ",
};
static const char *const blocks[] = {"", "$A", "$A$A", "$A$A$A", "local a=$E $A", "return $E "};
static const production grammar[] = {
    PRODUCTION('E', 14, expressions), PRODUCTION('S', 35, strings), PRODUCTION('N', 19, numbers), PRODUCTION('T', 18, tables),
    PRODUCTION('F', 11, functions), PRODUCTION('C', 1, calls), PRODUCTION('A', 7, statements), PRODUCTION('B', 1, blocks),
};

typedef struct {
    char *text;
    size_t size, count;
} writer;

static void put(writer *out, const char *text) {
    for (; *text != 0 && out->count + 1 < out->size; text++) { out->text[out->count++] = *text; }
    out->text[out->count] = 0;
}

static void expand(writer *out, const char *template, int depth);

static void expand_name(writer *out, char name, int depth) {
    for (size_t i = 0; i < COUNT(grammar); i++) {
        if (grammar[i].name != name) { continue; }
        bool leaf = depth <= 0 || out->count > out->size / 2;
        expand(out, grammar[i].templates[below((uint32_t)(leaf ? grammar[i].leaves : grammar[i].count))], depth - 1);
    }
}

static void expand(writer *out, const char *template, int depth) {
    char one[2] = {0};
    for (; *template != 0; template++) {
        if (*template == '$') {
            expand_name(out, *++template, depth);
        } else {
            *one = *template;
            put(out, one);
        }
    }
}

static const char prelude[] =
    "local R = {}\n"
    "local a, b, c, d, kept, conn, chat = 1, 'b', {}, nil, nil, nil, nil\n"
    "local big, huge = ('x'):rep(70000), ('ab'):rep(9000)\n"
    "local loop = {} loop.self = loop\n"
    "local deep = {} for i = 1, 100 do deep = { deep } end\n"
    "local holes = { 1, nil, 3 } holes[100] = 1\n"
    "local collide = {} for i = 1, 60 do collide[i * 32767] = i end\n"
    "local function f(...) return ... end\n"
    "local function recurse(n) if n == 0 then return 0 end return 1 + recurse(n - 1) end\n"
    "local function fill(t, n) for i = 1, n do t[i] = i .. 'x' end return t end\n";

size_t generate_rule(char *text, size_t size) {
    static const char *const hooks[] = {
        "on_message(msg, ctx)", "on_message(msg, ctx)", "on_deliver(msg, conn, ctx)", "on_undelivered(msg, why, ctx)", "on_broadcast(msg, ctx)",
        "on_chat(msg, chat, ctx)", "on_connect(conn, ctx)", "on_subscribe(msg, ctx)", "on_disconnect(conn, why)", "on_chat_open(chat, conn, ctx)",
        "on_unsubscribe(msg, ctx)", "on_tick(ctx)", "on_auth(conn, data, ctx)",
    };
    writer out = {text, size, 0};
    put(&out, prelude);
    if (below(4) == 0) {
        put(&out, "function R.on_load(settings, saved) local msg, ctx = saved, settings ");
        expand(&out, "$B", 3);
        put(&out, " end\n");
    }
    if (below(4) == 0) { put(&out, "function R.on_unload() local msg, ctx "), expand(&out, "$B", 2), put(&out, " end\nlocal _ = R.on_unload\n"); }
    for (size_t hook = 0; hook < COUNT(hooks); hook++) {
        if (hook > 0 && below(3) != 0) { continue; }
        put(&out, "function R.");
        put(&out, hooks[hook]);
        put(&out, " ");
        size_t before = out.count;
        for (uint32_t i = below(5) + 1; i > 0; i--) { expand(&out, "$A", 4); }
        if (out.count > size - 256) { out.text[out.count = before] = 0; }
        bool returns = below(3) != 0;
        if (returns) { put(&out, " do return "), expand(&out, "$E", 3), put(&out, " end"); }
        put(&out, " end\n");
    }
    put(&out, "return R\n");
    return out.count;
}

size_t generate_payload(char *bytes, size_t size) {
    static const char *const pieces[] = {
        "{", "}", "[", "]", ",", ":", "\"", "\"format\\u0000\":\"text\"", "\"payload\\u0000\":\"x\"", "{\"topic\":\"a/b\"}", "{\"id\":32767}",
        "1", "1e400", "-0", "12345678901234567890123", "null", "true", "\"\\ud800\"", "\"\\u0000\"", "\xff", "\"a\"", " ", "\n",
        "{\"order\":{\"card\":\"4111\"}}",
        "0.1", "[[[[[[[[", "{\"a\":{\"a\":", "\\", "\"x\":", "{\"tags\":[\"a\"]}",
    };
    size_t count = 0, wanted = below(20) == 0 ? below((uint32_t)size) : below(600);
    if (below(8) == 0) {
        memset(bytes, below(2) == 0 ? ' ' : (int)below(256), wanted + 1);
        return wanted + 1;
    }
    do {
        const char *piece = pieces[below(COUNT(pieces))];
        size_t length = strlen(piece);
        if (count + length > size) { break; }
        memcpy(bytes + count, piece, length);
        count += length;
    } while (count < wanted);
    return count;
}

size_t generate_properties(char *bytes, size_t size) {
    static const unsigned char pieces[][12] = {
        // A piece's length, and the piece.
        {2, 1, 1}, {5, 2, 0, 0, 0, 60}, {5, 3, 0, 2, 'a', '/'}, {5, 8, 0, 2, 'r', '/'}, {4, 9, 0, 1, 0xFF}, {2, 11, 5}, {3, 35, 0, 1},
        {7, 38, 0, 1, 'a', 0, 1, 'b'}, {9, 38, 0, 3, 'k', 'e', 'y', 0, 1, 'v'}, {5, 38, 0, 0, 0, 0}, {7, 38, 0, 1, 'x', 0, 1, 0xFF},
        {6, 38, 0, 1, 'n', 0, 0},
        // Broken ones.
        {1, 38}, {3, 38, 0, 9}, {3, 38, 0xFF, 0xFF}, {1, 2}, {5, 11, 0xFF, 0xFF, 0xFF, 0xFF}, {1, 0}, {1, 0x7F}, {4, 38, 0, 1, 'a'}, {2, 3, 0},
    };
    enum { WHOLE = 12 };
    size_t count = 0, wanted = below(40) == 0 ? below((uint32_t)size) : below(120);
    bool may_break = below(3) == 0;
    while (count < wanted) {
        const unsigned char *piece = pieces[below(may_break && below(6) == 0 ? COUNT(pieces) : WHOLE)];
        if (count + piece[0] > size) { break; }
        memcpy(bytes + count, piece + 1, piece[0]);
        count += piece[0];
    }
    // Cut, or with a byte changed.
    if (may_break && count > 0) {
        bytes[below((uint32_t)count)] = (char)below(256);
        count = below((uint32_t)count + 1);
    }
    // At the end of the memory, so that a sanitizer sees who reads on.
    memmove(bytes + size - count, bytes, count);
    return count;
}
