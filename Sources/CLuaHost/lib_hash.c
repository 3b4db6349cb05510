// hash.sha256, hash.hmac (SHA-256) and hash.crc32, as lowercase hexadecimal.
#include "host.h"

enum { BLOCK = 64, DIGEST = 32 };

typedef struct {
    uint32_t state[8];
    unsigned char block[BLOCK];
    uint64_t count;
} sha256;

// MARK: SHA-256 (FIPS 180-4)

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

static void compress(sha256 *s) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++) {
        const unsigned char *word = s->block + (size_t)i * 4;
        w[i] = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 | (uint32_t)word[2] << 8 | word[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t low = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t high = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + low + w[i - 7] + high;
    }
    memcpy(v, s->state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t first = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6]))
            + round_constants[i] + w[i];
        uint32_t second = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += first;
        v[0] = first + second;
    }
    for (int i = 0; i < 8; i++) { s->state[i] += v[i]; }
}

static void sha256_begin(sha256 *s) {
    *s = (sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

static void sha256_add(lua_State *L, sha256 *s, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    while (count > 0) {
        size_t used = s->count % BLOCK, part = BLOCK - used < count ? BLOCK - used : count;
        memcpy(s->block + used, at, part);
        s->count += part;
        at += part;
        count -= part;
        if (s->count % BLOCK == 0) {
            budget_check(L, host_of(L));
            compress(s);
        }
    }
}

static void sha256_end(lua_State *L, sha256 *s, unsigned char digest[DIGEST]) {
    uint64_t bits = s->count * 8;
    unsigned char length[8];
    for (int i = 0; i < 8; i++) { length[i] = (unsigned char)(bits >> (56 - 8 * i)); }
    sha256_add(L, s, "\x80", 1);
    while (s->count % BLOCK != BLOCK - 8) { sha256_add(L, s, "", 1); }
    sha256_add(L, s, length, 8);
    for (int i = 0; i < DIGEST; i++) { digest[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4))); }
}

static int push_hexadecimal(lua_State *L, const unsigned char *bytes, size_t count) {
    char text[2 * DIGEST];
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    lua_pushlstring(L, text, 2 * count);
    return 1;
}

static int hash_sha256(lua_State *L) {
    size_t count;
    unsigned char digest[DIGEST];
    const char *text = luaL_checklstring(L, 1, &count);
    sha256 s;
    sha256_begin(&s);
    sha256_add(L, &s, text, count);
    sha256_end(L, &s, digest);
    return push_hexadecimal(L, digest, DIGEST);
}

/// hash.hmac(key, text): RFC 2104 over SHA-256.
static int hash_hmac(lua_State *L) {
    size_t key_count, count;
    unsigned char key_block[BLOCK] = {0}, pad[BLOCK], digest[DIGEST];
    const char *key = luaL_checklstring(L, 1, &key_count), *text = luaL_checklstring(L, 2, &count);
    sha256 s;
    if (key_count > BLOCK) {
        sha256_begin(&s);
        sha256_add(L, &s, key, key_count);
        sha256_end(L, &s, key_block);
    } else if (key_count > 0) {
        memcpy(key_block, key, key_count);
    }
    sha256_begin(&s);
    for (int i = 0; i < BLOCK; i++) { pad[i] = key_block[i] ^ 0x36; }
    sha256_add(L, &s, pad, BLOCK);
    sha256_add(L, &s, text, count);
    sha256_end(L, &s, digest);
    sha256_begin(&s);
    for (int i = 0; i < BLOCK; i++) { pad[i] = key_block[i] ^ 0x5c; }
    sha256_add(L, &s, pad, BLOCK);
    sha256_add(L, &s, digest, DIGEST);
    sha256_end(L, &s, digest);
    return push_hexadecimal(L, digest, DIGEST);
}

// MARK: CRC-32 (ISO 3309, as in zip and PNG)

static int hash_crc32(lua_State *L) {
    shunt_host *host = host_of(L);
    size_t count;
    const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, &count);
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < count; i++) {
        if (i % 1024 == 0) { budget_check(L, host); }
        crc ^= text[i];
        for (int bit = 0; bit < 8; bit++) { crc = crc >> 1 ^ (0xedb88320 & (0u - (crc & 1))); }
    }
    crc = ~crc;
    unsigned char bytes[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8), (unsigned char)crc};
    return push_hexadecimal(L, bytes, 4);
}

void open_hash(lua_State *L) {
    static const luaL_Reg functions[] = {{"sha256", hash_sha256}, {"hmac", hash_hmac}, {"crc32", hash_crc32}, {NULL, NULL}};
    luaL_newlib(L, functions);
}
