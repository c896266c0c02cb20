/*
 * asset: a file that is part of the program, put there by tools/embed.
 *
 *     extern const struct asset asset_shell;                       -- embed OUT shell=FILE
 *     extern const struct asset dashboard[]; ... dashboard_count;  -- embed OUT --list dashboard FILE...
 *
 * Constant: for anybody, at any time.
 */
#ifndef WEIR_BASE_ASSET_H
#define WEIR_BASE_ASSET_H

#include <stddef.h>

struct asset {
    const char *name;           /* of its first file, without folders */
    const unsigned char *bytes; /* a 0 byte behind them does not count */
    size_t length;              /* 0: it was not there when Weir was built */
    const unsigned char *gzip;  /* the same compressed; NULL where it was not asked for */
    size_t gzip_length;
    const char *digest; /* base64 of SHA-256, as a content security policy names a script */
};

#endif
