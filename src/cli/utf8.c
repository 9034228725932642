#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes follow a first byte; -1 for a byte that cannot be first. */
static int following_bytes(unsigned char first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : -1;
}

/* Longer forms of short characters, surrogates and what lies beyond Unicode are not valid. */
static int is_valid(long character, int following)
{
    static const long least[] = { 0, 0x80, 0x800, 0x10000 };
    return character >= least[following] && character <= 0x10ffff && (character < 0xd800 || character > 0xdfff);
}

long utf8_next(const char **text)
{
    const unsigned char *bytes = (const unsigned char *)*text;
    const int following = following_bytes(bytes[0]);
    long character = following > 0 ? bytes[0] & (0x3f >> following) : bytes[0];
    (*text)++;
    for (int i = 1; i <= following; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return -1;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (following < 0 || !is_valid(character, following))
        return -1;
    *text += following;
    return character;
}

static int columns_of(long character)
{
    if ((character >= 0x300 && character <= 0x36f) || (character >= 0x200b && character <= 0x200f))
        return 0;
    return (character >= 0x1100 && character <= 0x115f) || (character >= 0x2e80 && character <= 0xa4cf) ||
                   (character >= 0xac00 && character <= 0xd7a3) || (character >= 0xf900 && character <= 0xfaff) ||
                   (character >= 0xff00 && character <= 0xff60) || (character >= 0x1f300 && character <= 0x3fffd)
               ? 2
               : 1;
}

int utf8_columns(const char *text)
{
    int columns = 0;
    while (*text)
        columns += columns_of(utf8_next(&text));
    return columns;
}

char *utf8_valid_copy(const char *text)
{
    char *copy = malloc(strlen(text) + 1), *end = copy;
    while (copy && *text) {
        const char *start = text;
        const long character = utf8_next(&text);
        if (character < ' ' || (character >= 0x7f && character < 0xa0))
            *end++ = '?';
        else
            while (start < text)
                *end++ = *start++;
    }
    if (copy)
        *end = '\0';
    return copy;
}
