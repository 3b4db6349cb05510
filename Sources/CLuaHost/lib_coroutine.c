// Coroutines that a kill goes through: the host knows which one runs, and a resume raises again what ended it.
#include "waiting.h"

/// Lua bounds how much C stack a thread of its own uses, by 200 calls of C (LUAI_MAXCCALLS): up to some 700 KiB. But it begins to
/// count anew in each coroutine that is closed (lua_resetthread). So one may be closed only while the call has used no more than
/// this, and all of a call is well within the 2 MiB that a thread with rules has.
enum { MAX_CLOSE_STACK = 512 * 1024 };

static lua_State *check_coroutine(lua_State *L) {
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

static void enter(shunt_host *host, lua_State *co) {
    host->running = co;
    // The watchdog's signal must see it before the coroutine runs, and find L again before L does.
    atomic_signal_fence(memory_order_seq_cst);
}

/// - Returns: the number of values that the coroutine gave, on L's stack; -1 with the error there.
int coroutine_go_on(lua_State *L, lua_State *co, int arguments) {
    shunt_host *host = host_of(L);
    if (!lua_checkstack(co, arguments)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    size_t scratch = host->scratch.count, outer = host->resume_scratch;
    int count;
    lua_xmove(L, co, arguments);
    host->resume_scratch = scratch;
    enter(host, co);
    int status = host->budget.killed == KILL_NONE ? lua_resume(co, L, arguments, &count) : LUA_ERRRUN;
    enter(host, L);
    host->resume_scratch = outer;
    host->scratch.count = scratch;
    rethrow_kill(L, host, status);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, count + 1)) {
        lua_pop(co, count);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, count);
    return count;
}

static int coroutine_create(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int coroutine_resume(lua_State *L) {
    lua_State *co = check_coroutine(L);
    int count = coroutine_go_on(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, count >= 0);
    lua_insert(L, count >= 0 ? -(count + 1) : -2);
    return count >= 0 ? count + 1 : 2;
}

static int wrapped(lua_State *L) {
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int count = coroutine_go_on(L, co, lua_gettop(L));
    if (count >= 0) { return count; }
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int coroutine_wrap(lua_State *L) {
    coroutine_create(L);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int coroutine_yield(lua_State *L) {
    shunt_host *host = host_of(L);
    budget_check(L, host);
    // A hook that may look something up runs in a coroutine that no rule sees.
    if (L == host->waiter) { return luaL_error(L, "attempt to yield from outside a coroutine"); }
    return lua_yield(L, lua_gettop(L));
}

static bool is_hook_itself(lua_State *L) { return L == host_of(L)->waiter; }

static const char *status_of(lua_State *L, lua_State *co) {
    if (co == L || (is_hook_itself(L) && co == host_of(L)->rule->L)) { return "running"; }
    if (lua_status(co) == LUA_YIELD) { return "suspended"; }
    if (lua_status(co) != LUA_OK) { return "dead"; }
    lua_Debug frame;
    if (lua_getstack(co, 0, &frame)) { return "normal"; }
    return lua_gettop(co) == 0 ? "dead" : "suspended";
}

static int coroutine_status(lua_State *L) {
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

/// A coroutine that failed stays as it is: Lua may have left its hooks off, and its `__close` would run without a budget.
static int coroutine_close(lua_State *L) {
    shunt_host *host = host_of(L);
    lua_State *co = check_coroutine(L);
    const char *status = status_of(L, co);
    if (strcmp(status, "running") == 0 || strcmp(status, "normal") == 0) {
        return luaL_error(L, "cannot close a %s coroutine", status);
    }
    int ended = lua_status(co);
    if (ended == LUA_OK || ended == LUA_YIELD) {
        size_t used = host->stack_start - (uintptr_t)__builtin_frame_address(0);
        if (used > MAX_CLOSE_STACK) { return luaL_error(L, "coroutine.close nested too deeply"); }
        size_t scratch = host->scratch.count;
        enter(host, co);
        ended = lua_resetthread(co);
        enter(host, L);
        host->scratch.count = scratch;
        rethrow_kill(L, host, ended);
    }
    lua_pushboolean(L, ended == LUA_OK);
    if (ended == LUA_OK || lua_gettop(co) == 0) { return 1; }
    lua_xmove(co, L, 1);
    return 2;
}

static int coroutine_running(lua_State *L) {
    if (is_hook_itself(L)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
        lua_pushboolean(L, 1);
    } else {
        lua_pushboolean(L, lua_pushthread(L));
    }
    return 2;
}

static int coroutine_isyieldable(lua_State *L) {
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(co) && co != host_of(L)->waiter);
    return 1;
}

void open_coroutine(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"create", coroutine_create}, {"resume", coroutine_resume}, {"wrap", coroutine_wrap},
        {"yield", coroutine_yield}, {"status", coroutine_status}, {"close", coroutine_close},
        {"running", coroutine_running}, {"isyieldable", coroutine_isyieldable}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
