/* spark: see spark.h. */
#include "cli/spark.h"

#include <math.h>

#include "cli/paper.h"

enum { LEVELS = 8 };

static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const marks[LEVELS] = {"_", ".", "-", ":", "=", "+", "*", "#"};

/* The lowest level is for the lowest value alone: from nothing to something is the step one looks for. */
static int level_of(double low, double high, double value)
{
    if (!(value > low) || !(high > low))
        return 0;
    double level = ceil((value - low) / (high - low) * (LEVELS - 1));

    return level >= LEVELS ? LEVELS - 1 : level < 1 ? 1 : (int)level;
}

void spark_put(struct paper *paper, double low, double high, const struct spark_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (cells[i].kind) {
        case SPARK_BLANK:
            paper_put(paper, INK_PLAIN, " ");
            break;
        case SPARK_MISSING:
            paper_put(paper, INK_WARN, paper->unicode ? "·" : "?");
            break;
        case SPARK_FAILED:
            paper_put(paper, INK_BAD, paper->unicode ? "×" : "x");
            break;
        case SPARK_VALUE:
            paper_put(paper, INK_GOOD, "%s", (paper->unicode ? blocks : marks)[level_of(low, high, cells[i].value)]);
            break;
        }
    }
}
