#include "exif.h"

#include <string.h>

enum { TAG_ORIENTATION = 0x0112, ENTRY_SIZE = 12 };

struct tiff {
    const unsigned char *bytes;
    size_t size;
    int big_endian;
};

/* An unsigned number of `count` bytes; 0 beyond the end, which no valid field here has. */
static unsigned long number_at(const struct tiff *tiff, size_t at, size_t count)
{
    unsigned long value = 0;
    if (at > tiff->size || count > tiff->size - at)
        return 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | tiff->bytes[at + (tiff->big_endian ? i : count - 1 - i)];
    return value;
}

int exif_orientation(const unsigned char *bytes, size_t size)
{
    if (size < 14 || memcmp(bytes, "Exif\0", 6) != 0)
        return 0;
    struct tiff tiff = { .bytes = bytes + 6, .size = size - 6, .big_endian = bytes[6] == 'M' };
    const size_t directory = number_at(&tiff, 4, 4);
    const size_t entries = number_at(&tiff, directory, 2);
    for (size_t i = 0; i < entries; i++) {
        const size_t entry = directory + 2 + i * ENTRY_SIZE;
        if (number_at(&tiff, entry, 2) != TAG_ORIENTATION)
            continue;
        const unsigned long orientation = number_at(&tiff, entry + 8, 2);
        return orientation >= 1 && orientation <= 8 ? (int)orientation : 0;
    }
    return 0;
}

int exif_swaps_sides(int orientation)
{
    return orientation >= 5;
}

size_t exif_place(int orientation, int x, int y, int width, int height)
{
    const int across = exif_swaps_sides(orientation) ? y : x;
    const int down = exif_swaps_sides(orientation) ? x : y;
    const int mirrored = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    const int flipped = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    const int column = mirrored ? width - 1 - across : across;
    const int row = flipped ? height - 1 - down : down;
    return (size_t)row * (size_t)width + (size_t)column;
}
