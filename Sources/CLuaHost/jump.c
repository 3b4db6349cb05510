// Where Lua's errors go: to a place that _setjmp has marked, or that MARK_PLACE has. Lua jumps by one of these, as its package is built.
#include "call.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
void __asan_handle_no_return(void);
#else
static inline void __asan_handle_no_return(void) {}
#endif

_Noreturn void __real_longjmp(jmp_buf place, int value);
_Noreturn void __real__longjmp(jmp_buf place, int value);
_Noreturn void __real___longjmp_chk(jmp_buf place, int value);

static void jump_if_ours(jmp_buf place) {
    if (place->__mask_was_saved != PLACE_IS_OURS) { return; }
    __asan_handle_no_return();
    __builtin_longjmp((void **)place, 1);
}

_Noreturn void __wrap_longjmp(jmp_buf place, int value) {
    jump_if_ours(place);
    __real_longjmp(place, value);
}

_Noreturn void __wrap__longjmp(jmp_buf place, int value) {
    jump_if_ours(place);
    __real__longjmp(place, value);
}

_Noreturn void __wrap___longjmp_chk(jmp_buf place, int value) {
    jump_if_ours(place);
    __real___longjmp_chk(place, value);
}
