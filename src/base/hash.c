/*
 * hash: a 64-bit hash that is the same in every process, on every machine and in every version. It spreads polls and
 * names questions and generations, so it must never change; it is not meant against people who choose the input.
 * Eight bytes at a time go through a 64x64 -> 128 bit multiplication whose halves are folded together.
 */
#include <string.h>

#include "base/map.h"

static const uint64_t odd_a = UINT64_C(0x9e3779b97f4a7c15), odd_b = UINT64_C(0xd6e8feb86659fd93);

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Little endian on every machine. */
static uint64_t word_at(const unsigned char *bytes, size_t length)
{
    uint64_t word = 0;

    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    uint64_t hash = fold(seed ^ odd_a, odd_b ^ length);

    for (size_t left = length; left > 0;) {
        size_t step = left < 8 ? left : 8;
        hash = fold(hash ^ word_at(at, step) ^ odd_a, odd_b) + odd_a;
        at += step;
        left -= step;
    }
    return fold(hash ^ odd_b, odd_a);
}

uint64_t hash_string(uint64_t seed, const char *string)
{
    return hash_bytes(seed, string, strlen(string));
}
